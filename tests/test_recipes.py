from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from samples import pin

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.recipe_files import read_recipes
from wheelbuilder.inputs.recipes import Graft, Limits, Native, Recipe, Recipes
from wheelbuilder.inputs.rungs import Rung

CATALOGUE = Catalogue.read(default_path())
FULL = """\
environment = { CFLAGS = "-O2" }
build-requires = ["cython<3"]
build-constraints = ["setuptools<58"]
imports = ["ldap"]
native = "optional"
rung = "emulated"
remove = ["src/*.c"]
allow-network-attempt = true
patches = [{ file = "fix.patch", status = "not submitted: local only" }]
known-failure = { reason = "needs a newer librdkafka", expires = 2027-01-31 }
config-settings = { "--global-option" = ["a", "b"], plain = "c" }
limits = { timeout = "2h", memory = "8G", jobs = 1 }
repair = { graft = "refuse", exclude = ["libcrypto.so.*"] }
system-packages = { deb = ["libldap-dev"], rpm = ["openldap-devel"] }
runtime-packages = { deb = ["libldap2"], rpm = ["openldap"] }

[[versions]]
range = ">=3"
environment = { LDFLAGS = "-s" }
system-packages.deb = ["libsasl2-dev"]
imports = ["_ldap"]
native = "required"
rung = "native-toolchain"
repair.exclude = ["libssl.so.*"]
limits.jobs = 4
"""


def read(folder: Path, text: str, name: str = "python-ldap", **patches: str) -> Recipes:
    (folder / f"{name}.toml").write_text(text)
    for stem, diff in patches.items():
        (folder / f"{stem}.patch").write_text(diff)
    return read_recipes(folder)


def test_every_key(tmp_path: Path) -> None:
    recipe = read(tmp_path, FULL, fix="--- a\n").for_pin(pin("Python_LDAP===2.9"))
    assert (recipe.project, recipe.deb, recipe.rpm) == ("python-ldap", ("libldap-dev",), ("openldap-devel",))
    assert (recipe.environment, recipe.build_requires) == ({"CFLAGS": "-O2"}, ("cython<3",))
    assert (recipe.runtime_deb, recipe.runtime_rpm) == (("libldap2",), ("openldap",))
    assert recipe.rung is Rung.EMULATED
    assert recipe.remove == ("src/*.c",)
    assert recipe.build_constraints == ("setuptools<58",)
    assert recipe.config_settings == {"--global-option": ("a", "b"), "plain": "c"}
    assert (recipe.imports, recipe.native, recipe.allow_network_attempt) == (("ldap",), Native.OPTIONAL, True)
    assert (recipe.repair.graft, recipe.repair.exclude) == (Graft.REFUSE, ("libcrypto.so.*",))
    assert recipe.limits == Limits(timeout=7200.0, memory=8 * 2**30, jobs=1)
    (patch,) = recipe.patches
    assert (patch.name, patch.text, patch.status) == ("fix.patch", "--- a\n", "not submitted: local only")
    assert recipe.known_failure
    assert recipe.known_failure.expires == date(2027, 1, 31)


def test_a_version_range_extends_arrays_and_tables_and_replaces_the_rest(tmp_path: Path) -> None:
    recipe = read(tmp_path, FULL, fix="").for_pin(pin("python-ldap===3.4.7"))
    assert recipe.deb == ("libldap-dev", "libsasl2-dev")
    assert recipe.rpm == ("openldap-devel",)
    assert recipe.environment == {"CFLAGS": "-O2", "LDFLAGS": "-s"}
    assert (recipe.imports, recipe.native) == (("_ldap",), Native.REQUIRED)
    assert recipe.rung is Rung.TOOLCHAIN
    assert (recipe.repair.graft, recipe.repair.exclude) == (Graft.REFUSE, ("libcrypto.so.*", "libssl.so.*"))
    assert recipe.limits == Limits(timeout=7200.0, memory=8 * 2**30, jobs=4)


def test_a_range_takes_pre_releases(tmp_path: Path) -> None:
    recipes = read(tmp_path, '[[versions]]\nrange = ">=3"\nimports = ["x"]\n')
    assert recipes.for_pin(pin("python-ldap===3.1b1")).imports == ("x",)
    assert recipes.for_pin(pin("python-ldap===2.0")).imports is None


def test_no_recipe_is_the_empty_recipe_under_the_lists_limits(tmp_path: Path) -> None:
    assert read_recipes(tmp_path / "none").for_pin(pin("six===1")) == Recipe(project=pin("six===1").name)
    limits = Limits(timeout=60.0)
    assert read_recipes(tmp_path, limits).for_pin(pin("six===1")).limits == limits


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import = []", "the key 'import' is not known"),
        ("rung = 'cross'", "'rung' = 'cross' must be one of"),
        ("native = 'maybe'", "'native' = 'maybe' must be one of required, optional"),
        ("repair.graft = 'refused'", "repair: 'graft' = 'refused' must be one of graft, refuse"),
        ("imports = ['a-b']", r"'imports\[0\]' = 'a-b' is not the name of a module"),
        ("imports = ['ldap', 'ldap.']", r"'imports\[1\]' = 'ldap\.' is not the name of a module"),
        ("imports = ['os; import sys']", "is not the name of a module"),
        ("build-requires = ['a @ https://example.org/a.whl']", r"'build-requires\[0\]' = .* names a URL"),
        ("build-constraints = ['a[b]<1']", "has extras, which a constraint cannot have"),
        (
            "build-requires = ['a;implementation_name===\"x\"']",
            "has a marker that compares what cannot be compared",
        ),
        ("system-packages.deb = ['a b']", r"system-packages: 'deb\[0\]' = 'a b' is not the name of a system"),
        ("runtime-packages.rpm = ['a', '-oX']", r"runtime-packages: 'rpm\[1\]' = '-oX' is not the name of"),
        ("known-failure = {}", "known-failure: the key 'expires' is missing"),
        ("repair.exclude = ['']", "repair: 'exclude' has an empty name"),
        ("limits = { timeout = '5' }", "limits: 'timeout' = '5' cannot be read: write it like 90s"),
        ("limits = { time = '5m' }", "limits: the key 'time' is not known"),
        ("build-requires = ['a b']", r"'build-requires\[0\]' = 'a b' is not a requirement"),
        ("build-constraints = ['a b']", r"'build-constraints\[0\]' = 'a b' is not a requirement"),
        ("remove = ['a/../../b']", r"'remove\[0\]' = 'a/../../b' is not a path inside the sdist"),
        ("remove = ['/etc/passwd']", "is not a path inside the sdist"),
        ("remove = ['']", "is not a path inside the sdist"),
        ("runtime-packages = { apk = [] }", "runtime-packages: the key 'apk' is not known"),
        (
            "patches = [{ file = 'none.patch', status = 'x' }]",
            r"patches\[0\]: 'file' = .*none\.patch cannot be read: there is no such file\.",
        ),
        ("known-failure = { reason = 'x' }", "known-failure: the key 'expires' is missing"),
        (
            "known-failure = { reason = 'x', expires = 'soon' }",
            "known-failure: 'expires' must be a date such as",
        ),
        ("repair = { grafts = 'refuse' }", "repair: the key 'grafts' is not known"),
        ("environment = { A = 1 }", r"'environment\.A' must be a string"),
        ("[[versions]]\nimports = []", r"versions\[0\]: the key 'range' is missing"),
        (
            "[[versions]]\nrange = 'new'",
            r"versions\[0\]: 'range' = 'new' cannot be read: write a version range",
        ),
        ("[[versions]]\nrange = '>1'\nversions = []", r"versions\[0\]: the key 'versions' is not known"),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as error:
        read(tmp_path, text)
    assert "python-ldap.toml" in error.value.message


def test_the_file_is_named_after_the_project(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Python_LDAP\.toml") as error:
        read(tmp_path, "", name="Python_LDAP")
    assert error.value.hint == "Rename it to python-ldap.toml."


def test_a_bindep_file_adds_what_it_wants_on_the_build_root(tmp_path: Path) -> None:
    (tmp_path / "bindep.txt").write_text(
        "libldap-dev [platform:dpkg !platform:debian-bookworm]\nlibldap2-dev [platform:debian-12]\n"
        "openldap-devel [platform:rpm]\nslapd [platform:dpkg test]\nlibold-dev [platform:dpkg old]\n"
    )
    recipes = read(
        tmp_path,
        """system-packages.deb = ["make"]
bindep = { file = "bindep.txt" }
[[versions]]
range = "<2"
bindep = { file = "bindep.txt", profiles = ["old"] }
""",
    )
    roots = {name: family.roots["x86_64", Role.BUILD] for name, family in CATALOGUE.families.items()}

    def found(version: str, family: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        recipe = recipes.for_pin(pin(f"python-ldap==={version}"), roots[family])
        return recipe.deb, recipe.rpm

    assert found("3.0", "bookworm") == (("make", "libldap2-dev"), ())
    assert found("3.0", "trixie") == (("make", "libldap-dev"), ())
    assert found("3.0", "manylinux_2_28") == (("make",), ("openldap-devel",))
    assert found("1.0", "trixie") == (("make", "libldap-dev", "libldap-dev", "libold-dev"), ())
    assert recipes.for_pin(pin("python-ldap===3.0")).deb == ("make",)


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("bindep = {}", "", "bindep: the key 'file' is missing"),
        (
            "bindep.file = 'none.txt'",
            "",
            r"bindep: 'file' = .*none\.txt cannot be read: there is no such file",
        ),
        ("bindep = { file = 'b.txt', profile = [] }", "", "bindep: the key 'profile' is not known"),
        ("bindep.file = 'b.txt'", "liba b", "b.txt:1: 'liba b' is no line"),
        ("bindep.file = 'b.txt'", "/usr/bin/gcc", "b.txt:1: '/usr/bin/gcc' is a path"),
    ],
)
def test_a_mistake_in_a_bindep_file_is_one_of_the_recipe(
    tmp_path: Path, text: str, line: str, complaint: str
) -> None:
    (tmp_path / "b.txt").write_text(line)
    with pytest.raises(ConfigurationError, match=complaint):
        read(tmp_path, text)
