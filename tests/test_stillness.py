from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wheelbuilder.build.activity import Activity
from wheelbuilder.build.stillness import LEAST_MOST, Stillness

GIVES_UP = 3  # looks, at a limit of two
TIMEOUT = 1000.0  # seconds


def guarded(log: Path, did: Sequence[Activity | None], seconds: float = 1.0, limit: float = 2.0) -> Stillness:
    """What guards a container that does this, looked at every so many seconds."""
    now, told = iter(range(100)), iter(did)
    return Stillness(log, lambda: next(told), limit, TIMEOUT, clock=lambda: seconds * next(now))


def looks(
    log: Path, computed: Sequence[float | None], words: str = "", *, held_up: bool = False
) -> int | None:
    """How many looks, one a second, it takes until it gives up; None if it never does."""
    did = [it if it is None else Activity(computed=it, held_up=held_up) for it in computed]
    guard = guarded(log, did)
    for count in range(1, len(did) + 1):
        with log.open("a") as file:
            file.write(words)
        if guard.gives_up():
            return count
    return None


def excused(log: Path, computed: Sequence[float], seconds: float = 1.0) -> float:
    """How much of its time a container is excused for that others hold up all the while."""
    guard = guarded(log, [Activity(computed=it, held_up=True) for it in computed], seconds)
    for _ in computed:
        guard.gives_up()
    return guard.excused


def test_it_gives_up_when_nothing_has_moved_for_the_limit(tmp_path: Path) -> None:
    assert looks(tmp_path / "log", [5.0] * 9) == GIVES_UP
    assert looks(tmp_path / "log", [5.0 + 0.009 * n for n in range(9)]) == GIVES_UP
    assert looks(tmp_path / "log", [1.0, 2.0, *[3.0] * 9]) == GIVES_UP + 2


def test_words_computing_and_children_that_end_are_signs_of_life(tmp_path: Path) -> None:
    assert looks(tmp_path / "log", [5.0] * 9, words=".") is None
    assert looks(tmp_path / "log", [5.0 + 0.02 * n for n in range(9)]) is None
    assert looks(tmp_path / "log", [9.0 - n for n in range(9)]) is None


def test_what_cannot_be_seen_does_not_hang(tmp_path: Path) -> None:
    assert looks(tmp_path / "none", [None] * 9) is None


def test_what_others_hold_up_does_not_hang(tmp_path: Path) -> None:
    assert looks(tmp_path / "log", [5.0] * 9, held_up=True) is None


def test_time_is_excused_in_which_others_hold_it_up_and_it_computes_nothing(tmp_path: Path) -> None:
    assert excused(tmp_path / "log", [0.25, 0.25, 1.25, 1.25]) == 0.75 + 1 + 0 + 1
    assert excused(tmp_path / "log", [2.0, 4.0, 6.0, 8.0]) == 0  # on two processors


def test_nothing_is_excused_for_ever(tmp_path: Path) -> None:
    most = 10 * TIMEOUT
    assert most > LEAST_MOST
    assert excused(tmp_path / "log", [0.0] * 9, seconds=most) == most
    guard = guarded(tmp_path / "log", [Activity(computed=0.0, held_up=True)] * 9, most, limit=most + 1)
    assert [guard.gives_up() for _ in range(3)] == [False, False, True]
