"""The folders of programs that drivers share: made whole, swept, pruned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from wheelbuilder.build import ccache, front, programs, scratch
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.shelf import KEPT
from wheelbuilder.cli.cache import command
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Catalogue, default_path

# Lays out a program, says so and waits.
MAKER = """
import sys
from wheelbuilder.build import programs
def make(folder):
    folder.mkdir()
    (folder / "half").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
programs.ensure("slow", make)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_home() / "programs"


def lay_out(folder: Path) -> bool:
    folder.mkdir()
    (folder / "program").write_text("x")
    return True


def names(home: Path) -> set[str]:
    return {it.name for it in home.iterdir()}


def test_a_program_is_made_once_and_whole(home: Path) -> None:
    assert programs.ensure("one", lambda _: False) is None and names(home) == set()
    place = programs.ensure("one", lay_out)
    assert place == home / "one" and names(home) == {"one"} and (place / "program").exists()
    assert programs.ensure("one", lambda _: pytest.fail("it is there")) == place

    def fails(folder: Path) -> bool:
        lay_out(folder)
        raise UnreachableError("no.", "")

    with pytest.raises(UnreachableError):
        programs.ensure("two", fails)
    assert names(home) == {"one"}


def test_what_a_killed_process_was_making_goes_with_the_next_run(home: Path) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", MAKER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout
        partial = Path(maker.stdout.readline().strip())
        scratch.sweep()
        assert (partial / "half").exists() and partial.parent == home
        maker.kill()
    (home / ".partial-no mark").mkdir()
    scratch.sweep()
    assert names(home) == set()


def test_what_nobody_has_used_for_long_goes(home: Path) -> None:
    home.mkdir()
    for name in ("used", "old", "new"):
        lay_out(home / name)
    for name in ("used", "old"):
        age = (home / name).stat().st_mtime - KEPT - 1
        os.utime(home / name, (age, age))
    programs.ensure("used", lay_out)
    scratch.sweep()
    assert names(home) == {"used", "new"}


def test_a_prune_lists_and_removes_what_the_image_table_does_not_use(home: Path) -> None:
    catalogue = Catalogue.read(default_path())
    mine = {front.name(), ccache.name(catalogue)}
    others = ("ccache-sarge-vax", "compiler-vax-0123", "held")
    home.mkdir()
    for name in (*mine, *others[:2]):
        lay_out(home / name)
    assert programs.ensure("held", lay_out)
    for words, removed, left in (("--dry-run",), "would remove", others), ((), "removed", ("held",)):
        said = CliRunner().invoke(command, ("prune", *words))
        told = [f"{removed} {home / name}" for name in others[:2]]
        assert said.stdout.splitlines() == [*told, f"a run uses {home / 'held'}"]
        assert names(home) == {*mine, *left}
