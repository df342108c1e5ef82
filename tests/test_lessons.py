from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest
from builds import WAY
from samples import ARM, X86, build, file, past

from wheelbuilder.build.outcomes import (
    NOT_STARTED,
    WAS_ENDED,
    Built,
    BuiltWheel,
    Covered,
    Failed,
    FailureClass,
    Outcome,
    Step,
    StepResult,
    Unfinished,
)
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.plan.decisions import Build, Decision, InMirror, Upstream
from wheelbuilder.plan.experience import Cost, Experience, Lessons
from wheelbuilder.plan.keys import inputs_of
from wheelbuilder.plan.plans import Plan
from wheelbuilder.report.lessons import DAYS, as_before, lessons, mended, standing

TODAY = date(2026, 11, 23)
describe = partial(inputs_of, catalogue=Catalogue.read(default_path()), build_constraints=())
KNOWN = Experience().with_lessons(Lessons(failed=(past("a"), past("b"))))


def failed(build: Build, failure: FailureClass = FailureClass.MISSING_HEADER) -> Failed:
    return Failed(build=build, failure=failure, step=Step.BUILD, summary="the header x.h is missing")


def built(build: Build, *seconds: float) -> Built:
    wheel = BuiltWheel(path=Path("x.whl"), sha256="a" * 64, size=1, requires_python=None)
    steps = tuple(StepResult(step=Step.BUILD, seconds=it, ok=True) for it in seconds)
    return Built(build=build, wheel=wheel, sdist=Path("x"), way=WAY, steps=steps)


def test_every_class_has_its_time() -> None:
    assert set(DAYS) == set(FailureClass)


def test_a_first_failure() -> None:
    (learned,) = lessons([failed(build("c"))], KNOWN, describe, TODAY).failed
    assert (learned.attempt, learned.key) == (("c", "1.0", str(X86), None), f"c {X86}")
    assert (learned.failure, learned.summary) == ("missing-header", "the header x.h is missing")
    assert (learned.first, learned.last, learned.tries) == (TODAY, TODAY, 1)
    assert learned.expires == TODAY + timedelta(days=30)
    assert learned.inputs == describe(build("c")).described


def test_the_same_again_remembers_since_when() -> None:
    (learned,) = lessons([failed(build("a", key="other"))], KNOWN, describe, TODAY).failed
    assert (learned.first, learned.last, learned.tries) == (date(2026, 11, 20), TODAY, 2)
    assert learned.key == "other"


@pytest.mark.parametrize("failure", [FailureClass.INTERNAL, FailureClass.ROOT])
def test_what_is_no_fault_of_the_package_is_not_remembered_and_forgets_nothing(failure: FailureClass) -> None:
    assert not lessons([failed(build("a"), failure), failed(build("c"), failure)], KNOWN, describe, TODAY)


def test_what_may_be_over_in_a_moment_is_remembered_and_tried_by_the_next_run() -> None:
    trouble = Failed(
        build=build("c"), failure=FailureClass.NO_SOURCE, step=Step.FETCH, summary="no answer", passing=True
    )
    (learned,) = lessons([trouble], KNOWN, describe, TODAY).failed
    assert learned.expires == TODAY and standing(Experience(failures={learned.key: learned}), TODAY) == {}


def blocked(build: Build, *names: str) -> Failed:
    return Failed(
        build=build,
        failure=FailureClass.BLOCKED,
        step=Step.REQUIREMENTS,
        summary=f"it needs {names[0]}",
        blocked_by=names,
    )


def test_what_is_blocked_stands_no_longer_than_what_blocks_it() -> None:
    for failure, days in ((FailureClass.COMPILER, 3), (FailureClass.NO_SOURCE, 1)):
        told = [failed(build("root"), failure), blocked(build("c"), "middle==1", "root==1.0")]
        root, stopped = lessons(told, KNOWN, describe, TODAY).failed
        assert root.project == "root" and stopped.blocked_by == ("middle==1", "root==1.0")
        assert (stopped.failure, stopped.expires) == ("blocked", TODAY + timedelta(days=days))
    earlier = lessons([blocked(build("c"), "a==1.0")], KNOWN, describe, TODAY).failed
    assert [failure.project for failure in earlier] == ["c"]
    unknown = [failed(build("root"), FailureClass.ROOT), blocked(build("c"), "root==1.0")]
    assert not lessons(unknown, KNOWN, describe, TODAY)


def test_what_stands_is_told_as_it_was() -> None:
    (key, failure) = next(iter(standing(KNOWN, TODAY).items()))
    told = as_before(build("a"), failure)
    assert key == build("a").key and told.failure is FailureClass.COMPILER and told.remembered
    assert told.summary == "the compiler failed (on 2026-11-20; tried again from 2026-12-20 on)"
    assert standing(KNOWN, failure.expires) == {}


def test_what_was_built_or_covered_is_mended_and_has_a_cost() -> None:
    done: list[Outcome] = [
        built(build("a"), 1.5, 2.0),
        Covered(build=build("b"), by=ARM, filename="b-1.0-py3-none-any.whl"),
        built(build("d"), 1.0),
    ]
    learned = lessons(done, KNOWN, describe, TODAY)
    assert learned.mended == {past("a").attempt, past("b").attempt} and learned.failed == ()
    assert learned.costs == {"a": {str(X86): Cost(seconds=3.5)}, "d": {str(X86): Cost(seconds=1.0)}}


def test_what_ran_longer_than_expected_and_gave_nothing_teaches_that_it_is_long() -> None:
    steps = (StepResult(step=Step.BUILD, seconds=7200.0, ok=False),)
    guess = KNOWN.cost(build("c"))
    ends: list[Outcome | Unfinished] = [
        Unfinished(build=build("c"), reason=WAS_ENDED, seconds=100.0),
        replace(failed(build("d"), FailureClass.TIME_OUT), steps=steps),
        Unfinished(build=build("e"), reason=NOT_STARTED),
        Unfinished(build=build("f"), reason=WAS_ENDED, seconds=guess.seconds / 4),
        replace(failed(build("g")), steps=(replace(steps[0], seconds=guess.seconds / 2),)),
    ]
    learned = lessons(ends, KNOWN, describe, TODAY)
    costs = {name: known[str(X86)] for name, known in learned.costs.items()}
    assert set(costs) == {"c", "d"}
    assert costs["c"].seconds > 100.0 and costs["d"] == Cost(seconds=7200.0)
    assert [failure.project for failure in learned.failed] == ["d", "g"]
    known = Experience(costs={"c": {str(X86): Cost(seconds=500.0, peak_memory=9)}})
    assert not lessons([ends[0]], known, describe, TODAY)
    longer = replace(known, costs={"c": {str(X86): Cost(seconds=50.0, peak_memory=9)}})
    assert lessons([ends[0]], longer, describe, TODAY).costs["c"][str(X86)].peak_memory == 9


def test_what_others_have_made_since_is_mended() -> None:
    a, b, c = (build(name) for name in "abc")
    decisions: tuple[Decision, ...] = (
        InMirror(pin=a.pin, target=X86, wheel=file("a-1.0-py3-none-any.whl")),
        Upstream(pin=b.pin, target=ARM, wheel=file("b-1.0-py3-none-any.whl")),
        Upstream(pin=c.pin, target=X86, wheel=file("c-1.0-py3-none-any.whl")),
    )
    plan = Plan(targets=(X86, ARM), decisions=decisions, gaps={}, upstream={})
    assert mended(plan, KNOWN) == {past("a").attempt}
