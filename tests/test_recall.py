from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import pytest
from samples import ARM, X86, build, file, past

from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.plan.decisions import Build, Decision, Postponed, Upstream
from wheelbuilder.plan.experience import Experience, Lessons
from wheelbuilder.plan.keys import BuildInputs, inputs_of
from wheelbuilder.plan.past import PastFailure
from wheelbuilder.plan.plans import Plan
from wheelbuilder.plan.recall import Present, recalled

describe = partial(inputs_of, catalogue=Catalogue.read(default_path()), build_constraints=("setuptools<80",))


def keyed(build: Build) -> Build:
    return replace(build, key=describe(build).key)


def failed(build: Build, **values: Any) -> PastFailure:
    """A failure of 2026-11-20 that is tried again on 2026-12-20."""
    known = {"target": str(build.target), "build_tag": build.build_tag, "inputs": describe(build).described}
    return past(build.pin.name, build.key, **(known | values))


def decision(
    wanted: Build,
    *known: PastFailure,
    today: date,
    recipes: Mapping[str, Recipe] | None = None,
    beside: tuple[Decision, ...] = (),
) -> Decision:
    """What becomes of a build when others have failed. recipes: those that are not empty, by project."""
    plan = Plan(targets=(X86, ARM), decisions=(wanted, *beside), gaps={}, upstream={})
    present = Present(
        describe=describe,
        recipe_for=lambda pin, _: (recipes or {}).get(pin.name, Recipe(project=pin.name)),
        today=today,
    )
    found, *_ = recalled(plan, Experience().with_lessons(Lessons(failed=known)), present).decisions
    return found


A = keyed(build("a"))
SOON, LATER = date(2026, 12, 19), date(2026, 12, 20)


def test_what_failed_with_the_same_inputs_waits_until_the_record_expires() -> None:
    waiting = decision(A, failed(A), today=SOON)
    assert isinstance(waiting, Postponed) and (waiting.pin, waiting.target) == (A.pin, A.target)
    assert waiting.reason == (
        "failed on 2026-11-20 with compiler: the compiler failed;"
        " tried again from 2026-12-20 on, or when an input changes"
    )
    tried = decision(A, failed(A), today=LATER)
    assert isinstance(tried, Build) and tried.again.endswith("; tried again since 2026-12-20")


@pytest.mark.parametrize(
    "other",
    [build("b"), build("a", ARM), build("a", build_tag=1)],
    ids=["another project", "another target", "another build tag"],
)
def test_the_failure_of_another_build_says_nothing(other: Build) -> None:
    assert decision(A, failed(keyed(other)), today=SOON) == A


def test_what_changed_since_is_named() -> None:
    changed = replace(A.recipe, environment={"CFLAGS": "-O1"}, deb=("libfoo-dev",))
    tried = decision(keyed(replace(A, recipe=changed)), failed(A), today=SOON)
    assert isinstance(tried, Build)
    assert tried.again == (
        "failed on 2026-11-20 with compiler: the compiler failed; changed since:"
        ' recipe.deb: nothing -> ["libfoo-dev"]; recipe.environment: nothing -> {"CFLAGS":"-O1"}'
    )


def test_a_failure_whose_inputs_nobody_knows_any_more() -> None:
    def schemaless(build: Build) -> BuildInputs:
        return replace(describe(build), schema=7)

    other = replace(A, key=schemaless(A).key)
    tried = decision(other, failed(A), today=SOON)
    assert isinstance(tried, Build) and "changed since" in tried.again


ROOT = keyed(build("root"))
BLOCKED = failed(A, failure="blocked", summary="it needs root==1.0", blocked_by=("middle==2", "root==1.0"))


def test_what_is_blocked_waits_while_the_same_stands_in_its_way() -> None:
    assert isinstance(decision(A, BLOCKED, failed(ROOT), today=SOON), Postponed)


def test_what_is_blocked_is_tried_once_its_way_may_be_free() -> None:
    wheel = Upstream(pin=ROOT.pin, target=X86, wheel=file("root-1.0-py3-none-any.whl"))
    mended = decision(A, BLOCKED, today=SOON)
    had = decision(A, BLOCKED, failed(ROOT), today=SOON, beside=(wheel,))
    for tried in (mended, had):
        assert isinstance(tried, Build) and tried.again.endswith("; root==1.0 does not fail any more")
    recipe = Recipe(project=ROOT.pin.name, deb=("libroot-dev",))
    changed = decision(A, BLOCKED, failed(ROOT), today=SOON, recipes={"root": recipe})
    assert isinstance(changed, Build)
    assert changed.again.endswith('changed since for root==1.0: recipe.deb: nothing -> ["libroot-dev"]')
    assert isinstance(decision(A, BLOCKED, failed(ROOT), today=LATER), Build)
