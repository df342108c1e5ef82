"""The program that stands before compilers, compiled with this machine's gcc, before compilers that tell."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from wheelbuilder.build import front

pytestmark = pytest.mark.integration

WAITING = "waits-for-slot"  # what it calls itself, which no program of ours believes
LONG = 60.0  # seconds: for what ends at once, on a busy machine
# Notes when it starts and ends; short lines that are appended do not mix.
COUNTING = '#!/bin/sh\necho "+ $0 $*" >>"$NOTES"\nsleep 0.05\necho - >>"$NOTES"\n'


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Our program in front of a compiler `gcc`, which is a script."""

    folder: Path
    slots: int

    @property
    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def compiler(self, script: str, name: str = "gcc") -> None:
        (self.folder / "real" / name).write_text(script)
        (self.folder / "real" / name).chmod(0o755)
        (self.folder / "front" / name).symlink_to("slot")

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        known = {
            "PATH": f"{self.folder}/front:{self.folder}/real:/usr/bin:/bin",
            "NOTES": str(self.folder / "notes"),
            "WHEELBUILDER_SLOTS": str(self.folder / "slots"),
            "WHEELBUILDER_OWN_QUEUE": str(self.folder / "own-queue"),
        }
        # by its name, as make does it
        program = self.folder / "front" / words[0]
        return subprocess.Popen(words, executable=program, env=known | env, stderr=subprocess.DEVNULL)

    def run(self, *words: str, **env: str) -> int:
        with self.start(*words, **env) as process:
            return process.wait(LONG)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Hold every slot."""
        with ExitStack() as stack:
            for number in range(self.slots):
                file = stack.enter_context((self.folder / "slots" / str(number)).open())
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "slot"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-o", path, front.SOURCE], check=True)
    return path


@pytest.fixture
def bench(program: Path, tmp_path: Path) -> Bench:
    made = Bench(folder=tmp_path, slots=2)
    for name in ("front", "real", "slots"):
        (tmp_path / name).mkdir()
    for name in ("queue", "0", "1"):
        (tmp_path / "slots" / name).touch(0o444)
    os.link(program, tmp_path / "front" / "slot")
    made.compiler(COUNTING)
    return made


def most_at_once(notes: Sequence[str]) -> int:
    running = most = 0
    for line in notes:
        running += 1 if line.startswith("+") else -1
        most = max(most, running)
    return most


def waits(process: subprocess.Popen[bytes]) -> bool:
    return Path(f"/proc/{process.pid}/comm").read_text().strip() == WAITING


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_no_more_compilers_run_than_there_are_slots(bench: Bench) -> None:
    started = [bench.start("gcc", "-c", f"{number}.c") for number in range(12)]
    assert [process.wait(LONG) for process in started] == [0] * 12
    assert len(bench.notes) == 24
    assert most_at_once(bench.notes) == bench.slots


def test_the_real_compiler_gets_every_word(bench: Bench) -> None:
    assert bench.run("gcc", "-c", "a b.c", "-DX=''", "-o", "out") == 0
    assert bench.notes[0] == f"+ {bench.folder}/real/gcc -c a b.c -DX='' -o out"


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("-dumpmachine",),
        ("-print-file-name=libc.so", "-m64"),
        ("-v",),
        ("-E", "-dM", "-x", "c", "/dev/null"),
        ("-MM", "a.c"),
        ("-###", "-c", "a.c"),
        ("-o", "nothing", "-I", "include"),
        (),
    ],
)
def test_questions_do_not_wait(words: tuple[str, ...], bench: Bench) -> None:
    with bench.occupied():
        assert bench.run("gcc", *words) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("-c", "a.c"),
        ("-shared", "a.o", "-o", "a.so"),
        ("-S", "a.c"),
        ("-x", "c", "-"),
        ("-v", "a.c"),
        ("@all",),
    ],
)
def test_work_waits_and_is_seen_to_wait(words: tuple[str, ...], bench: Bench) -> None:
    with bench.occupied():
        first, second = bench.start("gcc", *words), bench.start("gcc", *words)
        until(lambda: waits(first) and waits(second))
        assert bench.notes == []
    assert first.wait(LONG) == second.wait(LONG) == 0
    assert len(bench.notes) == 4


def test_a_slot_is_free_when_its_holder_is_killed(bench: Bench) -> None:
    bench.compiler('#!/bin/sh\necho + >>"$NOTES"\nexec sleep 600\n', "cc")
    holders = [bench.start("cc", "-c", "a.c") for _ in range(bench.slots)]
    until(lambda: len(bench.notes) == bench.slots)
    waiting = bench.start("gcc", "-c", "b.c")
    until(lambda: waits(waiting))
    holders[0].kill()
    assert waiting.wait(LONG) == 0
    holders[1].kill()
    for holder in holders:
        holder.wait(LONG)


def test_the_one_who_stood_first_in_the_queue_may_be_killed(bench: Bench) -> None:
    with bench.occupied():
        first = bench.start("gcc", "-c", "a.c")
        until(lambda: waits(first))
        second = bench.start("gcc", "-c", "b.c")
        until(lambda: waits(second))
        first.kill()
        first.wait(LONG)
    assert second.wait(LONG) == 0


def test_a_build_that_has_lost_patience_does_not_wait_as_long_for_each_compiler(bench: Bench) -> None:
    with bench.occupied():
        first = bench.start("gcc", "-c", "a.c")
        until(lambda: waits(first))
        first.send_signal(signal.SIGALRM)
        assert first.wait(LONG) == bench.start("gcc", "-c", "b.c").wait(LONG) == 0
    assert bench.run("gcc", "-c", "c.c") == 0  # it gets a slot, and the next one is patient again
    with bench.occupied():
        patient = bench.start("gcc", "-c", "d.c")
        until(lambda: waits(patient))
        with pytest.raises(subprocess.TimeoutExpired):
            patient.wait(3)
    assert patient.wait(LONG) == 0


def test_each_build_gets_its_turn(bench: Bench) -> None:
    with bench.occupied():
        many = [bench.start("gcc", "-c", f"many{number}.c") for number in range(40)]
        until(lambda: all(waits(process) for process in many))
        few = bench.start("gcc", "-c", "few.c", WHEELBUILDER_OWN_QUEUE=f"{bench.folder}/other-queue")
        until(lambda: waits(few))
    assert [process.wait(LONG) for process in (*many, few)] == [0] * 41
    begun = [note.split()[-1] for note in bench.notes if note.startswith("+")]
    assert begun.index("few.c") <= 8


def test_what_runs_in_a_slot_needs_no_other(bench: Bench) -> None:
    bench.compiler("#!/bin/sh\ngcc -c a.c && gcc -c b.c\n", "rustc")
    started = [bench.start("rustc", "a.rs") for _ in range(bench.slots)]
    assert [process.wait(LONG) for process in started] == [0] * bench.slots
    assert len(bench.notes) == 4 * bench.slots


def test_a_link_that_optimizes_in_parallel_gets_as_many_compilers_as_slots_are_free(bench: Bench) -> None:
    words = ("-flto=auto", "a.o", "-o", "a")
    with (bench.folder / "slots" / "0").open() as held:
        assert bench.run("gcc", *words) == bench.run("gcc", "-flto=1", "b.o") == 0
        fcntl.flock(held, fcntl.LOCK_EX)
        assert bench.run("gcc", *words) == 0
        assert bench.run("gcc", "-c", "-flto=auto", "a.c") == 0
    asked = [note.split()[2:] for note in bench.notes if note.startswith("+")]
    assert asked == [
        ["-flto=2", "a.o", "-o", "a"],
        ["-flto=1", "b.o"],
        ["-flto=1", "a.o", "-o", "a"],
        ["-c", "-flto=auto", "a.c"],
    ]


def test_the_cache_is_asked_about_single_objects_only(bench: Bench) -> None:
    script = '#!/bin/sh\necho "cache $*" >>"$NOTES"\n'
    bench.compiler(script, "cache")
    bench.compiler(COUNTING, "gfortran")
    asked = {"WHEELBUILDER_COMPILER_CACHE": f"{bench.folder}/real/cache --mode x"}
    assert bench.run("gcc", "-c", "a.c", **asked) == 0
    assert bench.notes == [f"cache --mode x {bench.folder}/real/gcc -c a.c"]
    for words in (
        ("gcc", "a.c", "-o", "a"),
        ("gcc", "-c", "a.S"),
        ("gcc", "-c", "a.s"),
        ("gcc", "-c", "a.c", "-frecord-gcc-switches"),
        ("gfortran", "-c", "a.f90"),
    ):
        assert bench.run(*words, **asked) == 0
    assert not any(line.startswith("cache") for line in bench.notes[1:]) and len(bench.notes) == 11


def test_without_slots_there_is_no_limit_and_without_a_compiler_there_is_no_success(bench: Bench) -> None:
    assert bench.run("gcc", "-c", "a.c", WHEELBUILDER_SLOTS="/nowhere") == 0
    (bench.folder / "front" / "clang").symlink_to("slot")
    assert bench.run("clang", "-c", "a.c") == 127
