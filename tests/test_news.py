from __future__ import annotations

from dataclasses import replace

import pytest
from samples import ARM, X86, build, file, past
from test_lessons import built, failed

from wheelbuilder.build.outcomes import Covered, FailureClass, Outcome
from wheelbuilder.plan.decisions import Decision, InMirror, Postponed, Unavailable, Upstream
from wheelbuilder.plan.experience import Experience, Lessons
from wheelbuilder.plan.plans import Plan
from wheelbuilder.report.news import FailOn, Item, News, news, untold

A, B, C, D, E, F = (build(name) for name in "abcdef")
BLOCKED = FailureClass.BLOCKED
KNOWN = Experience().with_lessons(
    Lessons(failed=(*map(past, "abcd"), past("e", failure="blocked", summary="by f")))
)


def told(*outcomes: Outcome, decisions: tuple[Decision, ...] = (), known: Experience = KNOWN) -> News:
    return news(Plan(targets=(X86, ARM), decisions=decisions, gaps={}, upstream={}), outcomes, known)


def lines(items: tuple[Item, ...]) -> list[str]:
    return [str(item) for item in items]


def test_new_and_old_failures() -> None:
    found = told(failed(A), failed(F))
    assert lines(found.new) == [f"f 1.0 {X86}: missing-header: the header x.h is missing"]
    assert lines(found.still_failing) == [
        f"a 1.0 {X86}: missing-header: the header x.h is missing, since 2026-11-20"
    ]
    assert found.new[0].since == "" and found.still_failing[0].since == "2026-11-20"


def test_what_was_not_tried_fails_still() -> None:
    found = told(decisions=(Postponed(pin=A.pin, target=X86, failure=past("a")),))
    assert lines(found.still_failing) == [
        f"a 1.0 {X86}: compiler: the compiler failed, since 2026-11-20; not tried before 2026-12-20"
    ]
    assert not found.still_failing[0].tried and found.new == ()


def test_what_nobody_was_told_of_is_new_once() -> None:
    """A run that was killed has learned it."""
    learned = past("a", told=False)
    known = Experience().with_lessons(Lessons(failed=(learned,)))
    waiting = Postponed(pin=A.pin, target=X86, failure=learned)
    for found in (told(failed(A), known=known), told(decisions=(waiting,), known=known)):
        assert [item.project for item in found.new] == ["a"] and found.still_failing == ()
        assert found.fails(FailOn.NEW)
    plan = Plan(targets=(X86,), decisions=(waiting,), gaps={}, upstream={})
    attempts = untold(plan, (), known)
    assert attempts == untold(replace(plan, decisions=()), [failed(A)], known) == {A.attempt}
    after = known.with_lessons(Lessons(told=attempts))
    assert untold(plan, (), after) == untold(plan, (), KNOWN) == set()
    assert [item.project for item in told(failed(A), known=after).still_failing] == ["a"]


def test_what_a_recipe_states_is_said_too() -> None:
    stated = Unavailable(pin=A.pin, target=X86, reason="known failure until 2999-01-01: no", known=True)
    found = told(
        decisions=(stated, Unavailable(pin=B.pin, target=X86, reason="upstream has no such project"))
    )
    assert lines(found.known) == [f"a 1.0 {X86}: known failure until 2999-01-01: no"]
    assert {choice for choice in FailOn if found.fails(choice)} == {FailOn.ANY}


def test_what_is_fixed_and_how() -> None:
    wheel = "x-1.0-py3-none-any.whl"
    found = told(
        built(A),
        Covered(build=B, by=ARM, filename=wheel),
        decisions=(
            Upstream(pin=C.pin, target=X86, wheel=file(wheel)),
            InMirror(pin=D.pin, target=X86, wheel=file(wheel)),
            InMirror(pin=E.pin, target=ARM, wheel=file(wheel)),
            InMirror(pin=F.pin, target=X86, wheel=file(wheel)),
        ),
    )
    failed = "it failed with compiler, since 2026-11-20"
    assert lines(found.fixed) == [
        f"a 1.0 {X86}: built; {failed}",
        f"b 1.0 {X86}: covered by {wheel}; {failed}",
        f"c 1.0 {X86}: upstream has {wheel}; {failed}",
        f"d 1.0 {X86}: the mirror has {wheel}; {failed}",
    ]


def test_what_is_blocked_is_a_group_of_its_own() -> None:
    waiting = Postponed(pin=E.pin, target=X86, failure=past("e", failure="blocked", summary="by f"))
    found = told(failed(F, BLOCKED), decisions=(waiting,))
    assert [item.project for item in found.blocked] == ["f", "e"]
    assert found.new == found.still_failing == ()


@pytest.mark.parametrize(
    ("found", "on"),
    [
        (told(failed(F)), {FailOn.NEW, FailOn.ANY}),
        (told(failed(F, BLOCKED)), {FailOn.NEW, FailOn.ANY}),
        (told(failed(A)), {FailOn.ANY}),
        (told(failed(E, BLOCKED)), {FailOn.ANY}),
        (told(decisions=(Postponed(pin=A.pin, target=X86, failure=past("a")),)), {FailOn.ANY}),
        (told(built(A), built(F)), set()),
    ],
    ids=["new", "newly blocked", "old", "still blocked", "not tried", "all well"],
)
def test_which_failures_end_a_run_as_one(found: News, on: set[FailOn]) -> None:
    assert {choice for choice in FailOn if found.fails(choice)} == on


def test_as_json_values() -> None:
    document = told(failed(A), built(B)).document()
    assert list(document) == [
        "new_failures",
        "still_failing",
        "fixed",
        "blocked",
        "known_failures",
    ]
    assert document["still_failing"][0]["failure"] == "missing-header"
    assert document["fixed"][0]["since"] == "2026-11-20"
