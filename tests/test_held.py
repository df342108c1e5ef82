"""Folders of the cache that drivers share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wheelbuilder.build import scratch
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.held import hold, partial, remove, sweep
from wheelbuilder.build.shelf import KEPT

DAY = 86400.0
HOLDER = "import sys; from pathlib import Path; from wheelbuilder.build.held import hold; "
WAITS = HOLDER + "print(hold(Path(sys.argv[1])), flush=True); sys.stdin.read()"


def made(folder: Path, *, age: float = 0.0) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def test_what_another_process_holds_is_not_removed_until_that_ends(tmp_path: Path) -> None:
    folder = made(tmp_path / "home" / "used")
    with subprocess.Popen(
        (sys.executable, "-c", WAITS, str(folder)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == b"True\n"
        assert not remove(folder) and (folder / "deep" / "file").exists()
        holder.kill()
    assert remove(folder) and list((tmp_path / "home").iterdir()) == []


def test_what_is_made_anew_is_held_anew(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "used"
    assert not hold(folder) and not remove(folder)
    assert hold(made(folder)) and hold(folder) and not remove(folder)
    folder.rename(tmp_path / "elsewhere")
    assert not hold(folder)
    made(folder)
    assert remove(folder)  # nobody holds this one
    assert hold(made(folder)) and not remove(folder)


def test_what_nobody_has_used_for_long_goes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made(home / "old", age=3 * DAY)
    made(home / ".gone-0123", age=3 * DAY)
    made(home / "new", age=DAY)
    assert hold(made(home / "used", age=3 * DAY))  # and is new by that
    os.utime(home / "used", (0, 0))
    (home / "a file").write_text("")
    os.utime(home / "a file", (0, 0))
    sweep(home, 2 * DAY)
    assert sorted(it.name for it in home.iterdir()) == ["a file", "new", "used"]
    sweep(tmp_path / "nothing", DAY)


def test_names_of_compilers_for_roots_that_are_gone_go_with_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    old, new = (made(cache_home() / "compilers" / name, age=age) for name, age in (("o", 2 * KEPT), ("n", 0)))
    ours, dead = made(partial(new), age=2 * KEPT), made(new.with_name(".partial-99999999-1.n"))
    scratch.sweep()
    assert new.exists() and not old.exists()
    assert ours.exists() and not dead.exists()
