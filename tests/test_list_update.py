"""`wheelbuilder list update` against a real server, and the list of OpenStack's branches with real files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import command
from sdists import FileIndex
from simple_index import Answer

from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.lists import read_list

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "tests" / "data" / "constraints"
RELEASES = "https://releases.openstack.org/"
OPENSTACK = {
    "master": "master",
    "2026.1": "stable-2026.1",
    "2025.2": "stable-2025.2",
    "2025.1": "stable-2025.1",
    "2024.1": "unmaintained-2024.1",
}


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        yield index


def text(body: str, *, status: int = 200, promised: int | None = None) -> Answer:
    return Answer(body=body.encode(), content_type="text/plain", status=status, promised=promised)


def write(folder: Path, index: FileIndex, *names: str, mode: str = "pins", requirements: str = "") -> Path:
    path = folder / "list.toml"
    rows = [f'{name} = {{ url = "{index.base}{name}.txt"{requirements} }}' for name in names]
    lines = ['targets = ["cp311-manylinux_2_36_x86_64"]', f'mode = "{mode}"', "[branches]", *rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def kept(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "list").glob("*")}


def test_copies_are_kept_and_then_read(index: FileIndex, tmp_path: Path) -> None:
    path = write(tmp_path, index, "one", "two")
    index.answers("/one.txt", text("a===1\n# \u00fc\n"), text("a===2\nb===1\n"))
    index.answers("/two.txt", text("a===1\n"))
    made = command("list", "update", path)
    assert made.out.splitlines() == [f"{name}: {tmp_path}/list/{name}.txt is made" for name in ("one", "two")]
    assert kept(tmp_path) == {"one.txt": "a===1\n# \u00fc\n", "two.txt": "a===1\n"}
    index.requests.clear()
    shown = json.loads(command("list", "show", path, "--json").out)
    assert [(row["from"], row["kept copy"]) for row in shown["branches"]] == [
        (f"{tmp_path}/list/{name}.txt", True) for name in ("one", "two")
    ]
    assert index.requests == []
    updated = command("list", "update", path)
    assert updated.out.splitlines() == [
        f"one: {tmp_path}/list/one.txt is brought up to date",
        "one: 1 added, 1 changed",
        "  ~ a 1 -> 2",
        "  + b 1",
        f"two: {tmp_path}/list/two.txt is what {index.base}two.txt gives",
    ]
    assert kept(tmp_path)["one.txt"] == "a===2\nb===1\n"


def test_a_dry_run_says_so_and_writes_nothing(index: FileIndex, tmp_path: Path) -> None:
    path = write(tmp_path, index, "one")
    index.answers("/one.txt", text("a===1\n"))
    said = command("list", "update", path, "--dry-run", "--json")
    (row,) = json.loads(said.out)
    assert (row["branch"], row["changed"], row["url"]) == ("one", True, f"{index.base}one.txt")
    assert "would be made" in command("list", "update", path, "--dry-run").out
    assert kept(tmp_path) == {}


SORRY = (
    "{url} has no pins: its one line is none: {url}:1: '<html>Sorry</html>' is not a requirement"
    " (PEP 508): Expected package name at the start of dependency specifier."
)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (text("", status=404), 3, "{url} cannot be read: the server answers 404 Not Found."),
        (text("a===2\n", promised=5000), 3, "{url} cannot be read: the connection breaks off."),
        (
            text("<html>Sorry</html>"),
            2,
            SORRY,
        ),
        (text("# empty\n"), 2, "{url} has no pins."),
    ],
)
def test_all_of_it_or_nothing(
    index: FileIndex, tmp_path: Path, answer: Answer, code: int, words: str
) -> None:
    path = write(tmp_path, index, "one", "two")
    for name in ("one", "two"):
        index.answers(f"/{name}.txt", text("a===1\n"))
    assert command("list", "update", path).code == 0
    index.answers("/one.txt", text("a===2\n"))
    index.answers("/two.txt", answer)
    said = command("list", "update", path)
    assert (said.code, said.error) == (code, words.format(url=f"{index.base}two.txt"))
    assert kept(tmp_path) == {"one.txt": "a===1\n", "two.txt": "a===1\n"}
    assert command("list", "show", path).code == 0  # the run after it has what was there before


def test_only_some_branches(index: FileIndex, tmp_path: Path) -> None:
    path = write(tmp_path, index, "one", "two")
    index.answers("/one.txt", text("a===1\n"))
    assert command("list", "update", path, "--branch", "one").code == 0
    assert list(kept(tmp_path)) == ["one.txt"]
    said = command("list", "update", path, "--branch", "three")
    assert (said.code, said.error) == (2, f"The list {path} has no branch 'three'.")


def test_requirement_files_are_kept_too(index: FileIndex, tmp_path: Path) -> None:
    given = f', requirements = ["{index.base}app.txt"]'
    path = write(tmp_path, index, "one", mode="closure", requirements=given)
    index.answers("/one.txt", text("a===1\n"))
    index.answers("/app.txt", text("a>=1\n"), text("a>=2\nb\n"), text("<html>\n"))
    assert command("list", "update", path).code == 0
    assert kept(tmp_path) == {"one.txt": "a===1\n", "one-requirements-0.txt": "a>=1\n"}
    assert command("list", "update", path).out.splitlines()[1:] == [
        f"one: {tmp_path}/list/one-requirements-0.txt is brought up to date",
        "requirements:",
        "  - a>=1",
        "  + a>=2",
        "  + b",
    ]
    said = command("list", "update", path)
    assert (said.code, f"{index.base}app.txt has no requirement that can be read" in said.error) == (2, True)


def test_a_folder_that_cannot_be_written(index: FileIndex, tmp_path: Path) -> None:
    path = write(tmp_path, index, "one")
    index.answers("/one.txt", text("a===1\n"))
    (tmp_path / "list").write_text("in the way")
    said = command("list", "update", path)
    assert (said.code, said.error) == (
        2,
        f"{tmp_path}/list/one.txt cannot be written: File exists; nothing was changed.",
    )


def test_a_list_of_paths_has_nothing_to_update(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_text('branches.main = "pins.txt"\n')
    said = command("list", "update", path)
    assert (said.code, said.out) == (0, f"{path} names no URL of which a copy could be kept.\n")


@pytest.fixture
def openstack(index: FileIndex, tmp_path: Path) -> Path:
    """The list as it is, its release site on loopback: as there, each URL leads on to another place."""
    for branch, name in OPENSTACK.items():
        moved = Answer(status=302, headers={"Location": f"/raw/{name}"})
        index.answers(f"/constraints/upper/{branch}", moved)
        index.answers(f"/raw/{name}", text((CONSTRAINTS / f"upper-constraints-{name}.txt").read_text()))
    path = tmp_path / "openstack.toml"
    given = (ROOT / "requirements-lists" / "openstack.toml").read_text()
    assert given.count(RELEASES) == len(OPENSTACK)
    recipes = ROOT / "requirements-lists" / "recipes"
    path.write_text(given.replace(RELEASES, index.base).replace('"recipes"', f'"{recipes}"'))
    return path


def test_the_list_of_openstack(openstack: Path, index: FileIndex) -> None:
    listed = read_list(openstack, Catalogue.read(default_path()), strict=True)
    assert [branch.branch for branch in listed.branches] == list(OPENSTACK)
    assert [len(branch.pins) for branch in listed.branches] == [575, 554, 603, 599, 619]
    assert listed.branches[0].file == f"{index.base}constraints/upper/master"
    assert (listed.channel, len(listed.targets)) == ("openstack", 8)
    linted = command("list", "lint", openstack)
    assert (linted.code, linted.out.splitlines()[-1][:9]) == (0, "0 errors,")


def test_a_night_on_which_the_release_site_is_down(openstack: Path, index: FileIndex) -> None:
    index.answers("/constraints/upper/2025.1", Answer(status=404))
    said = command("list", "show", openstack)
    assert (said.code, said.error) == (
        3,
        f"{index.base}constraints/upper/2025.1 cannot be read: the server answers 404 Not Found.",
    )
    assert "`wheelbuilder list update` keeps copies for such days." in said.err
