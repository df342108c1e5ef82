"""What a run's outcomes teach the runs after it, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta

from wheelbuilder.build.outcomes import Built, Failed, FailureClass, Outcome
from wheelbuilder.plan.decisions import Build, InMirror, Upstream
from wheelbuilder.plan.experience import Cost, Experience, Lessons
from wheelbuilder.plan.keys import BuildInputs
from wheelbuilder.plan.past import Attempt, PastFailure
from wheelbuilder.plan.plans import Plan

# For how many days a failure of each class stands while its inputs stay the same; 0: it is tried again by
# every run, because it is about this machine or about us, and not about the package.
DAYS = {
    FailureClass.ROOT: 0,
    FailureClass.INTERNAL: 0,
    # the index or its files: an hour may mend them, and looking costs one request
    FailureClass.NO_SOURCE: 1,
    FailureClass.BAD_DIGEST: 1,
    # how busy the machine was has a part in these
    FailureClass.OUT_OF_MEMORY: 3,
    FailureClass.TIME_OUT: 3,
    FailureClass.HANG: 3,
    # what is no input of the key, but moves by itself: packages of the archive, releases of build
    # requirements and of dependencies
    FailureClass.SYSTEM_PACKAGES: 3,
    FailureClass.REQUIREMENTS: 3,
    FailureClass.BLOCKED: 3,
    FailureClass.BACKEND: 7,
    FailureClass.IMPORT_FAILED: 7,
    # the same inputs give the same again, except where an unpinned build requirement mends them
    FailureClass.UNPACK: 30,
    FailureClass.PATCH: 30,
    FailureClass.MISSING_HEADER: 30,
    FailureClass.MISSING_LIBRARY: 30,
    FailureClass.MISSING_PROGRAM: 30,
    FailureClass.COMPILER: 30,
    FailureClass.TOOLCHAIN: 30,
    FailureClass.NETWORK_ATTEMPT: 30,
    FailureClass.WHEEL_CHECK: 30,
    FailureClass.NATIVE_LOST: 30,
    FailureClass.REPAIR_REFUSED: 30,
}

Describe = Callable[[Build], BuildInputs]


def lessons(outcomes: Iterable[Outcome], known: Experience, describe: Describe, today: date) -> Lessons:
    """Return what outcomes teach beyond what is known. describe: returns what a build was made from."""
    earlier = known.earlier()
    failed: list[PastFailure] = []
    mended: set[Attempt] = set()
    costs: dict[str, dict[str, Cost]] = {}
    for outcome in outcomes:
        build = outcome.build
        match outcome:
            case Failed():
                failed += filter(None, [_failure(outcome, earlier.get(build.attempt), describe, today)])
            case Built():
                costs.setdefault(build.pin.name, {})[str(build.target)] = _cost(outcome)
        if not isinstance(outcome, Failed) and build.attempt in earlier:
            mended.add(build.attempt)
    return Lessons(failed=tuple(failed), mended=frozenset(mended), costs=costs)


def mended(plan: Plan, known: Experience) -> frozenset[Attempt]:
    """Return what failed in earlier runs and needs no build any more: a wheel is there."""
    there = {
        (decision.pin.name, str(decision.pin.version), str(decision.target))
        for decision in plan.decisions
        if isinstance(decision, InMirror | Upstream)
    }
    return frozenset(attempt for attempt in known.earlier() if attempt[:3] in there)


def _failure(
    outcome: Failed, earlier: PastFailure | None, describe: Describe, today: date
) -> PastFailure | None:
    build, days = outcome.build, DAYS[outcome.failure]
    if days == 0:
        return None
    return PastFailure(
        project=build.pin.name,
        version=str(build.pin.version),
        target=str(build.target),
        build_tag=build.build_tag,
        key=build.key,
        failure=outcome.failure.value,
        summary=outcome.summary,
        first=earlier.first if earlier else today,
        last=today,
        tries=earlier.tries + 1 if earlier else 1,
        expires=today + timedelta(days=days),
        inputs=describe(build).described,
    )


def _cost(outcome: Built) -> Cost:
    """Return what the attempt took that gave the wheel."""
    steps = [step for step in outcome.steps if step.attempt == outcome.steps[-1].attempt]
    peaks = [step.peak_memory for step in steps if step.peak_memory is not None]
    return Cost(seconds=round(sum(step.seconds for step in steps), 3), peak_memory=max(peaks, default=None))
