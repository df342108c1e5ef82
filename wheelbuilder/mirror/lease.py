"""A lease that stands in where a store cannot arbitrate between writers.

Not even creating a key is atomic on such stores, so this is timed mutual exclusion in the manner of
Fischer (Lamport, A Fast Mutual Exclusion Algorithm, 1987): read that nobody holds it, write a claim, wait
longer than any write takes, and hold it if the claim is still there. A claim that was written too slowly does
not count. Nobody compares the clocks of two machines: a lease has expired for whoever saw it unchanged for
its duration.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Protocol

from wheelbuilder.errors import UnreachableError

LONGEST = 3600.0  # seconds: the longest duration that is believed
RANDOM = secrets.SystemRandom()


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """Times in seconds. settle: how long a claim has to stand; it is void if it took a third to write."""

    duration: float = 30.0  # a holder that died keeps the others out no longer
    settle: float = 2.0
    patience: float = 1800.0  # how long others are waited for

    @property
    def hurry(self) -> float:
        """How long one request of the lease's own may take."""
        return max(self.settle, self.duration / 6)

    @property
    def trust(self) -> float:
        """How long after a renewal was begun its holder still acts on it: others wait longer."""
        return self.duration * 2 / 3


class Stage(StrEnum):
    """Where a lease stands. Claims may be overwritten by a holder, holders by nobody."""

    FREE = "free"
    CLAIMED = "claimed"
    HELD = "held"


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What the lease's object says. fencing: grows with each claim. beat: grows with each renewal."""

    owner: str
    stage: Stage
    fencing: int
    duration: float
    beat: int = 0
    who: str = ""

    @classmethod
    def parse(cls, data: bytes | None) -> Note:
        """Read the object; one that is missing or of nobody's making is free."""
        try:
            fields = json.loads(data or b"{}")
            duration = min(max(float(fields["duration"]), 0.0), LONGEST)
            return cls(
                owner=str(fields["owner"]),
                stage=Stage(fields["stage"]),
                fencing=int(fields["fencing"]),
                duration=duration,
                beat=int(fields["beat"]),
                who=str(fields["who"]),
            )
        except (ValueError, KeyError, TypeError):
            return cls(owner="", stage=Stage.FREE, fencing=0, duration=0.0)

    def encode(self) -> bytes:
        """Return the bytes of the object."""
        return json.dumps(asdict(self), sort_keys=True).encode()


class Cell(Protocol):
    """One object of a store. Both raise UnreachableError at the first failure."""

    def read(self) -> bytes | None:
        """Return what it holds; None if it is not there."""

    def write(self, data: bytes) -> None:
        """Replace it."""


class Lease:
    """Held by a process as a whole: its threads enter it together, and it ends with the last of them."""

    def __init__(self, cell: Cell, terms: Terms, address: str) -> None:
        self._cell = cell
        self._terms = terms
        self._address = address
        self._who = f"{socket.gethostname()}:{os.getpid()}"
        self._gate = threading.Lock()  # over everything below, and while the lease is taken or given back
        self._entered = 0
        self._note: Note | None = None
        self._since = 0.0  # when the last renewal that succeeded was begun
        self._stop = threading.Event()
        self._renewer: threading.Thread | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the lease until the context is left, from the moment when it is taken inside."""
        with self._gate:
            self._entered += 1
        try:
            yield
        finally:
            with self._gate:
                self._entered -= 1
                if not self._entered and self._note:
                    self._give_back(self._note)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease. Errors: UnreachableError when it is lost, or others hold it for too long."""
        with self.kept():
            with self._gate:
                if self._note is None:
                    self._note = self._take()
                    self._start_renewing()
            self.check()
            yield

    def check(self) -> None:
        """Raise UnreachableError unless the lease is surely ours at this moment."""
        if self._note is None or now() - self._since > self._terms.trust:
            raise UnreachableError(
                f"The lease on the store {self._address} was lost: it could not be renewed in time.",
                "Run again: the head was not moved, so nothing is half-published.",
            )

    @property
    def fencing(self) -> int:
        """The number of our claim, which is greater than those of all holders before; 0: not held."""
        return self._note.fencing if self._note else 0

    def _take(self) -> Note:
        """Wait until nobody holds the lease, and claim it."""
        end = now() + self._terms.patience
        seen, since = b"", now()
        while now() < end:
            begun = now()
            data = self._read(end)
            note = Note.parse(data)
            if data != seen:
                seen, since = data or b"", begun
            if note.stage is Stage.FREE or now() - since > note.duration:
                if claim := self._claim(note, begun):
                    return claim
            else:
                time.sleep(self._terms.settle * RANDOM.uniform(0.1, 0.3))
        raise UnreachableError(
            f"The store {self._address} has been in use by {note.who or 'another writer'} for too long.",
            "Wait for that run to end, or end it: its lease expires by itself.",
        )

    def _claim(self, note: Note, begun: float) -> Note | None:
        """Write a claim over what was read at `begun`; return the note that holds, or None."""
        claim = Note(
            owner=secrets.token_hex(16),
            stage=Stage.CLAIMED,
            fencing=note.fencing + 1,
            duration=self._terms.duration,
            who=self._who,
        )
        try:
            self._cell.write(claim.encode())
            if now() - begun > self._terms.settle / 3:
                return None
            time.sleep(self._terms.settle)
            if Note.parse(self._cell.read()).owner != claim.owner:
                return None
            held = replace(claim, stage=Stage.HELD)
            self._cell.write(held.encode())
        except UnreachableError:
            return None  # whether it was written is not known: it is waited for like anybody's
        self._since = begun
        return held

    def _read(self, end: float) -> bytes | None:
        wait = 0.2
        while True:
            try:
                return self._cell.read()
            except UnreachableError:
                if now() + wait > min(end, now() + self._terms.duration) or wait > self._terms.duration / 4:
                    raise
                time.sleep(wait * RANDOM.uniform(0.5, 1.5))
                wait *= 2

    def _start_renewing(self) -> None:
        self._stop = threading.Event()
        self._renewer = threading.Thread(target=self._renew, args=(self._stop,), daemon=True)
        self._renewer.start()

    def _renew(self, stop: threading.Event) -> None:
        """Renew often enough that a claim written over the lease never stands for the time it has to."""
        while not stop.wait(min(self._terms.settle / 3, self._terms.duration / 6)):
            note, begun = self._note, now()
            if note is None or begun - self._since > self._terms.trust:
                return
            try:
                there = Note.parse(self._cell.read())
                if there.stage is Stage.HELD and there.owner != note.owner:
                    self._since = -LONGEST
                    return
                self._note = replace(note, beat=note.beat + 1)
                self._cell.write(self._note.encode())
            except UnreachableError:
                continue
            self._since = begun

    def _give_back(self, note: Note) -> None:
        self._stop.set()
        if self._renewer:
            self._renewer.join()
        self._note = None
        if now() - self._since > self._terms.trust:
            return  # it may be another's by now
        try:
            self._cell.write(replace(note, stage=Stage.FREE).encode())
        except UnreachableError:
            return  # it expires by itself


def now() -> float:
    """Return seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
