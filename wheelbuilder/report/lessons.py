"""What a run's outcomes teach the runs after it, and for how long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from wheelbuilder.build.outcomes import Built, Failed, FailureClass, Outcome, Step, StepResult, Unfinished
from wheelbuilder.plan.decisions import Build, InMirror, Upstream
from wheelbuilder.plan.experience import Cost, Experience, Lessons
from wheelbuilder.plan.keys import BuildInputs, Describe
from wheelbuilder.plan.past import Attempt, PastFailure
from wheelbuilder.plan.plans import Plan
from wheelbuilder.report import falls

LONGER = 2.0  # what a build is expected to take that was ended, by how long it ran
MOST_BLOCKED = 3  # days; and no longer than what blocks fails
# For how many days a failure of each class stands while its inputs stay the same. None: it is not remembered,
# because it is about this machine or about us, and not about the package.
DAYS = {
    FailureClass.ROOT: None,
    FailureClass.INTERNAL: None,
    FailureClass.KILLED: None,
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
    FailureClass.BLOCKED: MOST_BLOCKED,
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


def lessons(
    ends: Iterable[Outcome | Unfinished], known: Experience, describe: Describe, today: date
) -> Lessons:
    """Return what ends of builds teach beyond what is known. describe: returns what a build was made from."""
    earlier, ends = known.earlier(), list(ends)
    told = [end for end in ends if not isinstance(end, Unfinished)]
    failed = {failure.attempt: failure for failure in _failures(told, earlier, describe, today)}
    costs: dict[str, dict[str, Cost]] = {}
    for end in ends:
        if cost := _cost(end, known):
            costs.setdefault(end.build.pin.name, {})[str(end.build.target)] = cost
    done = {it.build.attempt for it in told if not isinstance(it, Failed)}
    blocked = [it for it in told if isinstance(it, Failed) and it.blocked_by]
    stopped = (_stopped(it, {**earlier, **failed}, describe, today) for it in blocked)
    return Lessons(
        failed=(*failed.values(), *filter(None, stopped)),
        mended=frozenset(done & earlier.keys()),
        costs=costs,
        fallen=falls.learned(told, known, describe, today),
        climbed=falls.climbed(told, known),
    )


def standing(known: Experience, today: date) -> dict[str, PastFailure]:
    """Return the failures of builds themselves that are not tried again today, by build key."""
    return {
        key: failure
        for key, failure in known.failures.items()
        if today < failure.expires and not failure.blocked_by and failure.failure in {*FailureClass}
    }


def as_before(build: Build, failure: PastFailure) -> Failed:
    """Return the outcome of a build that failed in an earlier run and is not tried again."""
    return Failed(
        build=build,
        failure=FailureClass(failure.failure),
        step=Step.FETCH,
        summary=f"{failure.summary} (on {failure.last}; tried again from {failure.expires} on)",
        remembered=True,
    )


def mended(plan: Plan, known: Experience) -> frozenset[Attempt]:
    """Return what failed in earlier runs and needs no build any more: a wheel is there."""
    there = {
        (decision.pin.name, str(decision.pin.version), str(decision.target))
        for decision in plan.decisions
        if isinstance(decision, InMirror | Upstream)
    }
    return frozenset(attempt for attempt in known.earlier() if attempt[:3] in there)


def _failures(
    outcomes: Iterable[Outcome], earlier: Mapping[Attempt, PastFailure], describe: Describe, today: date
) -> Iterator[PastFailure]:
    for it in outcomes:
        if isinstance(it, Failed) and not it.blocked_by and (days := DAYS[it.failure]) is not None:
            expires = today if it.passing else today + timedelta(days=days)
            yield _failure(it, earlier.get(it.build.attempt), describe(it.build), today, expires)


def _stopped(
    outcome: Failed, earlier: Mapping[Attempt, PastFailure], describe: Describe, today: date
) -> PastFailure | None:
    """Return the failure of a build that another one has blocked; None if that one's is not remembered."""
    build = outcome.build
    project, _, version = outcome.blocked_by[-1].partition("==")
    root = earlier.get((project, version, str(build.target), None))
    if root is None:
        return None
    expires = min(root.expires, today + timedelta(days=MOST_BLOCKED))
    return _failure(outcome, earlier.get(build.attempt), describe(build), today, expires)


def _failure(
    outcome: Failed, earlier: PastFailure | None, inputs: BuildInputs, today: date, expires: date
) -> PastFailure:
    build = outcome.build
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
        expires=expires,
        blocked_by=outcome.blocked_by,
        inputs=inputs.described,
        told=earlier.told if earlier else False,
        unfit=outcome.unfit,
    )


def _cost(end: Outcome | Unfinished, known: Experience) -> Cost | None:
    """Return what a build takes: what it took, or more than was known if it gave nothing for longer."""
    match end:
        case Built() if _is_usual(end):
            steps = _last_attempt(end.steps)
            peaks = [step.peak_memory for step in steps if step.peak_memory is not None]
            return Cost(seconds=_seconds(steps), peak_memory=max(peaks, default=None))
        case Failed():
            return _at_least(end.build, _seconds(_last_attempt(end.steps)), known)
        case Unfinished():
            return _at_least(end.build, round(end.seconds * LONGER, 3), known)
    return None


def _is_usual(end: Built) -> bool:
    """Whether the run left a build to the rung that others will take."""
    return not end.way.pinned or end.way.rung is end.build.recipe.rung


def _at_least(build: Build, seconds: float, known: Experience) -> Cost | None:
    expected = known.cost(build)
    return replace(expected, seconds=seconds) if seconds > expected.seconds else None


def _last_attempt(steps: Sequence[StepResult]) -> list[StepResult]:
    return [step for step in steps if step.attempt == steps[-1].attempt]


def _seconds(steps: Iterable[StepResult]) -> float:
    return round(sum(step.seconds for step in steps), 3)
