"""`wheelbuilder list show`, `diff`, `lint` and `why`, on lists of small and of real branches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Said, command
from mirrors import NOW, wheel_change
from sdists import FileIndex, sdist
from simple_index import Answer

from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish

CONSTRAINTS = Path(__file__).parent / "data" / "constraints"
X86, ARM = "cp311-manylinux_2_36_x86_64", "cp311-manylinux_2_36_aarch64"
NEW_X86 = "cp313-manylinux_2_41_x86_64"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileIndex]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with FileIndex() as index:
        yield index


def write(
    folder: Path,
    extra: str = "",
    *,
    name: str = "list",
    targets: tuple[str, ...] = (X86, ARM),
    **branches: str,
) -> Path:
    """Write a list of branches, each given as the text of its constraints."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    lines = [f"targets = {json.dumps(targets)}", extra, "[branches]"]
    for branch, text in branches.items():
        (folder / f"{name}-{branch}.txt").write_text(text)
        lines.append(f'{branch} = "{name}-{branch}.txt"')
    path.write_text("\n".join(lines) + "\n")
    return path


def real(folder: Path, **branches: str) -> Path:
    texts: dict[str, Any] = {
        name: (CONSTRAINTS / f"upper-constraints-{it}.txt").read_text() for name, it in branches.items()
    }
    return write(folder, **texts)


def document(said: Said) -> Any:
    return json.loads(said.out)


def test_show_counts_what_is_pinned_where(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        one="a===1\nb===1\nc===1;platform_machine=='aarch64'\n",
        two="a===1\nb===2\nb===3\nbad line\n",
    )
    said = command("list", "show", path, "--json")
    shown = document(said)
    assert (shown["pins"], shown["distinct"], shown["mode"]) == (6, 5, "pins")
    assert [(row["branch"], row["pins"], row["unreadable"]) for row in shown["branches"]] == [
        ("one", 3, 0),
        ("two", 3, 1),
    ]
    assert [(row["pins"], row["conflicts"], row["not applicable"]) for row in shown["targets"]] == [
        (2, 1, 1),
        (3, 1, 0),
    ]
    told = command("list", "show", path).out
    assert "list: mode pins, channel list, upstream http" in told
    assert "6 pins, 5 of them distinct" in told


def test_show_real_branches(tmp_path: Path) -> None:
    path = real(tmp_path, master="master", b2025_2="stable-2025.2", b2024_1="unmaintained-2024.1")
    shown = document(command("list", "show", path, "--json"))
    assert (shown["pins"], shown["distinct"]) == (1797, 1430)


def test_diff_of_two_branches_of_a_list(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        old="gone===1\nsame===1\nmoved===1.0\nsplit===1\n",
        new="same===1\nmoved===1.1\ncome===2\nsplit===1;python_version<'3.12'\nsplit===2;python_version>='3.12'\n",
    )
    said = command("list", "diff", path, "old", "new")
    assert said.out.splitlines() == [
        "old -> new: 1 added, 1 removed, 2 changed",
        "  + come 2",
        "  - gone 1",
        "  ~ moved 1.0 -> 1.1",
        '  ~ split 1 -> 1; python_version < "3.12", 2; python_version >= "3.12"',
    ]
    (row,) = document(command("list", "diff", f"{path}@old", f"{path}@new", "--json"))["branches"]
    assert [(it["project"], it["old"], it["new"]) for it in row["added"]] == [("come", [], ["2"])]
    assert [it["project"] for it in row["changed"]] == ["moved", "split"]


def test_diff_of_a_list_and_an_earlier_copy(tmp_path: Path) -> None:
    before = write(tmp_path / "before", one="a===1\n", two="b===1\n", gone="c===1\n")
    now = write(tmp_path / "now", 'build-constraints = ["x<2"]', targets=(X86,), one="a===2\n", two="b===1\n")
    assert command("list", "diff", before, now).out.splitlines() == [
        "targets:",
        f"  - {ARM}",
        "branches:",
        "  - gone",
        "build-constraints:",
        "  + x<2",
        "one: 1 changed",
        "  ~ a 1 -> 2",
    ]
    assert command("list", "diff", now, now).out == f"{now} and {now} say the same.\n"


def test_diff_with_a_file_of_constraints(tmp_path: Path) -> None:
    path = write(tmp_path, one="a===1\n", two="a===2\n")
    copy = tmp_path / "copy.txt"
    copy.write_text("a===1\n")
    assert command("list", "diff", copy, f"{path}@one").out == f"{copy} and {path}@one pin the same.\n"
    assert "~ a 1 -> 2" in command("list", "diff", copy, f"{path}@two").out
    said = command("list", "diff", copy, path)
    assert (said.code, "one is a list of several branches" in said.error) == (2, True)


@pytest.mark.parametrize(
    ("operands", "words"),
    [
        (("{list}", "one", "none"), "has no branch 'none'"),
        (("{list}@none", "{list}"), "has no branch 'none'"),
        (("none.toml", "{list}"), "none.toml cannot be read: there is no such file"),
        (("ftp://x", "{list}"), "ftp://x is neither a file nor the address of one"),
    ],
)
def test_diff_of_what_is_not_there(tmp_path: Path, operands: tuple[str, ...], words: str) -> None:
    path = write(tmp_path, one="a===1\n")
    said = command("list", "diff", *(operand.format(list=path) for operand in operands))
    assert (said.code, words in said.error) == (2, True)
    assert command("list", "diff", path).code == 2


def test_diff_with_what_an_address_gives_and_lines_that_cannot_be_read(
    tmp_path: Path, index: FileIndex
) -> None:
    path = write(tmp_path, one="a===1\nbad line\n")
    index.answers("/c.txt", Answer(body=b"<html>\na===2\n", content_type="text/plain"))
    said = command("list", "diff", f"{index.base}c.txt", path)
    assert said.code == 0 and "  ~ a 2 -> 1" in said.out.splitlines()
    assert [line.partition(" is not a requirement")[0] for line in said.err.splitlines()] == [
        f"not compared, because it cannot be read: {index.base}c.txt:1: '<html>'",
        f"not compared, because it cannot be read: {tmp_path}/list-one.txt:2: 'bad line'",
    ]


@pytest.mark.parametrize("words", [("list", "show"), ("plan",), ("list", "update")])
@pytest.mark.parametrize("address", ["https://example.org/list.toml", ""])
def test_a_list_is_a_file_that_lies_here(words: tuple[str, ...], address: str) -> None:
    said = command(*words, address)
    assert (said.code, said.error) == (2, f"{address!r} is not the path of a list.")


LINTED = """\
# every kind of trouble
twice===1
twice===1
jira===1
jira===2;platform_machine=='aarch64'
bad line
dated===2013.06
loose==1
dead===1;python_version<'3'
My_Name===1.0
"""


def test_lint_finds_each_kind_of_trouble(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "unpinned.toml").write_text('imports = ["x"]\n')
    (tmp_path / "recipes" / "loose.toml").write_text('[[versions]]\nrange = ">=5"\nimports = ["x"]\n')
    path = write(tmp_path, one=LINTED, two="my-name===1.0.0\n", three="my-name===1.0.0\n")
    said = command("list", "lint", path, "--json")
    assert said.code == 1
    found = {row["code"]: row for row in document(said)}
    assert {code for code, row in found.items() if row["severity"] == "error"} == {
        "unreadable",
        "conflict",
        "unmatchable",
    }
    file = tmp_path / "list-one.txt"
    assert {code: row["message"] for code, row in found.items()} == {
        "unreadable": f"{file}:6: 'bad line' " + found["unreadable"]["message"].partition("line' ")[2],
        "conflict": f"conflicting pins: jira===1 ({file}:4), jira===2 ({file}:5) on {ARM}",
        "unmatchable": (
            f"{file}:7: installers compare the text of dated===2013.06 with normalized versions and find "
            "nothing: write it as ===2013.6"
        ),
        "alike": "the branches two and three pin the same",
        "repeated": f"{file}:3: 'twice===1' repeats line 2; it is read once.",
        "loose": "one pins with == instead of ===, which takes local versions too: loose",
        "dead-marker": 'one: the marker python_version < "3" holds on none of the targets: dead',
        "spelling": "one project is spelt 2 ways: My_Name (one, line 10), my-name (two, line 1)",
        "version-spelling": (
            "one version of my-name is spelt 2 ways: 1.0 (one, line 10), 1.0.0 (two, line 1)"
        ),
        "unused-recipe": "the recipe of loose has a range that no pin is in: >=5",
    }
    told = command("list", "lint", path)
    assert (told.code, told.out.splitlines()[-1]) == (1, "3 errors, 8 warnings")
    assert "recipes of projects that no branch pins: unpinned" in told.out


@pytest.mark.parametrize(
    ("names", "better"),
    [
        (("2023.1", "2024.1", "yoga", "zed"), "2024.1, 2023.1, zed, yoga"),
        (("zed", "yoga", "master", "2024.1"), "master, 2024.1, zed, yoga"),
        (("2.10", "2.8", "2.9"), "2.10, 2.9, 2.8"),
        (("2.10", "2.9", "2.8"), None),
        (("master", "2026.1", "2025.2", "zed"), None),
        (("yoga", "zed", "2023.1"), None),
    ],
)
def test_lint_knows_the_trap_of_text_order(
    tmp_path: Path, names: tuple[str, ...], better: str | None
) -> None:
    path = write(tmp_path)
    rows = [f'"{name}" = "{index}.txt"' for index, name in enumerate(names)]
    for index in range(len(names)):
        (tmp_path / f"{index}.txt").write_text(f"a==={index}\n")
    path.write_text(path.read_text() + "\n".join(rows) + "\n")
    found = [row["message"] for row in document(command("list", "lint", path, "--json"))]
    told = f"the branches are sorted as text, which is not their age: write {better}"
    assert found == ([told] if better else [])


@pytest.mark.parametrize("branch", ["master", "stable-2026.1", "stable-2025.2", "unmaintained-yoga"])
def test_lint_has_no_errors_for_real_branches(tmp_path: Path, branch: str) -> None:
    said = command("list", "lint", real(tmp_path, one=branch))
    assert said.code == 0
    assert said.out.splitlines()[-1].startswith("0 errors, ")


def closure(folder: Path, index: FileIndex, requirements: str, pins: str) -> Path:
    (folder / "app.txt").write_text(requirements)
    (folder / "pins.txt").write_text(pins)
    path = folder / "list.toml"
    path.write_text(
        f'targets = {json.dumps([X86, NEW_X86])}\nupstream = "{index.url}"\nmode = "closure"\n'
        'branches.main = { path = "pins.txt", requirements = ["app.txt"] }\n'
    )
    return path


def test_lint_follows_requirements(index: FileIndex, tmp_path: Path) -> None:
    egg = {"app.egg-info/requires.txt": "none>1\nold<2\n"}
    index.offer(sdist("app", egg), sdist("old", {}, "2.0"))
    requirements = "app\nwin;sys_platform=='win32'\nmissing\n"
    path = closure(tmp_path, index, requirements, "app===1.0\nold===2.0\n")
    said = command("list", "lint", path)
    assert said.code == 1
    line, needs, lacks = f"{tmp_path}/app.txt", "app===1.0 requires", "but the branch main"
    everywhere, old = "on every target [unmet]", f"old===2.0 ({tmp_path}/pins.txt:2)"
    assert said.out.splitlines() == [
        f"warning: {line}:2: \"win;sys_platform=='win32'\" applies to none of the targets [dead-requirement]",
        f"error: {line}:3: 'missing', {lacks} does not pin it, {everywhere}",
        f"error: {line}:1: 'app', {needs} 'none>1', {lacks} does not pin it, {everywhere}",
        f"error: {line}:1: 'app', {needs} 'old<2', {lacks} pins {old}, {everywhere}",
        "warning: dependencies of app===1.0 are those its sdist recorded (app-1.0.tar.gz) [uncertain]",
        "3 errors, 2 warnings",
    ]
    (tmp_path / "app.txt").write_text("-e .\n")
    said = command("list", "lint", path)
    assert (said.code, "is editable" in said.out) == (1, True)


LOOSE = "does not pin one version with === or =="


def test_why_names_branches_markers_and_targets(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        one="My.Name===1;platform_machine=='aarch64'\n",
        two="my-name===2\nmy-name===3;platform_machine=='aarch64'\nmy-name>4\n",
        three="other===1\n",
    )
    said = command("why", path, "my_name")
    assert said.code == 0
    one, two = tmp_path / "list-one.txt", tmp_path / "list-two.txt"
    assert said.out.splitlines() == [
        f'one: my-name===1; platform_machine == "aarch64" ({one}:1) on {ARM}',
        f"  its marker excludes {X86}",
        f"two: my-name===2 ({two}:1) on every target",
        f'two: my-name===3; platform_machine == "aarch64" ({two}:2) on {ARM}',
        f"  its marker excludes {X86}",
        f"conflicting pins: my-name===2 ({two}:1), my-name===3 ({two}:2): nobody can install it on {ARM}",
        f"a line that cannot be read pins nothing: {two}:3: 'my-name>4' {LOOSE}",
    ]
    row = document(command("why", path, "my_name", "--json"))
    assert (row["project"], row["wanted"], row["mode"]) == ("my-name", True, "pins")
    assert [(it["branch"], it["version"], it["targets"], it["excluded"]) for it in row["pins"]] == [
        ("one", "1", [ARM], [X86]),
        ("two", "2", [X86, ARM], []),
        ("two", "3", [ARM], [X86]),
    ]


@pytest.mark.parametrize(
    ("name", "near"),
    [("ldap", "'ldappool' or 'python-ldap'"), ("oslo.confg", "'oslo.config'"), ("kaldi", "")],
)
def test_why_of_a_name_that_is_not_there(tmp_path: Path, name: str, near: str) -> None:
    path = real(tmp_path, master="master")
    said = command("why", path, name)
    assert said.code == 1
    assert said.out.startswith(f"No branch of list pins {name.replace('.', '-')}.")
    assert (f"Did you mean {near}" in said.out) is bool(near)


def test_why_of_what_the_list_leaves_out(tmp_path: Path) -> None:
    said = command("why", write(tmp_path, 'pins = ["a"]', one="a===1\nb===1\n"), "b")
    assert said.code == 1
    assert said.out.splitlines()[-1] == "The list's own choice of projects (its key 'pins') leaves it out."


def test_why_tells_the_chain_of_a_closure(index: FileIndex, tmp_path: Path) -> None:
    index.offer(
        sdist("app", {"PKG-INFO": "Metadata-Version: 2.2\nRequires-Dist: mid\nRequires-Dist: side\n"}),
        sdist(
            "mid", {"PKG-INFO": 'Metadata-Version: 2.2\nRequires-Dist: deep>=1; python_version < "3.12"\n'}
        ),
        sdist("side", {"PKG-INFO": "Metadata-Version: 2.2\nRequires-Dist: mid\n"}),
        sdist("deep", {"PKG-INFO": "Metadata-Version: 2.2\n"}),
    )
    pins = "".join(f"{name}===1.0\n" for name in ("app", "mid", "side", "deep", "unasked"))
    path = closure(tmp_path, index, "app\n", pins)
    deep = command("why", path, "deep")
    assert (deep.code, deep.out.splitlines()[1:]) == (
        0,
        [
            f"main: needed on {X86}, because",
            f"  {tmp_path}/app.txt:1: 'app'",
            "  app===1.0 requires 'mid'",
            "  mid===1.0 requires 'deep>=1; python_version < \"3.12\"'",
        ],
    )
    mid = command("why", path, "mid").out.splitlines()
    assert mid[1] == "main: needed on every target, because"
    assert mid[-1] == "  and because side===1.0 requires 'mid'"
    unasked = command("why", path, "unasked")
    assert (unasked.code, unasked.out.splitlines()[-1]) == (
        1,
        "Nothing that the requirement files name needs it.",
    )


def test_the_wheels_of_a_mirror_tell_what_sdists_do_not(index: FileIndex, tmp_path: Path) -> None:
    index.offer(sdist("app", {"PKG-INFO": ""}), sdist("deep", {"PKG-INFO": "Metadata-Version: 2.2\n"}))
    path, store = closure(tmp_path, index, "app\n", "app===1.0\ndeep===1.0\n"), tmp_path / "store"
    wheel = wheel_change(tmp_path / "built", "app", requires=("deep", "gone>=1"))
    publish(DirectoryStore(store), "list", [wheel], run="", now=NOW)
    assert command("why", path, "deep").code == 1
    told = command("why", path, "deep", "--store", store)
    assert (told.code, "  app===1.0 requires 'deep'" in told.out.splitlines()) == (0, True)
    assert command("list", "lint", path).code == 0
    linted = command("list", "lint", path, "--store", store)
    assert (linted.code, "app===1.0 requires 'gone>=1', but" in linted.out) == (1, True)
    said = command("list", "lint", path, "--store", tmp_path / "none")
    assert (said.code, said.error) == (2, f"The store {tmp_path}/none does not exist.")


def test_why_of_a_requirement_that_no_pin_satisfies(index: FileIndex, tmp_path: Path) -> None:
    said = command("why", closure(tmp_path, index, "app>2\n", "app===1.0\n"), "app")
    assert said.code == 1
    assert said.out.splitlines()[1] == (
        f"not satisfied: {tmp_path}/app.txt:1: 'app>2', but the branch main pins app===1.0 "
        f"({tmp_path}/pins.txt:1)"
    )
