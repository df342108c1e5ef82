from __future__ import annotations

from dataclasses import replace

import pytest
from samples import ARM, X86, build, past

from wheelbuilder.plan.experience import FOREIGN, START, Cost, Experience, Lessons

NATIVE = "x86_64"


def test_what_a_build_took_it_takes_again() -> None:
    known = Cost(seconds=3.0, peak_memory=5)
    assert Experience(costs={"a": {str(X86): known}}, native=NATIVE).cost(build("a")) == known


def test_a_build_elsewhere_is_scaled_by_projects_built_on_both() -> None:
    costs = {
        "a": {str(X86): Cost(seconds=10.0, peak_memory=7)},
        "b": {str(X86): Cost(seconds=2.0), str(ARM): Cost(seconds=6.0)},
    }
    assert Experience(costs=costs, native=NATIVE).cost(build("a", ARM)) == Cost(seconds=30.0, peak_memory=7)
    alone = {"a": costs["a"]}
    assert Experience(costs=alone, native=NATIVE).cost(build("a", ARM)).seconds == 10.0 * FOREIGN


def test_a_guess_grows_with_the_sdist_and_under_emulation() -> None:
    nothing = Experience(native=NATIVE)
    small, large = (nothing.cost(build("a", size=size)).seconds for size in (0, 1 << 20))
    assert small == START < nothing.cost(build("a", size=None)).seconds < large
    assert nothing.cost(build("a", ARM, 0)) == Cost(seconds=START * FOREIGN)


def test_one_failure_is_kept_for_each_attempt() -> None:
    first = Experience().with_lessons(Lessons(failed=(past("a", "k1"), past("b", "k2"))))
    assert first.failure("k1") == past("a", "k1") and first.failure("k3") is None
    again = first.with_lessons(Lessons(failed=(past("a", "k3", day=21),)))
    assert set(again.failures) == {"k2", "k3"}
    tagged = again.with_lessons(Lessons(failed=(replace(past("a", "k4"), build_tag=1),)))
    assert set(tagged.failures) == {"k2", "k3", "k4"}


@pytest.mark.parametrize("name", ["a", "b"])
def test_what_is_mended_is_forgotten(name: str) -> None:
    known = Experience().with_lessons(Lessons(failed=(past("a", "k1"), past("b", "k2"))))
    left = known.with_lessons(Lessons(mended=frozenset({past(name, "").attempt})))
    assert [failed.project for failed in left.failures.values()] == [{"a": "b", "b": "a"}[name]]


def test_costs_are_added_by_project_and_target() -> None:
    one, two = Cost(seconds=1.0), Cost(seconds=2.0)
    known = Experience(costs={"a": {str(X86): one, str(ARM): one}, "b": {str(X86): one}})
    learned = known.with_lessons(Lessons(costs={"a": {str(X86): two}}))
    assert learned.costs == {"a": {str(X86): two, str(ARM): one}, "b": {str(X86): one}}
