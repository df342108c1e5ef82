"""What a worker is given for one build, and which failures are worth another attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from wheelbuilder.build.outcomes import Built, Failed, FailureClass, Fall
from wheelbuilder.plan.decisions import Build

MOST_TRIES = 2  # on one rung
PAUSE = 20.0  # seconds; the fetching itself has tried for a while


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """How a build is tried. number: from 1, 0 for the trial of another target's wheel. tries: the same on
    its rung. pause: seconds before it starts.

    thrift: it starts one in so many of the usual compilers, and gets so many shares of the memory.
    fall: why it is not tried on a faster rung.
    """

    number: int = 1
    tries: int = 1
    pause: float = 0.0
    thrift: int = 1
    fall: Fall | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A build requirement that was built for this run. key: its build key."""

    key: str
    wheel: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One build for one worker. memory: the bytes it may use.

    offer: another target's build, whose wheel is tried instead. declined: the file name of one that failed
    that trial.
    """

    build: Build
    memory: int
    attempt: Attempt = Attempt()
    given: tuple[Given, ...] = ()
    offer: Built | None = None
    declined: str = ""


def next_attempt(failed: Failed, attempt: Attempt) -> Attempt | None:
    """Return how to try again: once what can heal, then once on a slower rung what may be the rung's fault.

    None for everything else.
    """
    if failed.remembered:
        return None
    again = replace(attempt, number=attempt.number + 1, tries=attempt.tries + 1, pause=0.0)
    if attempt.tries < MOST_TRIES:
        match failed.failure:
            case FailureClass.HANG | FailureClass.KILLED:
                return again
            case FailureClass.OUT_OF_MEMORY:
                return replace(again, thrift=2)
        if failed.passing:
            return replace(again, pause=PAUSE)
    return replace(again, tries=1, fall=failed.fall) if failed.fall else None
