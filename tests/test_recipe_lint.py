from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from commands import command
from sdists import ROOT, FileIndex, cli, sdist

from wheelbuilder.inputs.findings import Severity
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.recipe_files import read_recipe
from wheelbuilder.inputs.recipe_lint import lint, lint_names

SHIPPED = ROOT / "requirements-lists/recipes"
TODAY = date(2026, 12, 1)
FIX = "--- a/setup.py\n+++ b/setup.py\n@@ -1 +1 @@\n-VALUE = 1\n+VALUE = 2\n"
PATCHED = '[[patches]]\nfile = "fix.patch"\nstatus = {status!r}\n'
LOCAL = "not submitted: only this mirror wants it"
CATALOGUE = Catalogue.read(default_path())


def codes(folder: Path, text: str, patch: str = FIX) -> list[str]:
    """What lint finds, as `severity code`."""
    (folder / "fix.patch").write_text(patch)
    (folder / "thing.toml").write_text(text)
    return [f"{it.severity} {it.code}" for it in lint(read_recipe(folder / "thing.toml"), TODAY)]


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_that_is_shipped_is_clean(path: Path) -> None:
    assert [str(it.message) for it in lint(read_recipe(path), TODAY)] == []


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("https://example.org/project/pull/12", []),
        ("merged, see https://example.org/project/commit/1", []),
        (LOCAL, []),
        ("accepted: fixed in 21.0", []),
        ("not submitted", ["error status"]),
        ("not submitted: ", ["error status"]),
        ("todo", ["error status"]),
        ("https://", ["error status"]),
    ],
)
def test_a_patch_says_what_became_of_it(tmp_path: Path, status: str, found: list[str]) -> None:
    assert codes(tmp_path, PATCHED.format(status=status)) == found


@pytest.mark.parametrize(
    ("patch", "found"),
    [
        (f"Why it is needed.\n{FIX}", []),
        (FIX.replace("--- a/setup.py", "--- /dev/null"), []),
        ("", ["error patch"]),
        ("just words\n", ["error patch"]),
        (FIX.replace("a/setup.py", "setup.py"), ["error patch"]),
        (FIX.replace("b/setup.py", "b/../../etc/passwd"), ["error patch"]),
        (FIX.replace("b/setup.py", "/etc/passwd"), ["error patch"]),
        (f"{FIX}{FIX.replace('b/setup.py', 'setup.py')}", ["error patch"]),
    ],
)
def test_a_patch_is_a_unified_diff_of_files_in_the_sdist(
    tmp_path: Path, patch: str, found: list[str]
) -> None:
    assert codes(tmp_path, PATCHED.format(status=LOCAL), patch) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("known-failure = { reason = 'x', expires = 2026-12-01 }", []),
        ("known-failure = { reason = 'x', expires = 2026-11-30 }", ["warning expired"]),
        ("[[versions]]\nrange = '<2'\nnative = 'optional'\n", []),
        ("[[versions]]\nrange = '>=3,<2'\nnative = 'optional'\n", ["error range"]),
        ("[[versions]]\nrange = '==1.0,!=1.0'\nnative = 'optional'\n", ["error range"]),
        ("[[versions]]\nrange = ''\nnative = 'optional'\n", ["warning range"]),
        ("[[versions]]\nrange = '<2'\n", ["warning range"]),
        ("[[versions]]\nrange = '<2'\nimports = []\n", []),
        (2 * "[[versions]]\nrange = '>=1,<2'\nnative = 'optional'\n", ["warning range"]),
        ("system-packages.deb = ['a', 'b', 'a']\nsystem-packages.rpm = ['a']", ["warning repeated"]),
        ("system-packages.deb = ['a']", ["warning one-sided"]),
        ("runtime-packages.rpm = ['a']", ["warning one-sided"]),
        ("system-packages.deb = ['a']\n[[versions]]\nrange = '<2'\nsystem-packages.rpm = ['b']", []),
        ("rung = 'emulated'", ["warning rung"]),
        ("rung = 'native'", []),
        ("[[versions]]\nrange = '<=2'\nrung = 'emulated'\n", []),
        ("[[versions]]\nrange = '>=2'\nrung = 'native-toolchain'\n", ["warning rung"]),
        ("environment.PATH = '/bin'", ["warning environment"]),
        ("environment.CFLAG = '-O1'", ["warning environment"]),
        ("environment.Cflags = '-O1'", ["warning environment"]),
        ("environment = { CFLAGS = '-O1', WITH_THING = '1', PYZMQ_NO_BUNDLE = '1' }", []),
    ],
)
def test_what_a_recipe_says_can_hold(tmp_path: Path, text: str, found: list[str]) -> None:
    assert codes(tmp_path, text) == found


def ranges(
    first: str, second: str, keys: tuple[str, str] = ("native = 'optional'", "native = 'required'")
) -> str:
    rows = zip((first, second), keys, strict=True)
    return "".join(f"[[versions]]\nrange = '{range_}'\n{key}\n" for range_, key in rows)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ranges("<3", ">=2"), ["warning overlap"]),
        (ranges("<3", ">=3"), []),
        (ranges("<3", "<2"), []),  # a narrower one that comes later is an exception to the wider one
        (ranges("<2.0", ">=2.0b1"), []),  # PEP 440: no pre-release of 2.0 is below it
        (ranges("<=2.0b2", ">=2.0b1"), ["warning overlap"]),
        (ranges("===2.0", ">=1,<3"), []),
        (ranges("<3", ">=2", ("native = 'optional'", "native = 'optional'")), []),
        (ranges("<3", ">=2", ("environment.A = '1'", "environment.A = '2'")), ["warning overlap"]),
        (ranges("<3", ">=2", ("environment.A = '1'", "environment.B = '2'")), []),
        (ranges("<3", ">=2", ("build-requires = ['a']", "build-requires = ['b']")), []),
        (ranges("<3", ">=2", ("imports = ['a']", "imports = ['b']")), ["warning overlap"]),
        (ranges("<3", ">=2", ("limits.jobs = 1", "limits.jobs = 2")), ["warning overlap"]),
    ],
)
def test_ranges_that_cross_and_contradict_each_other_are_odd(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    assert codes(tmp_path, text) == found


def test_names_of_packages_are_held_against_each_suite(tmp_path: Path) -> None:
    (tmp_path / "bindep.txt").write_text(
        "libnew-dev [platform:debian-trixie]\nlibgone-dev [platform:debian-11]\n"
    )
    path = tmp_path / "thing.toml"
    path.write_text(
        "system-packages.deb = ['libldap-dev', 'libldapp-dev']\nruntime-packages.deb = ['libold']\n"
        "bindep.file = 'bindep.txt'\n"
    )
    bookworm, trixie = (CATALOGUE.families[it].roots["x86_64", Role.BUILD] for it in ("bookworm", "trixie"))
    known = {bookworm: frozenset({"libldap-dev", "libold"}), trixie: frozenset({"libldap-dev", "libnew-dev"})}
    found = {it.message.removeprefix(f"{path}: "): it.severity for it in lint_names(read_recipe(path), known)}
    assert found == {
        "'libldapp-dev' is no package of bookworm, trixie; did you mean 'libldap-dev'?": Severity.ERROR,
        "'libold' is no package of trixie": Severity.WARNING,
    }


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        yield index


def test_the_command_reads_folders_and_files_and_names_what_it_cannot_read(tmp_path: Path) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "broken.toml").write_text("import = []\n")
    (folder / "odd.toml").write_text("system-packages.deb = ['x']\n")
    ended = cli("recipe", "lint", str(folder), "--offline")
    assert ended.code == 1
    assert (
        "error: " in ended.stdout and "the key 'import' is not known. Did you mean 'imports'?" in ended.stdout
    )
    assert ended.stdout.endswith("1 error, 1 warning\n")
    (folder / "broken.toml").unlink()
    (folder / "left.patch").write_text(FIX)
    ended = cli("recipe", "lint", str(folder), "--offline", "--json")
    rows = json.loads(ended.stdout)
    assert ended.code == 0 and [row["code"] for row in rows] == ["unused", "one-sided"]
    assert rows[1]["projects"] == ["odd"]
    assert cli("recipe", "lint", str(folder / "none.toml"), "--offline").code == 1
    assert cli("recipe", "lint", "--offline", "--online").code == 2


def test_online_tries_patches_on_the_oldest_and_the_newest_sdist_of_their_range(
    tmp_path: Path, index: FileIndex
) -> None:
    old = {"setup.py": "VALUE = 1\n", "gen.c": ""}
    index.offer(*(sdist("thing", old, version) for version in ("1.0", "1.5", "2.0")))
    (tmp_path / "fix.patch").write_text(FIX)
    path = tmp_path / "thing.toml"
    words = ("recipe", "lint", str(path), "--online", "--upstream", index.url, "--family", "manylinux_2_28")
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    path.write_text(f"remove = ['gen.c']\n{PATCHED.format(status=LOCAL)}")
    assert cli(*words, env=env).code == 0
    index.offer(sdist("thing", {"setup.py": "VALUE = 3\n", "gen.c": ""}, "3.0"))
    ended = cli(*words, env=env)
    assert ended.code == 1 and "thing 3.0: the patch fix.patch does not apply [patch]" in ended.stdout
    limited = f"[[versions]]\nrange = '<3'\n[[versions.patches]]\nfile = 'fix.patch'\nstatus = '{LOCAL}'\n"
    path.write_text(limited)
    index.offer(sdist("thing", {"setup.py": "VALUE = 0\n"}, "0.5"))
    assert cli(*words, env=env).code == 0
    path.write_text(limited.replace("<3", ">=0.5,<3"))
    ended = cli(*words, env=env)
    assert ended.code == 1 and "thing 0.5: the patch fix.patch does not apply" in ended.stdout
    path.write_text(f"{limited}[[versions]]\nrange = '>=9'\nremove = ['*.c']\n")
    ended = cli(*words, env=env)
    assert ended.code == 0 and "upstream has no sdist in the range '>=9' [no-sdist]" in ended.stdout
    path.write_text("remove = ['none.c']\n")
    assert "the sdist has no none.c to remove" in cli(*words, env=env).stdout


@pytest.mark.engine
def test_the_names_in_what_is_shipped_are_packages_of_some_suite() -> None:
    ended = cli("recipe", "lint", str(SHIPPED), "--family", "bookworm")
    assert ended.code == 0, ended.stdout
    assert "not checked" not in ended.stderr


def test_an_index_that_cannot_be_had_is_told_and_no_error(tmp_path: Path) -> None:
    path = tmp_path / "thing.toml"
    path.write_text("system-packages = { deb = ['x'], rpm = ['x'] }\n")
    bare = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": "/nowhere"}
    ended = cli("recipe", "lint", str(path), "--family", "trixie", env={**os.environ, **bare})
    assert (ended.code, ended.stdout) == (0, "0 errors, 0 warnings\n")
    assert "not checked: The package index of trixie for amd64 cannot be had." in ended.stderr


def test_a_folder_without_a_recipe_is_told(tmp_path: Path) -> None:
    said = command("recipe", "lint", tmp_path, "--offline")
    assert (said.code, said.out.splitlines()[0]) == (0, f"warning: {tmp_path} holds no recipe. [empty]")
