"""What earlier builds taught: which failed and why, and what each project's builds cost."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from operator import attrgetter
from statistics import median

from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.past import Attempt, PastFailure, PastFall, Place

# Guesses for a project that was never built, from builds of common projects on two cores.
START = 8.0  # seconds that every build takes: roots, environments, hooks, the trial
SECONDS_PER_BYTE = 25.0 / (1 << 20)  # of a packed sdist
USUAL_SDIST = 1 << 19  # bytes, where the index does not say
FOREIGN = 2.0  # how much longer a build takes in an emulated root with a native compiler


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a build takes. seconds: wall time; peak_memory: bytes, None where it was not measured."""

    seconds: float
    peak_memory: int | None = None


Unfit = Mapping[tuple[str, str, str], str]  # file names by project, version and target
Costs = Mapping[str, Mapping[str, Cost]]  # by project, then by target


@dataclass(frozen=True, kw_only=True, slots=True)
class Lessons:
    """What some builds have taught: what failed, what does not fail any more, and what builds cost.

    told: the failures that people have been told of. fallen: what fell to a slower rung. climbed:
    what the faster one has built.
    """

    failed: tuple[PastFailure, ...] = ()
    mended: frozenset[Attempt] = frozenset()
    costs: Costs = field(default_factory=dict)
    told: frozenset[Attempt] = frozenset()
    fallen: tuple[PastFall, ...] = ()
    climbed: frozenset[Place] = frozenset()

    def __bool__(self) -> bool:
        return any((self.failed, self.mended, self.costs, self.told, self.fallen, self.climbed))


@dataclass(frozen=True, kw_only=True, slots=True)
class Experience:
    """What is known of earlier builds. Losing it costs time and nothing else.

    failures: by build key. falls: the last of each project on a target. native: this machine's
    architecture.
    """

    failures: Mapping[str, PastFailure] = field(default_factory=dict)
    costs: Costs = field(default_factory=dict)
    falls: Mapping[Place, PastFall] = field(default_factory=dict)
    native: str = field(default_factory=platform.machine)

    def failure(self, key: str) -> PastFailure | None:
        """Return how the build with this key failed, expired or not; None if that is not known."""
        return self.failures.get(key)

    def earlier(self) -> dict[Attempt, PastFailure]:
        """Return the failures by what was tried, whatever its inputs were."""
        return {failed.attempt: failed for failed in self.failures.values()}

    def unfit(self) -> Unfit:
        """Return the wheels that do not serve a target although their tags say so."""
        failures = (it for it in self.failures.values() if it.unfit)
        return {(it.project, it.version, it.target): it.unfit for it in failures}

    def cost(self, build: Build) -> Cost:
        """Return what a build will take: as last time, as on another target, or by the size of its sdist."""
        target, known = str(build.target), self.costs.get(build.pin.name, {})
        if target in known:
            return known[target]
        if known:
            scaled = (self._scaled(cost, other, target) for other, cost in known.items())
            return max(scaled, key=attrgetter("seconds"))
        size = USUAL_SDIST if build.sdist.size is None else build.sdist.size
        return Cost(seconds=(START + size * SECONDS_PER_BYTE) * self._slowness(target))

    def with_lessons(self, lessons: Lessons) -> Experience:
        """Return the experience with what was learned since: one failure for each attempt, the newest."""
        gone = lessons.mended | {failed.attempt for failed in lessons.failed}
        kept = {key: failed for key, failed in self.failures.items() if failed.attempt not in gone}
        known = kept | {failed.key: failed for failed in lessons.failed}
        failures = {
            key: replace(it, told=True) if it.attempt in lessons.told else it for key, it in known.items()
        }
        falls = {place: fell for place, fell in self.falls.items() if place not in lessons.climbed}
        return replace(
            self,
            failures=failures,
            costs=_united(self.costs, lessons.costs),
            falls=falls | {fell.place: fell for fell in lessons.fallen},
        )

    def forgetting(self, before: date) -> Experience:
        """Return the experience without what nobody has met since a day: pins that are gone."""
        kept = {key: failed for key, failed in self.failures.items() if failed.last >= before}
        falls = {place: fell for place, fell in self.falls.items() if fell.last >= before}
        return replace(self, failures=kept, falls=falls)

    def _scaled(self, cost: Cost, source: str, target: str) -> Cost:
        """Return what a build takes on a target that took this on another: by projects built on both."""
        both = (known for known in self.costs.values() if source in known and target in known)
        pairs = [known[target].seconds / known[source].seconds for known in both if known[source].seconds]
        ratio = median(pairs) if pairs else self._slowness(target) / self._slowness(source)
        return Cost(seconds=cost.seconds * ratio, peak_memory=cost.peak_memory)

    def _slowness(self, target: str) -> float:
        return 1.0 if target.endswith(f"_{self.native}") else FOREIGN


def _united(old: Costs, new: Costs) -> Costs:
    return {**old, **{project: {**old.get(project, {}), **costs} for project, costs in new.items()}}
