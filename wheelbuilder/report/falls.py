"""Builds that fell to a slower rung: what that teaches the runs after it, and what a recipe could say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from wheelbuilder.build.outcomes import Built, FailureClass, Fall, Outcome, Unfinished
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.experience import Experience
from wheelbuilder.plan.keys import Describe
from wheelbuilder.plan.past import PastFall, Place

# What is no input of a key, releases of build requirements above all, moves by itself.
STANDS = timedelta(days=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fallen:
    """A wheel that a slower rung has built, and how often that happened to its project and target."""

    build: Build
    rung: Rung
    fall: Fall
    times: int
    since: date | None  # None: never before this run

    def __str__(self) -> str:
        often = f" ({self.times} builds since {self.since})" if self.since else ""
        return f"{self.build.pin} {self.build.target}: {self.rung}, because {self.fall}{often}"

    @property
    def snippet(self) -> str:
        """TOML for the recipe of the project, to be put at its end; newer versions are tried as ever."""
        words = f"# {self.fall.rung} fails with {self.fall.failure}"
        return f'[[versions]]\nrange = "<={self.build.pin.version}"\nrung = "{self.rung}"  {words}'

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "project": self.build.pin.name,
            "version": str(self.build.pin.version),
            "target": str(self.build.target),
            "rung": self.rung.value,
            "reason": str(self.fall),
            "times": self.times,
            "since": self.since and self.since.isoformat(),
            "recipe": self.snippet,
        }


def fallen(outcomes: Iterable[Outcome], known: Experience) -> tuple[Fallen, ...]:
    """Return what slower rungs have built in a run. known: before it."""
    return tuple(_fallen(it, fall, known) for it, fall in _falls(outcomes))


def _fallen(outcome: Built, fall: Fall, known: Experience) -> Fallen:
    before = known.falls.get(place(outcome.build))
    times = before.times if before else 0
    return Fallen(
        build=outcome.build,
        rung=outcome.way.rung,
        fall=fall,
        times=times if fall.remembered else times + 1,
        since=before.first if before else None,
    )


def learned(
    ends: Iterable[Outcome | Unfinished], known: Experience, describe: Describe, today: date
) -> tuple[PastFall, ...]:
    """Return the falls to remember; a failure on both rungs is none, for then the rung is not to blame."""
    return tuple(
        _past(it.build, fall, known, describe, today) for it, fall in _falls(ends) if not fall.remembered
    )


def climbed(ends: Iterable[Outcome | Unfinished], known: Experience) -> frozenset[Place]:
    """Return what fell in earlier runs and was built by the faster rung now."""
    built = (place(it.build) for it in ends if isinstance(it, Built) and it.way.rung is Rung.TOOLCHAIN)
    return frozenset(built) & known.falls.keys()


def recalled(build: Build, known: Experience, describe: Describe, today: date) -> Fall | None:
    """Return why a build is not tried on the faster rung: it fell from it, made from the same inputs."""
    past = known.falls.get(place(build))
    if past is None or today >= past.expires or past.failure not in {*FailureClass}:
        return None
    if past.key != describe(build).untagged:
        return None
    return Fall(
        rung=past.rung,
        failure=FailureClass(past.failure),
        summary=past.summary,
        toolchain=past.toolchain,
        remembered=True,
    )


def place(build: Build) -> Place:
    """Return where a build's fall is remembered."""
    return build.pin.name, str(build.target)


def advice(found: Sequence[Fallen]) -> Iterator[str]:
    """Yield lines for people on what fell, with what to paste."""
    if not found:
        return
    yield f"built on a slower rung ({len(found)}):"
    yield from (f"  {each}" for each in found)
    yield "To have that at once, add to the end of a recipe:"
    for snippet, name in dict.fromkeys((each.snippet, each.build.pin.name) for each in found):
        yield f"  {name}.toml:"
        yield from (f"    {line}" for line in snippet.splitlines())


def _falls(ends: Iterable[Outcome | Unfinished]) -> Iterator[tuple[Built, Fall]]:
    for it in ends:
        if isinstance(it, Built) and it.way.fall:
            yield it, it.way.fall


def _past(build: Build, fall: Fall, known: Experience, describe: Describe, today: date) -> PastFall:
    before = known.falls.get(place(build))
    return PastFall(
        project=build.pin.name,
        version=str(build.pin.version),
        target=str(build.target),
        key=describe(build).untagged,
        rung=fall.rung,
        failure=fall.failure.value,
        summary=fall.summary,
        toolchain=fall.toolchain,
        first=before.first if before else today,
        last=today,
        times=before.times + 1 if before else 1,
        expires=today + STANDS,
    )
