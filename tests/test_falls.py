from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from functools import partial

import pytest
from builds import WAY, built
from samples import ARM, X86, build, fell, file, pin

from wheelbuilder.build.outcomes import Built, FailureClass, Fall, Way
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.experience import Experience, Lessons
from wheelbuilder.plan.keys import inputs_of
from wheelbuilder.report.falls import advice, fallen, recalled
from wheelbuilder.report.lessons import lessons

TODAY = date(2026, 11, 25)
A = build("a", ARM)
describe = partial(inputs_of, catalogue=Catalogue.read(default_path()), build_constraints=())
FALL = Fall(rung=Rung.TOOLCHAIN, failure=FailureClass.COMPILER, summary="it broke", toolchain="t1")
TOOLCHAIN = Way(rung=Rung.TOOLCHAIN, reason="x", toolchain="t1")


def made(build: Build, way: Way) -> Built:
    return replace(built(build), way=way)


def emulated(build: Build = A, fall: Fall = FALL) -> Built:
    return made(build, Way(rung=Rung.EMULATED, reason=str(fall), fall=fall))


def known(*ends: Built, before: Experience | None = None, today: date = TODAY) -> Experience:
    before = before or Experience()
    return before.with_lessons(lessons(ends, before, describe, today))


def test_a_fall_is_remembered_for_the_same_inputs() -> None:
    experience = known(emulated())
    again = recalled(A, experience, describe, TODAY)
    assert again == replace(FALL, remembered=True) and "failed earlier with compiler" in str(again)
    tagged = replace(A, build_tag=3)
    assert recalled(tagged, experience, describe, TODAY) == again
    (past,) = experience.falls.values()
    assert recalled(A, experience, describe, past.expires) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(A, target=X86),
        replace(A, pin=pin("a===1.1")),
        replace(A, sdist=file("a-1.0.zip")),
        replace(A, recipe=replace(A.recipe, environment={"X": "1"})),
        build("b", ARM),
    ],
)
def test_other_inputs_are_tried_on_the_faster_rung(other: Build) -> None:
    assert recalled(other, known(emulated()), describe, TODAY) is None


def test_what_keeps_falling_is_counted_by_project_and_target() -> None:
    newer = replace(A, pin=pin("a===1.1"))
    once = known(emulated())
    twice = known(emulated(newer), before=once, today=date(2026, 12, 1))
    (past,) = twice.falls.values()
    assert (past.version, past.times, past.first, past.last) == ("1.1", 2, TODAY, date(2026, 12, 1))
    assert known(emulated(fall=replace(FALL, remembered=True)), before=twice) == twice


def test_what_the_faster_rung_has_built_is_forgotten() -> None:
    assert known(made(A, TOOLCHAIN), before=known(emulated())).falls == {}
    kept = known(made(build("b", ARM), TOOLCHAIN), before=known(emulated()))
    assert list(kept.falls) == [("a", str(ARM))]


def test_a_class_that_is_not_known_any_more_is_no_fall() -> None:
    odd = Experience().with_lessons(Lessons(fallen=(fell("a", failure="gone", key=describe(A).untagged),)))
    assert recalled(A, odd, describe, TODAY) is None


def test_a_rung_that_a_run_allows_alone_teaches_no_cost() -> None:
    forced = made(A, Way(rung=Rung.EMULATED, reason="x", pinned=True))
    assert lessons([forced], Experience(), describe, TODAY).costs == {}
    pinned = replace(A, recipe=replace(A.recipe, rung=Rung.EMULATED))
    assert lessons([replace(forced, build=pinned)], Experience(), describe, TODAY).costs


def test_the_advice_is_a_recipe_for_what_fell_in_this_run_or_before_it() -> None:
    before = Experience(falls={("a", str(ARM)): fell("a", times=2)})
    assert list(advice(fallen([made(A, WAY), made(A, TOOLCHAIN)], before))) == []
    found = fallen([emulated(), emulated(build("b", ARM), replace(FALL, remembered=True))], before)
    lines = list(advice(found))
    often = " (3 builds since 2026-11-20)"
    assert lines[:3] == [
        "built on a slower rung (2):",
        f"  a===1.0 {ARM}: emulated, because native-toolchain failed with compiler: it broke{often}",
        f"  b===1.0 {ARM}: emulated, because native-toolchain failed earlier with compiler: it broke",
    ]
    assert "  a.toml:" in lines and "  b.toml:" in lines
    (versions,) = tomllib.loads(found[0].snippet)["versions"]
    assert versions == {"range": "<=1.0", "rung": "emulated"}
    assert found[0].document() | {"recipe": ""} == {
        "project": "a", "version": "1.0", "target": str(ARM), "rung": "emulated",
        "reason": "native-toolchain failed with compiler: it broke", "times": 3, "since": "2026-11-20",
        "recipe": "",
    }  # fmt: skip
