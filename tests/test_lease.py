from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from s3_servers import FreshBucket, Server, environment

from wheelbuilder.errors import UnreachableError
from wheelbuilder.mirror.lease import Lease, Note, Stage, Terms
from wheelbuilder.mirror.s3 import S3Store

TERMS = Terms(duration=3.0, settle=0.6, patience=60.0)


class FileCell:
    """A lease's object in a file, which can be made to fail. Writes are whole, as a store's are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fails = False
        self.reads = 0

    def read(self) -> bytes | None:
        self._try()
        self.reads += 1
        return self.path.read_bytes() if self.path.exists() else None

    def write(self, data: bytes) -> None:
        self._try()
        temporary = self.path.with_name(f"{threading.get_ident()}.tmp")
        temporary.write_bytes(data)
        temporary.replace(self.path)

    def _try(self) -> None:
        if self.fails:
            raise UnreachableError("The cell does not answer.")

    def stage(self) -> str:
        return self.note.stage.value

    @property
    def note(self) -> Note:
        return Note.parse(self.path.read_bytes())


@pytest.fixture
def cell(tmp_path: Path) -> FileCell:
    return FileCell(tmp_path / "lease.json")


def lease(cell: FileCell, terms: Terms = TERMS) -> Lease:
    return Lease(cell, terms, "s3://bucket")


def alone(leases: list[Lease], rounds: int) -> int:
    """The most holders at any time, when each lease is taken a number of times."""
    inside, most = 0, 0
    lock = threading.Lock()

    def take(one: Lease) -> None:
        nonlocal inside, most
        for _ in range(rounds):
            with one.held():
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.02)
                with lock:
                    inside -= 1

    with ThreadPoolExecutor(len(leases)) as pool:
        list(pool.map(take, leases))
    return most


def check_until_lost(ours: Lease) -> None:
    """Until the next renewal has failed, nobody can know; in half a minute it will have been tried."""
    for _ in range(600):
        ours.check()
        time.sleep(0.05)


class TestHolding:
    def test_only_one_holds_it_at_a_time(self, cell: FileCell) -> None:
        terms = Terms(duration=3.0, settle=0.3, patience=60.0)
        assert alone([lease(cell, terms) for _ in range(5)], 2) == 1
        assert cell.note.stage is Stage.FREE and cell.note.fencing >= 10

    def test_threads_of_one_process_enter_together_and_again(self, cell: FileCell) -> None:
        ours = lease(cell)
        with ours.held(), ours.held():
            with ThreadPoolExecutor(4) as pool:
                numbers = set(pool.map(lambda _: self._number(ours), range(8)))
            assert numbers == {1}
            assert cell.stage() == "held"
        assert cell.stage() == "free"

    def _number(self, ours: Lease) -> int:
        with ours.held():
            return ours.fencing

    def test_it_is_not_taken_before_it_is_needed(self, cell: FileCell) -> None:
        ours = lease(cell)
        with ours.kept():
            assert not cell.path.exists() and cell.reads == 0
            with ours.held():
                pass
            assert cell.stage() == "held"
        assert cell.stage() == "free"

    def test_each_holder_has_a_greater_number(self, cell: FileCell) -> None:
        numbers = [self._number(lease(cell)) for _ in range(3)]
        assert numbers == sorted(set(numbers))

    def test_it_is_renewed_for_longer_than_it_lasts(self, cell: FileCell) -> None:
        terms = Terms(duration=2.0, settle=0.3)
        ours = lease(cell, terms)
        with ours.held():
            time.sleep(terms.duration * 1.2)
            ours.check()
            assert cell.note.beat > 1

    def test_an_object_of_nobodys_making_is_free(self, cell: FileCell) -> None:
        cell.path.write_bytes(b"<html>")
        with lease(cell).held():
            assert cell.note.fencing == 1


class TestLosing:
    def test_a_lease_that_cannot_be_renewed_is_lost(self, cell: FileCell) -> None:
        ours = lease(cell, Terms(duration=1.2, settle=0.3))
        with ours.held():
            cell.fails = True
            with pytest.raises(UnreachableError, match="was lost") as caught:
                check_until_lost(ours)
        assert "nothing is half-published" in caught.value.hint

    def test_another_holder_is_noticed_and_not_overwritten(self, cell: FileCell) -> None:
        ours = lease(cell)
        other = Note(owner="x", stage=Stage.HELD, fencing=9, duration=3.0)
        with ours.held():
            cell.write(other.encode())
            with pytest.raises(UnreachableError, match="was lost"):
                check_until_lost(ours)
        assert cell.note == other

    def test_a_late_claim_does_not_take_it_from_its_holder(self, cell: FileCell) -> None:
        ours = lease(cell)
        with ours.held():
            cell.write(Note(owner="late", stage=Stage.CLAIMED, fencing=2, duration=3.0).encode())
            while cell.note.owner == "late":
                ours.check()
                time.sleep(0.05)
            ours.check()

    def test_a_claim_that_was_written_too_slowly_does_not_count(self, tmp_path: Path) -> None:
        class SlowOnce(FileCell):
            slow = True

            def write(self, data: bytes) -> None:
                if self.slow:
                    self.slow = False
                    time.sleep(TERMS.settle / 2)
                super().write(data)

        cell = SlowOnce(tmp_path / "lease.json")
        with lease(cell).held():
            assert cell.note.fencing == 2  # the first claim had to expire like a stranger's

    def test_whoever_waits_for_too_long_is_told_for_whom(self, cell: FileCell) -> None:
        other = lease(cell, Terms(duration=3.0, settle=0.6, patience=1.0))
        told = pytest.raises(UnreachableError, match=rf"in use by .*:{os.getpid()} ")
        with lease(cell).held(), told, other.held():
            pass

    def test_a_store_that_never_answers_is_an_error(self, cell: FileCell) -> None:
        cell.fails = True
        with pytest.raises(UnreachableError, match="does not answer"), lease(cell).held():
            pass


HOLD = """
import sys, time
from s3_servers import environment
from wheelbuilder.mirror.lease import Terms
from wheelbuilder.mirror.s3 import S3Store
store = S3Store(sys.argv[1], terms=Terms(duration=3.0, settle=0.6))
with store.exclusive():
    print(store.put("n", b"1", content_type="text/plain", cache_control="no-cache", if_none_match=True))
    sys.stdout.flush()
    time.sleep(600)
"""

COUNT = """
import sys
from wheelbuilder.mirror.lease import Terms
from wheelbuilder.mirror.s3 import S3Store
store = S3Store(sys.argv[1], terms=Terms(duration=3.0, settle=0.6))
for _ in range(int(sys.argv[2])):
    with store.exclusive():
        while True:
            seen = store.get("n")
            data = b"%d" % (int(seen.data) + 1)
            kept = {"content_type": "text/plain", "cache_control": "no-cache"}
            if store.put("n", data, if_match=seen.etag, **kept):
                break
"""


def python(script: str, *arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start a script of ours in a process of its own."""
    path = {"PYTHONPATH": str(Path(__file__).parent)}
    argv = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(argv, env=os.environ | env | path, stdout=subprocess.PIPE, text=True)


@pytest.mark.s3
class TestOnAServerWithoutConditions:
    @pytest.fixture
    def bucket(self, s3_servers: Callable[[str], Server]) -> FreshBucket:
        return s3_servers("swift").new_bucket()

    def open(self, bucket: FreshBucket) -> S3Store:
        return bucket.store(terms=TERMS)

    def put(self, store: S3Store, data: bytes, **conditions: object) -> str | None:
        return store.put("n", data, content_type="text/plain", cache_control="no-cache", **conditions)  # type: ignore[arg-type]

    def test_processes_that_count_lose_no_step(self, bucket: FreshBucket) -> None:
        self.put(self.open(bucket), b"0")
        counting = [python(COUNT, bucket.address, "3", env=bucket.env) for _ in range(3)]
        assert [process.communicate(timeout=120) and process.returncode for process in counting] == [0, 0, 0]
        found = self.open(bucket).get("n")
        assert found and found.data == b"9"

    def test_a_holder_that_is_killed_blocks_nobody_for_ever(self, bucket: FreshBucket) -> None:
        holder = python(HOLD, bucket.address, env=bucket.env)
        assert holder.stdout and holder.stdout.readline().strip() not in ("", "None")
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
        store = self.open(bucket)
        with environment(bucket.env):
            seen = store.get("n")
            assert seen and self.put(store, b"2", if_match=seen.etag)
            assert store.lease.fencing == 0
        assert [listed.key for listed in store.list()] == ["n"]

    def test_a_lost_lease_stops_the_write(self, bucket: FreshBucket) -> None:
        store = self.open(bucket)
        with environment(bucket.env), store.exclusive():
            etag = self.put(store, b"1", if_none_match=True)
            other = Note(owner="x", stage=Stage.HELD, fencing=9, duration=3.0).encode()
            where = {"Bucket": bucket.bucket, "Key": ".wheelbuilder/lease.json"}
            bucket.server.client().put_object(**where, Body=other)
            with pytest.raises(UnreachableError, match="was lost"):
                check_until_lost(store.lease)
            with pytest.raises(UnreachableError, match="was lost"):
                self.put(store, b"2", if_match=etag)
        found = store.get("n")
        assert found and found.data == b"1"
