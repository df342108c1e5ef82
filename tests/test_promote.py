"""What a promotion may require: a proof that nothing would be compiled, and a clean audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Said, command
from mirrors import NOW, wheel_change
from sdists import FileIndex, Workplace, sdist
from tinywheel import make_wheel

from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.read import read_head


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """An index with a wheel and an sdist, and a channel that has a wheel of neither."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with FileIndex() as index:
        index.offer_wheel(make_wheel(tmp_path, "there"))
        index.offer(sdist("source", {"a": ""}))
        made = Workplace(folder=tmp_path / "place", index=index)
        publish(DirectoryStore(made.store), "candidate", [wheel_change(tmp_path)], run="", now=NOW)
        yield made


def promoted(place: Workplace, *words: str | Path) -> Said:
    return command("promote", "candidate", "stable", "--store", place.store, *words)


@pytest.mark.parametrize(
    ("pins", "words"),
    [
        (["there===1.0", "source===1.0"], "a consumer would still compile 1 pin"),
        (["there===1.0", "nowhere===1.0", "nowhere===2.0;python_version<'3'"], "1 pin cannot be had at all"),
        (["there===1.0", "no pin"], "1 line cannot be read"),
        (
            ["source===1.0", "nowhere===1.0", "no pin", "nor this"],
            "a consumer would still compile 1 pin, 1 pin cannot be had at all, 2 lines cannot be read",
        ),
    ],
)
def test_what_a_channel_lacks_is_said_as_it_is(pins: list[str], words: str, place: Workplace) -> None:
    place.write(pins)
    ended = promoted(place, "--require-coverage", place.list_path)
    assert (ended.code, ended.error) == (4, f"candidate@1 does not cover {place.list_path}: {words}.")
    assert not read_head(DirectoryStore(place.store), "stable").commit.number


def test_what_is_covered_and_clean_is_promoted(place: Workplace) -> None:
    place.write(["there===1.0"])
    ended = promoted(place, "--require-coverage", place.list_path, "--require-audit")
    assert (ended.code, ended.out) == (0, "stable now holds what candidate@1 holds: commit 1.\n")


def test_what_is_not_clean_is_not_promoted(place: Workplace) -> None:
    (place.store / "channels/candidate/simple/foo/index.html").write_text("other")
    ended = promoted(place, "--require-audit")
    assert ended.code == 4 and "is not clean: channels/candidate/simple/foo/index.html" in ended.error
    assert not read_head(DirectoryStore(place.store), "stable").commit.number
