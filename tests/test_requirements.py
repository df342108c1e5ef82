from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from samples import ARM, X86, files
from sdists import FileIndex, in_tree
from simple_index import entry
from tinywheel import make_wheel

from wheelbuilder.build import requirements
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.prerequisites import wheels
from wheelbuilder.build.requirements import NoWheelError, Resolver, applicable, local_path, satisfied
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile

TABLE = Catalogue.read(default_path())
NEEDS = b"Metadata-Version: 2.1\nName: top\nVersion: 1.0\nRequires-Dist: base>=1\n"
NEEDS += b"Requires-Dist: never; os_name == 'nt'\n"
POWER = Target.parse("cp313-manylinux_2_41_ppc64le", "3.13.5")
MUSL = Target.parse("cp313-musllinux_1_2_x86_64", "3.13.5")
FORKED = (
    ("before-312", 'python_version < "3.12"'),
    ("since-312", 'python_version >= "3.12"'),
    ("patched", 'python_full_version == "3.13.5"'),
    ("on-power", 'platform_machine == "ppc64le"'),
    ("on-intel", 'platform_machine == "x86_64"'),
    ("with-extra", 'extra == "more" and python_version >= "3.12"'),
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileIndex]:
    folder = tmp_path_factory.mktemp("index")
    with FileIndex() as index:
        for path in (
            make_wheel(folder, "base", "1.0"),
            make_wheel(folder, "base", "2.0"),
            make_wheel(folder, "top", "1.0", metadata=NEEDS),
            make_wheel(folder, "plat", "1.0", "cp311-cp311-manylinux_2_17_aarch64"),
            make_wheel(folder, "plat", "1.0", "cp311-cp311-manylinux_2_17_x86_64"),
            make_wheel(folder, "newer", "1.0", "cp311-cp311-manylinux_2_39_aarch64"),
            make_wheel(folder, "newer", "1.0", "cp311-cp311-manylinux_2_39_x86_64"),
        ):
            index.offer_wheel(path)
        index.offer(in_tree("source_only"))
        yield index


@pytest.fixture(params=["uv x86_64", "uv aarch64", "pip x86_64", "pip aarch64"])
def resolver(request: pytest.FixtureRequest, index: FileIndex, tmp_path: Path) -> Resolver:
    """Each resolver for each target: pip serves the architectures that uv does not know."""
    tool, arch = request.param.split()
    target = X86 if arch == "x86_64" else ARM
    return made(index, tmp_path, target, uv=tool == "uv")


def made(
    index: FileIndex, folder: Path, target: Target = X86, *, uv: bool = True, **options: Any
) -> Resolver:
    arch = TABLE.architecture(target)
    (folder / "house").mkdir(exist_ok=True)
    usual: dict[str, Any] = {"constraints": (), "wheelhouse": folder / "house", "scratch": folder / "scratch"}
    return Resolver(
        target=target, arch=arch if uv else replace(arch, uv=None), index_url=index.url, **(usual | options)
    )


def names(found: tuple[IndexFile, ...]) -> set[str]:
    return {file.filename for file in found}


@pytest.mark.parametrize(("target", "mine"), [(POWER, "on-power"), (MUSL, "on-intel")], ids=str)
def test_markers_of_dependencies_are_those_of_the_target(target: Target, mine: str, tmp_path: Path) -> None:
    head = "Metadata-Version: 2.1\nName: {}\nVersion: {}\nProvides-Extra: more\n"
    forks = "".join(f"Requires-Dist: {name}; {marker}\n" for name, marker in FORKED)
    newest = "Requires-Dist: nobody-has-this; python_version >= '3.12'\n"  # the resolver must go back
    with FileIndex() as index:
        for name, _ in FORKED:
            index.offer_wheel(make_wheel(tmp_path, name, tag=f"cp313-cp313-{target.platform}"))
        for version, requires in (("1.0", forks), ("2.0", newest)):
            metadata = (head.format("forked", version) + requires).encode()
            index.offer_wheel(make_wheel(tmp_path, "forked", version, metadata=metadata))
        metadata = (head.format("outer", "1.0") + "Requires-Dist: forked[more]\n").encode()
        index.offer_wheel(make_wheel(tmp_path, "outer", metadata=metadata))
        found = made(index, tmp_path, target).resolve(["outer"])
    chosen = {file.filename.partition("-")[0].replace("_", "-") for file in found}
    assert chosen == {"outer", "forked", "since-312", "patched", mine, "with-extra"}
    assert "forked-1.0-py3-none-any.whl" in names(found)


def test_a_pip_that_answers_for_this_machine_is_refused(
    index: FileIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names(made(index, tmp_path, POWER).resolve(["base"])) == {"base-2.0-py3-none-any.whl"}
    monkeypatch.setattr(requirements, "PIP", "pip")  # the plain one
    with pytest.raises(StepFailedError, match="resolves for this machine"):
        made(index, tmp_path, POWER).resolve(["base"])


def test_wheels_with_their_digests_and_dependencies(
    resolver: Resolver, index: FileIndex, tmp_path: Path
) -> None:
    found = resolver.resolve(["top", "plat"])
    plat = f"plat-1.0-cp311-cp311-manylinux_2_17_{resolver.target.arch}.whl"
    assert names(found) == {"top-1.0-py3-none-any.whl", "base-2.0-py3-none-any.whl", plat}
    for file in found:
        assert file.url.startswith(index.base) and len(file.sha256) == 64
    assert names(resolver.resolve(["top"], dependencies=False)) == {"top-1.0-py3-none-any.whl"}
    assert resolver.resolve([]) == ()


def test_equal_questions_are_asked_once(resolver: Resolver, index: FileIndex) -> None:
    first = resolver.resolve(["base", "top"])
    before = len(index.requests)
    assert resolver.resolve(["top", "base"]) is first and len(index.requests) == before


@pytest.mark.parametrize("wanted", ["source-only", "newer", "nobody-has-this", "base>=3"])
def test_without_a_wheel_it_says_so(resolver: Resolver, wanted: str) -> None:
    with pytest.raises(NoWheelError) as caught:
        resolver.resolve([wanted])
    assert caught.value.reason and "\n" not in caught.value.reason


def test_what_was_built_here_counts(resolver: Resolver, tmp_path: Path) -> None:
    with pytest.raises(NoWheelError):
        resolver.resolve(["source-only"])
    built = make_wheel(tmp_path / "house", "source-only")
    with pytest.raises(NoWheelError):  # another recipe may have made it
        resolver.resolve(["source-only"])
    resolver.add(built.parent)
    (found,) = resolver.resolve(["source-only"])
    assert found.filename == built.name and local_path(found, resolver.wheelhouse) == built


def test_a_path_that_a_page_names_is_refused(tmp_path: Path) -> None:
    inside, outside = make_wheel(tmp_path / "house/key-1", "fine"), make_wheel(tmp_path, "fine")
    digest = hashlib.sha256(inside.read_bytes()).hexdigest()
    (link := tmp_path / "house" / "link.whl").symlink_to(outside)
    good = IndexFile(filename=inside.name, url=inside.as_uri(), sha256=digest)
    assert local_path(good, tmp_path / "house") == inside
    for bad in (
        replace(good, url=outside.as_uri()),
        replace(good, url=link.as_uri()),
        replace(good, url=f"{inside.parent.as_uri()}/../../{outside.name}"),
        replace(good, url=good.url.replace("file://", "file://elsewhere.example.org")),
        replace(good, url=(tmp_path / "house").as_uri()),
        replace(good, sha256="0" * 64),
        replace(good, sha256=""),
    ):
        with pytest.raises(StepFailedError) as caught:
            local_path(bad, tmp_path / "house")
        assert caught.value.failure is FailureClass.REQUIREMENTS


def test_a_page_with_a_file_link_is_not_followed(tmp_path: Path) -> None:
    class Site:
        cache = tmp_path

    planted = make_wheel(tmp_path / "planted", "fine")
    with FileIndex() as index:
        index.page("fine", [entry(planted.name, url=planted.as_uri(), hashes={"sha256": "0" * 64})])
        found = made(index, tmp_path).resolve(["fine"])
        with pytest.raises(StepFailedError, match="a path of this machine"):
            wheels(found, Site)  # type: ignore[arg-type]


def test_constraints_hold(resolver: Resolver) -> None:
    bounded = replace(resolver, constraints=("base<2", "unknown-thing==1"))
    assert "base-1.0-py3-none-any.whl" in names(bounded.resolve(["top"]))


def test_constraints_of_one_question_hold_for_it_alone(resolver: Resolver) -> None:
    assert "base-2.0-py3-none-any.whl" in names(resolver.resolve(["top"]))
    assert "base-1.0-py3-none-any.whl" in names(resolver.resolve(["top"], constraints=("base<2",)))
    assert "base-2.0-py3-none-any.whl" in names(resolver.resolve(["top"]))
    with pytest.raises(NoWheelError):
        replace(resolver, constraints=("base<2",)).resolve(["top"], constraints=("base>=2",))


def test_the_hosts_configuration_is_not_seen(
    resolver: Resolver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = tmp_path / "evil"
    make_wheel(evil, "base", "9.0")
    home = tmp_path / "home"
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/uv").mkdir()
    (home / ".config/pip/pip.conf").write_text(f"[global]\nfind-links = {evil}\n")
    (home / ".config/uv/uv.toml").write_text(f'find-links = ["{evil}"]\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uv.toml").write_text(f'[pip]\nfind-links = ["{evil}"]\n')
    bound = tmp_path / "bound.txt"
    bound.write_text("base==1.0\n")
    for name, value in {
        "PIP_FIND_LINKS": str(evil),
        "PIP_EXTRA_INDEX_URL": "http://127.0.0.1:9/simple/",
        "PIP_CONSTRAINT": str(bound),
        "PIP_CONFIG_FILE": str(home / ".config/pip/pip.conf"),
        "UV_FIND_LINKS": str(evil),
        "UV_CONSTRAINT": str(bound),
        "UV_INDEX": "http://127.0.0.1:9/simple/",
        "UV_CONFIG_FILE": str(home / ".config/uv/uv.toml"),
    }.items():
        monkeypatch.setenv(name, value)
    assert names(resolver.resolve(["base"])) == {"base-2.0-py3-none-any.whl"}


@pytest.mark.parametrize(
    "text", ["x @ https://example.org/x-1.0-py3-none-any.whl", "x @ file:///etc/x.whl", "x y", ""]
)
def test_what_is_no_plain_requirement_is_refused(text: str, index: FileIndex, tmp_path: Path) -> None:
    with pytest.raises(StepFailedError) as caught:
        made(index, tmp_path).resolve([text])
    assert caught.value.failure is FailureClass.REQUIREMENTS
    assert text in caught.value.summary


def test_options_cannot_be_smuggled_in(index: FileIndex, tmp_path: Path) -> None:
    for text in ("--find-links=/etc", "-r /etc/passwd", "base\n--index-url http://x", "./here"):
        with pytest.raises(StepFailedError):
            made(index, tmp_path).resolve([text])


def test_wheels_are_fetched_and_checked(index: FileIndex, tmp_path: Path) -> None:
    class Site:
        cache = tmp_path

    (path,) = wheels(made(index, tmp_path).resolve(["base"]), Site)  # type: ignore[arg-type]
    assert zipfile.is_zipfile(path) and path.name == "base-2.0-py3-none-any.whl"


def test_markers_are_those_of_the_target() -> None:
    texts = ["a; platform_machine == 'aarch64'", "b>=1; python_version < '3'", "c[x]>1; extra == 'y'", "d"]
    assert applicable(texts, ARM) == ("a", "d") and applicable(texts, X86) == ("d",)


def test_satisfied_asks_for_versions_and_never_trusts_extras() -> None:
    wheels = files("a_b-1.5-py3-none-any.whl")
    assert satisfied(["A.b>=1", "a-b"], wheels) and satisfied([], ())
    assert (
        not satisfied(["a-b>=2"], wheels)
        and not satisfied(["a-b[x]"], wheels)
        and not satisfied(["c"], wheels)
    )


def test_a_marker_that_cannot_be_evaluated_fails_the_build_only() -> None:
    with pytest.raises(StepFailedError, match="cannot be evaluated") as error:
        applicable(["cffi; implementation_name === 'pypy'"], Target.parse("cp311-manylinux_2_36_x86_64"))
    assert error.value.failure is FailureClass.REQUIREMENTS
