"""Runs that are killed or interrupted at any moment: readers notice nothing and the next run completes."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from engines import containers_of, engine
from mirrors import dangling
from sdists import FileIndex, Workplace, in_tree

from wheelbuilder.build.cache import cache_home

pytestmark = pytest.mark.engine
MEMBERS = (in_tree("first"), in_tree("second"))
SLOW = in_tree("slow", "import time\ntime.sleep(300)\nreturn pure(folder)")
ROUNDS = 20


@pytest.fixture(scope="module")
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        index.offer(*MEMBERS, SLOW)
        yield index


def wait_for_a_container(driver: int) -> None:
    end = time.monotonic() + 60
    while not containers_of(driver):
        assert time.monotonic() < end, "no container was started"
        time.sleep(0.05)


@dataclass(kw_only=True)
class Reader:
    """Polls every page of a store and notes links to files that are not there."""

    root: Path
    rounds: int = 0
    broken: list[str] = field(default_factory=list)


@contextmanager
def reading(root: Path) -> Iterator[Reader]:
    reader, stop = Reader(root=root), threading.Event()

    def read() -> None:
        while not stop.is_set():
            reader.broken += dangling(root)
            reader.rounds += 1
            stop.wait(0.005)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield reader
    finally:
        stop.set()
        thread.join()


def complete(work: Workplace) -> None:
    """The next run completes what was begun, and leaves a store that is clean."""
    ended = work.run()
    assert ended.code == 0, ended.stderr
    assert work.wheels() == ["first-1.0-py3-none-any.whl", "second-1.0-py3-none-any.whl"]
    audit = work.audit()
    assert audit.code == 0 and audit.stdout.splitlines()[-1].startswith("clean: 0 errors"), audit.stdout


@pytest.fixture(scope="module")
def duration(index: FileIndex, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long a whole run takes, in seconds."""
    work = Workplace(folder=tmp_path_factory.mktemp("whole"), index=index)
    work.write(MEMBERS)
    started = time.monotonic()
    complete(work)
    return time.monotonic() - started


@pytest.fixture(scope="module")
def killed() -> list[int]:
    """The process ids of the runs that were killed."""
    return []


@pytest.mark.parametrize("moment", range(ROUNDS))
def test_a_killed_run_is_completed_by_the_next(
    moment: int, duration: float, index: FileIndex, tmp_path: Path, killed: list[int]
) -> None:
    work = Workplace(folder=tmp_path, index=index)
    work.write(MEMBERS)
    with reading(work.store) as reader:
        process = work.start()
        time.sleep(duration * (moment + 0.5) / ROUNDS)
        process.kill()
        process.wait()
        killed.append(process.pid)
        complete(work)
    assert reader.broken == [] and reader.rounds > 10
    assert list((cache_home() / "scratch").glob(f"{process.pid}-*")) == []


def test_what_a_killed_run_has_done_is_not_done_again(
    index: FileIndex, tmp_path: Path, killed: list[int]
) -> None:
    done, broken = in_tree("done_then_killed"), in_tree("broken_then_killed", 'raise SystemExit("no")')
    index.offer(done, broken)
    work = Workplace(folder=tmp_path, index=index)
    work.write([done, broken, SLOW])
    told: set[bytes] = set()
    with work.start("--jobs", "3", quiet=False) as process:
        while len(told) < 2:
            assert process.stderr
            line = process.stderr.readline()
            assert line, "it ended early"
            told |= {word for word in (b": built ", b": FAILED ") if word in line}
        process.kill()
    killed.append(process.pid)
    records = [json.loads(path.read_text()) for path in (work.store / "records").rglob("*.json")]
    assert {row["project"]: row["outcome"] for row in records} == {
        "done-then-killed": "built",
        "broken-then-killed": "failed",
    }
    assert work.audit().code == 0
    work.write([done, broken])
    ended = work.run()
    assert ended.code == 1 and ": build\n" not in ended.stderr, ended.stderr  # nobody was told before
    assert [row["project"] for row in ended.document["news"]["new_failures"]] == ["broken-then-killed"]
    again = work.run()
    assert again.code == 0
    assert [row["project"] for row in again.document["news"]["still_failing"]] == ["broken-then-killed"]
    assert work.wheels() == ["done_then_killed-1.0-py3-none-any.whl"]
    assert work.audit().code == 0


def test_no_container_of_a_killed_run_is_left(killed: list[int]) -> None:
    engine().reap()
    assert [container for driver in killed for container in containers_of(driver, "--all")] == []


@contextmanager
def ignored(number: signal.Signals) -> Iterator[None]:
    """What is started meanwhile ignores a signal, as `nohup` and shells do to what is in the background."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, None])
def test_an_interrupted_run_ends_its_containers_and_can_be_continued(
    number: signal.Signals | None, index: FileIndex, tmp_path: Path
) -> None:
    work = Workplace(folder=tmp_path, index=index)
    work.write([*MEMBERS, SLOW])
    with nullcontext() if number else ignored(signal.SIGINT):
        process = work.start(quiet=False)
    end = time.monotonic() + 60
    while not work.log_says(process, "slow===1.0", ": build\n"):
        assert time.monotonic() < end
    wait_for_a_container(process.pid)
    process.send_signal(number or signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in stderr and b"interrupted" in stderr
    assert containers_of(process.pid, "--all") == []
    work.write(MEMBERS)
    complete(work)


def test_a_store_that_fails_while_others_build_ends_them(index: FileIndex, tmp_path: Path) -> None:
    quick = in_tree("quick", "import time\ntime.sleep(3)\nreturn pure(folder)")
    index.offer(quick)
    work = Workplace(folder=tmp_path, index=index)
    work.write([quick, SLOW])
    process = work.start("--jobs", "2", quiet=False)
    while not work.log_says(process, "slow===1.0", ": build\n"):
        pass
    (work.store / "records").write_text("in the way")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 3 and b"error: " in stderr and b"Traceback" not in stderr, stderr
    assert containers_of(process.pid, "--all") == []
    (work.store / "records").unlink()
    work.write([quick])
    assert work.run().code == 0 and work.wheels() == ["quick-1.0-py3-none-any.whl"]


def test_an_interruption_while_planning_is_quick(index: FileIndex, tmp_path: Path) -> None:
    work = Workplace(folder=tmp_path, index=index)
    work.write(MEMBERS)
    for number in (signal.SIGINT, signal.SIGTERM):
        process = work.start(quiet=False)
        time.sleep(0.35)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode in (130, -number) and b"Traceback" not in stderr, stderr
