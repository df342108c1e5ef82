from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial

import pytest
from samples import ARM, X86, build, past

from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.plan.decisions import Build, Decision, Postponed
from wheelbuilder.plan.experience import Experience, Lessons
from wheelbuilder.plan.keys import BuildInputs, inputs_of
from wheelbuilder.plan.plans import Plan
from wheelbuilder.plan.recall import recalled

describe = partial(inputs_of, catalogue=Catalogue.read(default_path()), build_constraints=("setuptools<80",))


def keyed(build: Build) -> Build:
    return replace(build, key=describe(build).key)


def decision(wanted: Build, *known: Build, today: date) -> Decision:
    """What becomes of a build when others have failed on 2026-11-20, to be tried again on 2026-12-20."""
    failed = [
        past(
            it.pin.name, it.key, target=str(it.target), build_tag=it.build_tag, inputs=describe(it).described
        )
        for it in known
    ]
    plan = Plan(targets=(X86, ARM), decisions=(wanted,), gaps={}, upstream={})
    experience = Experience().with_lessons(Lessons(failed=tuple(failed)))
    (found,) = recalled(plan, experience, describe, today).decisions
    return found


A = keyed(build("a"))
SOON, LATER = date(2026, 12, 19), date(2026, 12, 20)


def test_what_failed_with_the_same_inputs_waits_until_the_record_expires() -> None:
    waiting = decision(A, A, today=SOON)
    assert isinstance(waiting, Postponed) and (waiting.pin, waiting.target) == (A.pin, A.target)
    assert waiting.reason == (
        "failed on 2026-11-20 with compiler: the compiler failed;"
        " tried again from 2026-12-20 on, or when an input changes"
    )
    tried = decision(A, A, today=LATER)
    assert isinstance(tried, Build) and tried.again.endswith("; tried again since 2026-12-20")


@pytest.mark.parametrize(
    "other",
    [build("b"), build("a", ARM), build("a", build_tag=1)],
    ids=["another project", "another target", "another build tag"],
)
def test_the_failure_of_another_build_says_nothing(other: Build) -> None:
    assert decision(A, keyed(other), today=SOON) == A


def test_what_changed_since_is_named() -> None:
    changed = replace(A.recipe, environment={"CFLAGS": "-O1"}, deb=("libfoo-dev",))
    tried = decision(keyed(replace(A, recipe=changed)), A, today=SOON)
    assert isinstance(tried, Build)
    assert tried.again == (
        "failed on 2026-11-20 with compiler: the compiler failed; changed since:"
        ' recipe.deb: nothing -> ["libfoo-dev"]; recipe.environment: nothing -> {"CFLAGS":"-O1"}'
    )


def test_a_failure_whose_inputs_nobody_knows_any_more() -> None:
    def schemaless(build: Build) -> BuildInputs:
        return replace(describe(build), schema=7)

    other = replace(A, key=schemaless(A).key)
    tried = decision(other, A, today=SOON)
    assert isinstance(tried, Build) and "changed since" in tried.again
