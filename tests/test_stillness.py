from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from wheelbuilder.build.stillness import Stillness, processor_time

GIVES_UP = 3  # looks, at a limit of two


def looks(log: Path, computed: list[float | None], words: str = "") -> int | None:
    """How many looks, one a second, it takes until it gives up; None if it never does."""
    now, told = iter(range(100)), iter(computed)
    guard = Stillness(log, lambda: next(told), 2.0, clock=lambda: next(now))
    for count in range(1, len(computed) + 1):
        with log.open("a") as file:
            file.write(words)
        if guard.gives_up():
            return count
    return None


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


def test_the_time_of_descendants_and_of_those_that_ended_counts() -> None:
    burn = "for _ in range(6_000_000): pass\n"
    wait = "import sys; sys.stdin.read()"
    program = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        f"subprocess.run([sys.executable, '-c', {burn + wait!r}])"
    )
    argv = [sys.executable, "-c"]
    with (
        subprocess.Popen([*argv, program], stdin=subprocess.PIPE) as several,
        subprocess.Popen([*argv, burn + wait], stdin=subprocess.PIPE) as alone,
    ):
        end = time.monotonic() + 60
        both, one = 0.0, 0.0
        while one < 0.05 or both < 1.5 * one or both != processor_time(several.pid):
            assert time.monotonic() < end, f"{both} s and {one} s"
            time.sleep(0.2)
            both, one = processor_time(several.pid) or 0.0, processor_time(alone.pid) or 0.0
    assert processor_time(alone.pid) is None and processor_time(os.getpid()) is not None
