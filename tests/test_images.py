from __future__ import annotations

import re
import tomllib

import pytest

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.images import Catalogue, Role, Source, default_path
from wheelbuilder.inputs.tables import Table

ARCHITECTURE = {
    "debian": "amd64",
    "oci": "amd64",
    "multiarch": "x86_64-linux-gnu",
    "elf": {"machine": "EM_X86_64", "bits": 64, "little-endian": True},
}
PINNED = f"registry.example.org/image@sha256:{'a' * 64}"


def catalogue() -> Catalogue:
    return Catalogue.read(default_path())


def parse(text: str) -> Catalogue:
    return Catalogue.parse(
        Table({"architectures": {"x86_64": ARCHITECTURE}, **tomllib.loads(text)}, "images.toml")
    )


def pulled(image: str = PINNED, extra: str = "") -> str:
    return f"""
[families.f]
source = "registry"
policy = "manylinux_2_28"
pythons.cp311 = {{ path = "/opt/python/cp311-cp311/bin/python", version = "3.11.14" }}
images.x86_64 = "{image}"
{extra}
"""


def made(sources: str = "") -> str:
    return f"""
[families.f]
source = "archive"
suite = "trixie"
policy = "manylinux_2_41"
architectures = ["x86_64"]
pythons.cp313 = {{ path = "/usr/bin/python3.13", version = "3.13.5" }}
packages = {{ build = ["gcc"], bare = ["python3"] }}
{sources}
"""


def test_the_table_serves_what_it_promises() -> None:
    targets = {str(target) for family in catalogue().families.values() for target in family.targets}
    for python in ("cp39", "cp310", "cp311", "cp312", "cp313", "cp314"):
        for policy in ("manylinux_2_28", "manylinux_2_34", "musllinux_1_2"):
            for arch in ("x86_64", "aarch64", "ppc64le", "s390x"):
                assert f"{python}-{policy}_{arch}" in targets
    debian = {
        "cp39-manylinux_2_31": ("x86_64", "aarch64"),
        "cp311-manylinux_2_36": ("x86_64", "aarch64"),
        "cp313-manylinux_2_41": ("x86_64", "aarch64", "ppc64le", "s390x", "riscv64"),
    }
    assert targets >= {f"{name}_{arch}" for name, archs in debian.items() for arch in archs}


def test_each_target_has_a_build_root_and_a_bare_root() -> None:
    table = catalogue()
    for family in table.families.values():
        for target in family.targets:
            for role in Role:
                assert table.root(target, role).arch == table.architecture(target)
            assert table.interpreter(target).version.startswith(f"{target.python[0]}.{target.python[1]}.")


def test_pulled_images_are_named_for_what_they_are() -> None:
    for root in catalogue().roots():
        if root.source is Source.REGISTRY:
            assert re.fullmatch(
                rf"quay\.io/pypa/{root.family}_{root.arch.name}@sha256:[0-9a-f]{{64}}", root.image
            )


def test_no_two_roots_share_an_image_name() -> None:
    tags = [root.tag for root in catalogue().roots()]
    assert len(set(tags)) == len(tags)


def test_a_bare_root_has_no_compiler() -> None:
    for family in catalogue().families.values():
        for (_, role), root in family.roots.items():
            if role is Role.BARE and root.source is Source.ARCHIVE:
                assert not {"gcc", "g++", "make"} & set(root.packages)
                assert not [name for name in root.packages if name.endswith("-dev")]


def test_more_packages_make_another_root_whatever_their_order() -> None:
    root = next(root for root in catalogue().roots() if root.source is Source.ARCHIVE)
    one, other = root.adding(("libldap-dev", "libsasl2-dev")), root.adding(("libsasl2-dev", "libldap-dev"))
    assert one == other and one.digest != root.digest and set(root.packages) < set(one.packages)
    assert root.adding(root.packages[:1]) is root and root.adding(()) is root


def test_a_root_from_places_of_its_own_is_another_root() -> None:
    line = "deb [trusted=yes] https://mirror.example.org/debian stable main"
    usual = parse(made()).families["f"].roots["x86_64", Role.BUILD]
    own = parse(made(f'apt-sources.x86_64 = ["{line}"]')).families["f"].roots["x86_64", Role.BUILD]
    assert (usual.apt_sources, usual.archive) == ((), "trixie") and own.apt_sources == (line,)
    assert own.archive.startswith("trixie-") and own.digest != usual.digest
    assert own.adding(("libffi-dev",)).apt_sources == own.apt_sources


def test_a_bare_root_that_hides_folders_is_another_image() -> None:
    roots = parse(pulled(extra='bare-hides = ["/usr/include"]')).families["f"].roots
    build, bare = roots["x86_64", Role.BUILD], roots["x86_64", Role.BARE]
    assert build.digest == "a" * 64 and not build.hidden
    assert bare.digest != build.digest and bare.hidden == ("/usr/include",)
    shown = parse(pulled()).families["f"].roots["x86_64", Role.BARE]
    assert shown.digest == "a" * 64


def tools(compiler: str, family: str, package: str = "lld") -> str:
    return f'toolchain = {{ compiler = "{compiler}", family = "{family}", packages = ["{package}"] }}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (pulled("registry.example.org/image:latest"), "must be pinned by digest"),
        (pulled(extra="nonsense = 1"), "'nonsense' is not known"),
        (pulled(extra=tools("clang", "etch")), "packages of 'etch', which is no family that is made from"),
        (pulled(extra=tools("clang", "f")), "packages of 'f', which is no family that is made from"),
        (pulled(extra=tools("gcc", "f")), "'compiler' must be clang"),
        (pulled(extra=tools("clang", "f", "binutils-{crss}")), "or 'gcc-{cross}', not 'binutils-{crss}'"),
        (pulled(extra=tools("clang", "f", "binutils-{")), "'packages' must name packages"),
        (pulled(extra=tools("clang", "f", "--lld")), "'packages' must name packages"),
        (
            made().replace("bare =", 'rust-toolchain = ["rustc;cargo"], bare ='),
            "'rust-toolchain' must name packages, such as 'make' or 'gcc-{cross}', not 'rustc;cargo'",
        ),
        (pulled().replace("manylinux_2_28", "glibc"), "must look like manylinux_2_28"),
        (pulled().replace("images.x86_64", "images.vax"), "names 'vax'"),
        (pulled().replace("cp311 =", "py311 ="), "looks like cp311"),
        (
            made('apt-sources.x86_64 = ["https://mirror.example.org/debian"]'),
            "must look like 'deb https://",
        ),
        (made('apt-sources.vax = ["deb https://mirror.example.org/debian x main"]'), "'vax' is not known"),
        (
            pulled() + pulled().replace("families.f", "families.g"),
            "f and g both serve cp311-manylinux_2_28_x86_64",
        ),
    ],
)
def test_a_wrong_row_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        parse(text)


@pytest.mark.parametrize("triple", ["", "x86_64", "x86_64 unknown", "../../etc", "x86_64-*"])
def test_a_triple_of_rust_that_is_none_is_one_sentence(triple: str) -> None:
    rows = {"architectures": {"x86_64": {**ARCHITECTURE, "rust": triple}}, **tomllib.loads(pulled())}
    words = (
        f"images.toml: architectures.x86_64: 'rust' must look like s390x-unknown-linux-gnu, not {triple!r}"
    )
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Catalogue.parse(Table(rows, "images.toml"))


def test_a_target_that_nobody_serves_names_those_that_are() -> None:
    with pytest.raises(ConfigurationError) as caught:
        catalogue().target("cp311-manylinux_2_99_x86_64")
    assert "cp311-manylinux_2_36_x86_64" in caught.value.hint
