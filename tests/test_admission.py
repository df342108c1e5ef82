from __future__ import annotations

import random

import pytest
from builds import build

from wheelbuilder.build.admission import (
    MARGIN,
    Candidate,
    Claim,
    Room,
    admitted,
    expected_memory,
    memory_limit,
)
from wheelbuilder.plan.experience import Cost

G = 1 << 30
ROOM = Room(memory=8 * G, slots=4)


def candidate(name: str, memory: int, seconds: float = 10.0) -> Candidate:
    return Candidate(build=build(name), memory=memory * G, limit=memory * G, seconds=seconds)


def started(*queue: Candidate, running: tuple[Claim, ...] = (), room: Room = ROOM) -> str:
    return "".join(it.build.pin.name for it in admitted(queue, running, room, now=100.0))


def running(memory: int, ends: float) -> Claim:
    return Claim(memory=memory * G, ends=ends)


def test_as_many_start_as_there_are_slots_and_as_fit() -> None:
    assert started(*(candidate(name, 2) for name in "abcde")) == "abcd"
    assert started(*(candidate(name, 3) for name in "abcd")) == "ab"
    assert started(candidate("a", 2), running=(running(2, 110),) * 4) == ""


def test_one_that_is_alone_starts_whatever_it_needs() -> None:
    assert started(candidate("a", 100), candidate("b", 1)) == "a"
    assert started(candidate("a", 100), running=(running(1, 110),)) == ""


def test_room_is_kept_for_the_first_that_waits_for_it() -> None:
    full = (running(6, 150),)
    large = candidate("a", 7)
    assert started(large, candidate("b", 2, seconds=50), running=full) == "b"  # over in time
    assert started(large, candidate("b", 2, seconds=51), running=full) == ""  # it would push `a` back
    assert started(large, candidate("b", 1, seconds=900), running=full) == "b"  # it fits beside `a`
    assert started(large, candidate("b", 1, 900), candidate("c", 1, 900), running=full) == "b"


@pytest.mark.parametrize("seed", range(20))
def test_memory_and_slots_are_never_exceeded_and_nobody_starves(seed: int) -> None:
    dice = random.Random(seed)
    queue = [candidate(f"p{n}", dice.randint(1, 9), dice.randint(1, 100)) for n in range(60)]
    held: dict[str, Claim] = {}
    waited: dict[str, int] = {}
    now = 0.0
    while queue:
        for it in admitted(queue, list(held.values()), ROOM, now):
            held[it.build.key] = Claim(memory=it.memory, ends=now + it.seconds)
            queue.remove(it)
        assert len(held) <= ROOM.slots
        assert len(held) == 1 or sum(claim.memory for claim in held.values()) <= ROOM.memory
        if queue:
            first = queue[0].build.key
            waited[first] = waited.get(first, 0) + 1
        now, done = min((claim.ends, key) for key, claim in held.items())
        del held[done]
    # The first in the queue waits for those that run, and never for one that comes later and stays longer.
    assert max(waited.values()) <= 30


def test_a_limit_is_the_recipe_s_or_a_share_or_what_was_needed_before() -> None:
    unknown = Cost(seconds=1.0)
    assert memory_limit(build(), unknown, ROOM) == 2 * G
    assert memory_limit(build(), unknown, ROOM, shares=2) == 4 * G
    assert memory_limit(build(), Cost(seconds=1.0, peak_memory=4 * G), ROOM) == int(4 * G * MARGIN)
    assert memory_limit(build(), Cost(seconds=1.0, peak_memory=80 * G), ROOM) == 8 * G
    assert memory_limit(build(memory=G), Cost(seconds=1.0, peak_memory=4 * G), ROOM) == G


def test_what_is_expected_is_the_last_peak_with_a_margin_or_else_the_limit() -> None:
    assert expected_memory(Cost(seconds=1.0), 2 * G) == 2 * G
    assert expected_memory(Cost(seconds=1.0, peak_memory=G), 2 * G) == int(G * MARGIN)
    assert expected_memory(Cost(seconds=1.0, peak_memory=4 * G), 2 * G) == 2 * G
