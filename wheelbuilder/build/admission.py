"""Who may start now: by memory, by slots and by the deadline; whoever waits for room is not starved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.experience import Cost

MARGIN = 1.25  # what a build may need more than its last peak


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What all builds together may take. memory: bytes. slots: builds at a time."""

    memory: int
    slots: int

    @property
    def share(self) -> int:
        """What one build gets of which nothing is known."""
        return self.memory // self.slots


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What one build is expected to take. ends: on the clock of `now`, in seconds."""

    memory: int
    ends: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A build that is ready, with what it is expected to take. limit: what it may take at most."""

    build: Build
    memory: int  # bytes
    limit: int  # bytes
    seconds: float


def memory_limit(build: Build, cost: Cost, room: Room, *, shares: int = 1) -> int:
    """Return the bytes that a build may use: its recipe's, or its share, more if it has needed more."""
    if build.recipe.limits.memory:
        return build.recipe.limits.memory
    wanted = max(room.share * shares, _expected(cost) or 0)
    return min(wanted, room.memory)


def expected_memory(cost: Cost, limit: int) -> int:
    """Return the bytes that a build with this limit will use: the limit where nothing is known."""
    return min(limit, _expected(cost) or limit)


def admitted(queue: Sequence[Candidate], running: Sequence[Claim], room: Room, now: float) -> list[Candidate]:
    """Return which of the queue start now, in its order.

    One that is alone starts whatever it needs. For the first that finds no room, memory is kept: those
    behind it start only if they end before it could, or fit beside it (EASY backfilling).
    """
    held = list(running)
    started: list[Candidate] = []
    reserved: tuple[float, int] | None = None  # when the first that waits can start; what is left beside it
    for candidate in queue:
        if len(held) >= room.slots:
            break
        fits = not held or sum(claim.memory for claim in held) + candidate.memory <= room.memory
        if fits and (reserved is None or _harmless(candidate, reserved, now)):
            started.append(candidate)
            held.append(Claim(memory=candidate.memory, ends=now + candidate.seconds))
            if reserved and now + candidate.seconds > reserved[0]:
                reserved = (reserved[0], reserved[1] - candidate.memory)
        elif not fits and reserved is None:
            reserved = _reservation(candidate, held, room, now)
    return started


def _reservation(candidate: Candidate, held: Sequence[Claim], room: Room, now: float) -> tuple[float, int]:
    left = room.memory - sum(claim.memory for claim in held)
    start = now
    for claim in sorted(held, key=lambda claim: claim.ends):
        if left >= candidate.memory:
            break
        left += claim.memory
        start = max(start, claim.ends)
    return start, left - candidate.memory


def _harmless(candidate: Candidate, reserved: tuple[float, int], now: float) -> bool:
    return now + candidate.seconds <= reserved[0] or candidate.memory <= reserved[1]


def _expected(cost: Cost) -> int | None:
    return None if cost.peak_memory is None else int(cost.peak_memory * MARGIN)
