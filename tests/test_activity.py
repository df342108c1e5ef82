"""What a container does is the kernel's word: on real processes and real locks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wheelbuilder.build.activity import Container
from wheelbuilder.build.slots import LOCKS, are_others_to_blame

# Locks the files that it is given, in order, tells about each, and waits.
LOCKING = """
import fcntl, sys
files = [open(name) for name in sys.argv[1:]]
for file in files:
    print("soon", flush=True)
    fcntl.flock(file, fcntl.LOCK_EX)
print("done", flush=True)
sys.stdin.read()
"""
# Locks them and ends; its child, which tells its pid, has them then.
HEIR = """
import fcntl, os, sys
files = [open(name) for name in sys.argv[1:]]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX)
if os.fork() == 0:
    print(os.getpid(), flush=True)
    sys.stdin.read()
os._exit(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("queue", "0", "1"):
        (tmp_path / name).touch()
    return tmp_path


@contextmanager
def locking(folder: Path, *names: str, waits: bool = False) -> Iterator[int]:
    """The pid of a process that has locks; with `waits` it waits for the last one."""
    files = [str(folder / name) for name in names]
    argv = [sys.executable, "-c", LOCKING, *files]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            told = [process.stdout.readline() for _ in range(len(names) if waits else len(names) + 1)]
            assert told[-1] == ("soon\n" if waits else "done\n")
            while waits and f"-> FLOCK  ADVISORY  WRITE {process.pid} " not in LOCKS.read_text():
                time.sleep(0.01)
            yield process.pid
        finally:
            process.kill()


def test_who_waits_while_others_have_all_slots_is_not_to_blame(folder: Path) -> None:
    with (
        locking(folder, "0", "1"),
        locking(folder, "queue") as first,
        locking(folder, "queue", waits=True) as second,
    ):
        assert are_others_to_blame(folder, {first})
        assert are_others_to_blame(folder, {second})
        assert are_others_to_blame(folder, {first, second})


def test_who_waits_while_a_slot_is_free_only_pretends(folder: Path) -> None:
    with (
        locking(folder, "0"),
        locking(folder, "queue") as first,
        locking(folder, "queue", waits=True) as second,
    ):
        assert not are_others_to_blame(folder, {first})
        assert are_others_to_blame(folder, {second})  # the first one is
        assert not are_others_to_blame(folder, {first, second})


def test_who_has_a_slot_itself_or_does_not_wait_has_nobody_to_blame(folder: Path) -> None:
    with locking(folder, "0") as holder, locking(folder, "1"), locking(folder, "queue") as first:
        assert are_others_to_blame(folder, {first})
        assert not are_others_to_blame(folder, {first, holder})
        assert not are_others_to_blame(folder, {os.getpid()})


@pytest.mark.parametrize("names", [("0", "1"), ("queue",)])
def test_locks_that_an_ended_process_has_left_are_those_of_its_child(
    folder: Path, names: tuple[str, ...]
) -> None:
    argv = [sys.executable, "-c", HEIR, *(str(folder / name) for name in names)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        heir = int(process.stdout.readline())
        process.wait()
        with locking(folder, "queue", waits="queue" in names) as first:
            assert are_others_to_blame(folder, {first})
            assert not are_others_to_blame(folder, {first, heir})


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
        while one < 0.05 or both < 1.5 * one or both != computed(several.pid):
            assert time.monotonic() < end, f"{both} s and {one} s"
            time.sleep(0.2)
            both, one = computed(several.pid) or 0.0, computed(alone.pid) or 0.0
    assert computed(alone.pid) is None and computed(os.getpid()) is not None


def computed(pid: int) -> float | None:
    activity = Container(lambda: pid).activity()
    return activity.computed if activity else None
