from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from wheelbuilder.build import object_cache
from wheelbuilder.build.object_cache import borrowed, kept, sweep, trim
from wheelbuilder.build.shelf import KEPT
from wheelbuilder.cli.cache import command

PLENTY = 1 << 40
BIG = 1 << 20


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def fill(name: str, *, used: float, size: int = BIG) -> Path:
    with borrowed((name, "root"), name, PLENTY) as objects:
        (objects / "data").write_bytes(os.urandom(size))
    os.utime(objects.parent / object_cache.ABOUT, (used, used))
    return objects


def cache(*words: str) -> str:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def names() -> list[str]:
    return [it.words for it in kept()]


def test_one_identity_one_folder(tmp_path: Path) -> None:
    first = fill("a", used=1)
    with borrowed(("a", "root"), "a", PLENTY) as again, borrowed(("a", "other root"), "b", PLENTY) as other:
        assert again == first and (again / "data").exists()
        assert other != first and list(other.iterdir()) == []


def test_the_oldest_go_first_until_the_rest_is_within_the_limit() -> None:
    for age, name in enumerate(("new", "old", "oldest")):
        fill(name, used=1000 - age)
    assert names() == ["oldest", "old", "new"]
    assert all(BIG <= it.size < 2 * BIG for it in kept())
    assert [it.words for it in trim(5 * BIG // 2, dry_run=True)] == ["oldest"] and len(kept()) == 3
    assert [it.words for it in trim(5 * BIG // 2)] == ["oldest"]
    assert names() == ["old", "new"]
    with borrowed(("next", "root"), "next", BIG) as objects:
        (objects / "data").write_bytes(b"x")
    assert names() == ["next"]


def test_a_build_that_compiles_nothing_leaves_nothing_and_a_failed_one_what_it_compiled() -> None:
    with borrowed(("pure", "root"), "pure", PLENTY):
        pass
    assert kept() == ()
    with suppress(KeyboardInterrupt), borrowed(("failed", "root"), "failed", PLENTY) as objects:
        (objects / "data").write_bytes(os.urandom(BIG))
        raise KeyboardInterrupt
    (found,) = kept()
    assert found.words == "failed" and found.size >= BIG


def test_a_cache_that_is_emptied_by_hand_is_no_trouble_of_a_build() -> None:
    with borrowed(("one",), "one", 1 << 20) as objects:
        shutil.rmtree(objects.parent)
    assert kept() == ()


def test_the_commands_say_what_there_is_and_make_room() -> None:
    for age, name in enumerate(("new", "old")):
        fill(name, used=86400 * (10 - age))
    lines = cache("list").splitlines()
    assert [line.split()[2:] for line in lines[:-1]] == [["1970-01-10", "old"], ["1970-01-11", "new"]]
    assert lines[-1] == "2.0 MB in all"
    told = json.loads(cache("list", "--json"))
    assert [(row["of"], row["used"]) for row in told] == [
        ("old", "1970-01-10T00:00:00Z"),
        ("new", "1970-01-11T00:00:00Z"),
    ]
    assert cache("prune", "--keep", "2M", "--dry-run").startswith("would remove") and len(kept()) == 2
    assert "old" in cache("prune", "--keep", "2M") and names() == ["new"]
    assert "new" in cache("prune") and kept() == ()


def test_what_is_used_stays_and_what_nobody_used_for_long_goes() -> None:
    fill("idle", used=1)
    with borrowed(("busy", "root"), "busy", PLENTY) as objects:
        (objects / "data").write_bytes(b"x")
        assert [it.words for it in trim(0, dry_run=True)] == [it.words for it in trim(0)] == ["idle"]
        assert objects.exists()
    (busy,) = kept()
    os.utime(busy.folder / object_cache.ABOUT, (busy.used - KEPT - 1, busy.used - KEPT - 1))
    fill("fresh", used=busy.used)
    sweep()
    assert names() == ["fresh"]


def test_folders_without_a_readable_note_count_and_can_go() -> None:
    objects = fill("odd", used=1)
    (objects.parent / object_cache.ABOUT).write_text("{")
    (found,) = kept()
    assert found.size >= BIG
    assert len(trim(0)) == 1 and kept() == ()


def test_what_foreign_code_left_is_neither_followed_nor_in_the_way(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").write_bytes(os.urandom(BIG))
    with borrowed(("evil", "root"), "evil", PLENTY) as objects:
        (objects / "link").symlink_to(precious)
        deep = objects
        for _ in range(300):
            deep = deep / "0123456789"
            deep.mkdir()
            os.chdir(deep)
            deep = Path()
    os.chdir("/")
    assert kept()[0].size < 4 * BIG
    assert len(trim(0)) == 1
    assert (precious / "data").exists()
