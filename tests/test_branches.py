"""A list of several branches: one build for each pin, and each branch's own pins beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import command
from mirrors import snapshot
from sdists import TARGET, FileIndex, Sdist, Workplace, in_tree
from tinywheel import make_wheel

# A trial excuses a module that is missing, so this one does not let it be missing.
NEEDY = """\
code = f"try:\\n import beside\\nexcept ImportError:\\n beside = None\\nassert beside.VERSION == {VERSION!r}"
return pack(folder, {f"{NAME}.py": code.encode()}, requires=["beside"])
"""


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        yield index


def several(work: Workplace, **branches: str) -> None:
    """Write a list of branches, each given as the text of its constraints."""
    work.write([])
    lines = [line for line in work.list_path.read_text().splitlines() if not line.startswith("branches")]
    for name, text in branches.items():
        (work.folder / f"{name}.txt").write_text(text)
        lines.append(f"branches.{name} = {json.dumps(f'{name}.txt')}")
    work.list_path.write_text("\n".join(lines) + "\n")


@pytest.mark.engine
def test_branches_that_contradict_each_other(index: FileIndex, tmp_path: Path) -> None:
    both = in_tree("both")
    needy = [in_tree("needy", NEEDY, version=version) for version in ("1.0", "2.0")]
    index.offer(both, *needy)
    for version in ("1.0", "2.0"):
        index.offer_wheel(make_wheel(tmp_path, "beside", version))
    work = Workplace(folder=tmp_path / "work", index=index)
    several(
        work,
        old="both===1.0\nneedy===1.0\nbeside===1.0\n",
        new="both===1.0\nneedy===2.0\nbeside===2.0\n",
    )
    done = work.run()
    assert done.code == 0, done.stderr  # each was tried with the version that its own branch pins
    rows = {(row["project"], row["version"]): row for row in done.document["outcomes"]}
    assert {what: row["branches"] for what, row in rows.items()} == {
        ("both", "1.0"): ["old", "new"],
        ("needy", "1.0"): ["old"],
        ("needy", "2.0"): ["new"],
    }
    kept = json.loads((work.store / f"records/{rows['both', '1.0']['key']}.json").read_text())
    assert kept["branches"] == ["old", "new"]
    assert needed(work) == {"both-1.0": ["new", "old"], "needy-1.0": ["old"], "needy-2.0": ["new"]}
    why = command("why", work.list_path, "needy", "--store", work.store).out
    assert f"needy-1.0-py3-none-any.whl: list, branch old, on {TARGET}" in why
    several(work, new="needy===2.0\nbeside===2.0\n", old="both===1.0\nneedy===2.0\nbeside===1.0\n")
    assert work.run("--pin", "both").code == 0  # a part of the list says nothing of the rest
    assert needed(work) == {"both-1.0": ["old"], "needy-1.0": ["old"], "needy-2.0": ["new"]}
    assert work.run().code == 0
    assert needed(work) == {"both-1.0": ["old"], "needy-1.0": [], "needy-2.0": ["new", "old"]}
    several(work, new="beside===1.0\n")
    assert work.run().code == 0
    assert needed(work) == {"both-1.0": [], "needy-1.0": [], "needy-2.0": []}
    before = snapshot(work.store)
    assert work.run().code == 0
    assert snapshot(work.store) == before
    assert work.audit().code == 0


def needed(work: Workplace) -> dict[str, list[str]]:
    """The branches that need each file of the channel, as a reader is told."""
    shown = json.loads(command("channel", "show", "test", "--store", work.store, "--json").out)
    return {
        row["filename"].removesuffix("-py3-none-any.whl"): sorted(row["needed_by"].get("list", {}))
        for row in shown["files"]
    }


@pytest.mark.engine
def test_a_run_of_a_closure_builds_what_is_needed(index: FileIndex, tmp_path: Path) -> None:
    index.offer(in_tree("unasked"), in_tree("needy", NEEDY))
    index.offer_wheel(make_wheel(tmp_path, "beside"))
    work = Workplace(folder=tmp_path / "work", index=index)
    closure(work, "needy===1.0\nunasked===1.0\nbeside===1.0\nbad line\n", "needy\nbeside>=1\n")
    done = work.run()
    assert done.code == 0, done.stderr
    assert work.wheels() == ["needy-1.0-py3-none-any.whl"]
    assert list(done.outcomes) == ["needy"]
    # the line that cannot be read may pin anything, but nothing that was asked for
    assert done.document["quarantined"] == []
    assert "nothing was built and nothing was written" in work.run().stderr


def closure(work: Workplace, pins: str, wanted: str, extra: str = "") -> None:
    """Write a list with one closure."""
    work.write([])
    (work.folder / "pins.txt").write_text(pins)
    (work.folder / "app.txt").write_text(wanted)
    named = '{ path = "pins.txt", requirements = ["app.txt"] }'
    text = work.list_path.read_text().replace('"pins.txt"', named)
    work.list_path.write_text(f'mode = "closure"\n{extra}{text}')


def requiring(name: str, *requires: str) -> Sdist:
    """An sdist that says only once it is built what it requires."""
    return in_tree(name, f"return pure(folder, requires={list(requires)!r})")


@pytest.mark.engine
def test_what_a_build_tells_of_its_requirements_is_built_in_the_same_run(
    index: FileIndex, tmp_path: Path
) -> None:
    index.offer(requiring("app", "below", "floats"), requiring("below", "lowest"), in_tree("lowest"))
    work = Workplace(folder=tmp_path / "work", index=index)
    pins = "app===1.0\nbelow===1.0\nlowest===1.0\n"
    closure(work, pins, "app\n", 'unpinned = ["floats"]\n')
    done = work.run()
    assert done.code == 0, done.stderr
    assert [row["project"] for row in done.document["outcomes"]] == ["app", "below", "lowest"]
    assert done.document["untold"] == []
    assert done.document["coverage"] == [f"{TARGET}: 3 pins, nothing would be compiled"]
    assert "what was built requires more: below===1.0" in done.stderr
    assert len(list(work.store.glob("runs/*.json"))) == 1
    assert needed(work) == {f"{name}-1.0": ["main"] for name in ("app", "below", "lowest")}
    again = work.run()
    assert again.code == 0 and "nothing was built and nothing was written" in again.stderr
    assert "the branch main needs floats and does not pin it: it is left out (unpinned)" in again.stderr
    assert work.audit().code == 0


@pytest.mark.engine
def test_a_build_that_requires_what_no_pin_satisfies_is_published_and_an_error(
    index: FileIndex, tmp_path: Path
) -> None:
    index.offer(requiring("app", "below>=2"), in_tree("below"))
    work = Workplace(folder=tmp_path / "work", index=index)
    closure(work, "app===1.0\nbelow===1.0\n", "app\n")
    done = work.run()
    assert (
        done.code == 2
        and "app===1.0 requires 'below>=2', but the branch main pins below===1.0" in done.stderr
    )
    assert work.wheels() == ["app-1.0-py3-none-any.whl"]
    assert len(list(work.store.glob("runs/*.json"))) == 1
    assert work.audit().code == 0


def test_what_a_list_leaves_out_is_said(index: FileIndex, tmp_path: Path) -> None:
    for name in ("beside", "other"):
        index.offer_wheel(make_wheel(tmp_path, name))
    work = Workplace(folder=tmp_path / "work", index=index)
    work.write(["beside===1.0", "other===1.0"], 'branches.old = { path = "none.txt", allow-empty = true }\n')
    (work.folder / "none.txt").write_text("")
    work.list_path.write_text('pins = ["beside"]\n' + work.list_path.read_text())
    said = work.run().stderr
    assert "the branch old has no pins: nothing of it is wanted (allow-empty)\n" in said
    assert "1 of 2 pinned projects are left out (pins)\n" in said
