"""What a worker is given for one build, and which failures are worth a second attempt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build.outcomes import Failed, FailureClass
from wheelbuilder.plan.decisions import Build

MOST_ATTEMPTS = 2
PAUSE = 20.0  # seconds; the fetching itself has tried for a while


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """How a build is tried. number: from 1. pause: seconds before it starts.

    thrift: it starts one in so many of the usual compilers, and gets so many shares of the memory.
    """

    number: int = 1
    pause: float = 0.0
    thrift: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A build requirement that was built for this run. key: its build key."""

    key: str
    wheel: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One build for one worker. memory: the bytes it may use."""

    build: Build
    memory: int
    attempt: Attempt = Attempt()
    given: tuple[Given, ...] = ()


def next_attempt(failed: Failed, attempt: Attempt) -> Attempt | None:
    """Return how to try again what can heal; None for everything else, and after the second time."""
    number = attempt.number + 1
    if number > MOST_ATTEMPTS or failed.remembered:
        return None
    match failed.failure:
        case FailureClass.HANG | FailureClass.KILLED:
            return Attempt(number=number)
        case FailureClass.OUT_OF_MEMORY:
            return Attempt(number=number, thrift=2)
    return Attempt(number=number, pause=PAUSE) if failed.passing else None
