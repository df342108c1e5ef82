from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from builds import FOREIGN, HOST, build, built, covered, failed, needs, pure

from wheelbuilder.build.graph import End, Graph
from wheelbuilder.build.outcomes import Built, Failed, FailureClass, Unfinished
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build

A, B, C, D = (build(name) for name in "abcd")


def graph(*builds: Build, costs: Mapping[str, float] | None = None, known: str | None = None) -> Graph:
    made = Graph(cost=lambda build: (costs or {}).get(build.pin.name, 1.0), known=lambda _: known)
    for each in builds:
        made.add(each)
    return made


def names(builds: Sequence[Build]) -> list[str]:
    return [f"{it.pin.name}{'' if it.target == HOST else '@'}" for it in builds]


def told(ends: Sequence[End]) -> dict[str, str]:
    return {end.build.pin.name: end.summary for end in ends if isinstance(end, Failed)}


def test_a_requirement_is_built_first_and_is_the_pin_of_the_list_if_there_is_one() -> None:
    made = graph(A, C)
    assert made.connect(needs(C, A, B)) == [] and len(made) == 3
    assert names(made.ready()) == ["a", "b"]
    made.settle(built(A))
    assert names(made.ready()) == ["b"]
    made.settle(built(B))
    assert names(made.ready()) == ["c"]
    assert [(it.pin.name, wheel.name[0]) for it, wheel in made.given(C)] == [("a", "a"), ("b", "b")]
    made.settle(built(C))
    assert len(made) == 0 and made.ready() == []


def test_the_longest_remaining_path_is_first() -> None:
    made = graph(A, B, C, D, costs={"a": 2, "b": 12, "c": 10.5, "d": 1})
    assert names(made.ready()) == ["b", "c", "a", "d"]
    made.connect(needs(C, A))
    assert names(made.ready()) == ["a", "b", "d"] and made.remaining(A) == 12.5
    made.connect(needs(B, D))
    assert names(made.ready()) == ["d", "a"] and made.remaining(D) == 13


def test_what_is_taken_is_not_ready_until_it_is_given_back() -> None:
    made = graph(A, B)
    made.take(A)
    assert names(made.ready()) == ["b"] and not made.is_open(A)
    made.give_back(A)
    made.connect(needs(A, B))
    assert names(made.ready()) == ["b"] and made.is_open(A)


def test_a_failure_blocks_all_that_wait_and_is_named_to_each() -> None:
    made = graph(A, B, C, D)
    made.connect(needs(B, A))
    made.connect(needs(C, B))
    ends = made.settle(failed(A, hint="do this", lines=("line",)))
    assert told(ends) == {
        "a": "it broke",
        "b": "it needs a==1.0, which failed: compiler: it broke",
        "c": "it needs b==1.0, which needs a==1.0, which failed: compiler: it broke",
    }
    last = ends[-1]
    assert isinstance(last, Failed) and last.failure is FailureClass.BLOCKED
    assert (last.hint, last.lines, last.blocked_by) == ("do this", ("line",), ("b==1.0", "a==1.0"))
    assert names(made.ready()) == ["d"]
    (late,) = made.connect(needs(D, A))
    assert isinstance(late, Failed) and late.blocked_by == ("a==1.0",) and len(made) == 0


def test_a_cycle_is_told_to_its_members_in_order_and_blocks_the_others() -> None:
    made = graph(A, B, C, D)
    assert made.connect(needs(A, B)) == made.connect(needs(B, C)) == made.connect(needs(D, B)) == []
    ends = made.connect(needs(C, A))
    cycle = "build requirements without a wheel need one another: a==1.0 -> b==1.0 -> c==1.0 -> a==1.0"
    assert told(ends) == {
        **dict.fromkeys("abc", cycle),
        "d": f"it needs b==1.0, which failed: requirements: {cycle}",
    }
    assert [end.failure.value for end in ends if isinstance(end, Failed)].count("requirements") == 3
    assert len(made) == 0


def test_what_needs_itself_is_a_cycle_of_one() -> None:
    made = graph(A)
    (end,) = made.connect(needs(A, A))
    assert told([end])["a"] == "a build requirement without a wheel needs itself: a==1.0 -> a==1.0"


def test_other_targets_wait_for_the_first_and_its_pure_wheel_is_offered_to_them() -> None:
    one, other = build("a"), build("a", FOREIGN)
    made = graph(other, one, build("b", FOREIGN))
    made.connect(needs(other, build("b", FOREIGN)))
    assert names(made.ready()) == ["a", "b@"] and made.offer(other) is None
    made.settle(pure(one))
    assert made.offer(other) == pure(one) and "a@" in names(made.ready())  # whatever it needs
    ends = made.settle(failed(build("b", FOREIGN)))
    assert len(ends) == 1 and len(made) == 1
    made.settle(covered(other, by=one))
    assert made.offer(other) is None and len(made) == 0


def test_a_build_that_declines_a_wheel_goes_its_own_way() -> None:
    other, needed = build("a", FOREIGN), build("b", FOREIGN)
    for end, expected in ((built(needed), ["a@"]), (failed(needed), [])):
        made = graph(A, other, needed)
        made.connect(needs(other, needed))
        made.settle(pure(A))
        made.settle(end)
        made.take(other)
        ends = made.decline(other, pure(A))
        assert made.declined(other) == pure(A) and made.offer(other) is None
        assert names(made.ready()) == expected and [type(it) for it in ends] == [Failed] * (not expected)


def test_one_target_of_another_machine_is_built_before_the_next() -> None:
    """Where the first of all failed, the first of each machine may still serve the rest of it."""
    newer = build("a", Target.parse(f"cp313-manylinux_2_41_{FOREIGN.arch}"))
    made = graph(newer, build("a", FOREIGN), A)
    made.settle(failed(A))
    assert made.ready() == [build("a", FOREIGN)]
    made.settle(built(build("a", FOREIGN), f"cp311-abi3-manylinux_2_17_{FOREIGN.arch}"))
    offer = made.offer(newer)
    assert offer and offer.build == build("a", FOREIGN)


def test_other_targets_start_once_the_first_gave_a_native_wheel_or_failed() -> None:
    for end in (built(A), failed(A)):
        made = graph(A, build("a", FOREIGN))
        assert names(made.ready()) == ["a"]
        made.settle(end)
        assert names(made.ready()) == ["a@"]


def test_a_native_wheel_of_an_earlier_build_lets_all_targets_start() -> None:
    made = graph(A, build("a", FOREIGN), known="a-0.9-cp311-cp311-manylinux_2_17_x86_64.whl")
    assert sorted(names(made.ready())) == ["a", "a@"]


def test_a_wheel_serves_the_requirement_of_another_target_that_comes_late() -> None:
    made = graph(A, build("b", FOREIGN))
    made.settle(pure(A))
    assert made.connect(needs(build("b", FOREIGN), build("a", FOREIGN))) == []
    assert made.offer(build("a", FOREIGN)) == pure(A)
    made.settle(covered(build("a", FOREIGN), by=A))
    ((needed, wheel),) = made.given(build("b", FOREIGN))
    assert needed.key == build("a", FOREIGN).key and wheel.name == "a-1.0-py3-none-any.whl"


def test_what_waits_for_an_unfinished_build_is_unfinished_too() -> None:
    made = graph(A, B, C)
    made.connect(needs(B, A))
    ends = made.settle(Unfinished(build=A, reason="deadline"))
    assert ends == [Unfinished(build=it, reason="deadline") for it in (A, B)]
    assert names(made.ready()) == ["c"]


def test_any_graph_comes_to_an_end_and_everything_has_one_outcome() -> None:
    for seed in range(60):
        dice = random.Random(seed)
        builds = [build(f"p{n}", target) for n in range(12) for target in (HOST, FOREIGN)]
        made = graph(*builds)
        ends: list[End] = []
        for _ in range(2000):
            ready = made.ready()
            if not ready:
                break
            picked = dice.choice(ready)
            made.take(picked)
            roll, offer = dice.random(), made.offer(picked)
            if offer:
                ends += (
                    made.decline(picked, offer) if roll < 0.5 else made.settle(covered(picked, offer.build))
                )
            elif roll < 0.4:
                made.give_back(picked)
                others = [it for it in builds if it.target == picked.target]
                ends += made.connect(needs(picked, *dice.sample(others, dice.randint(0, 2))))
            else:
                ends += made.settle((built, pure, failed)[dice.randrange(3)](picked))
        assert len(made) == 0, seed
        assert sorted(end.build.key for end in ends) == sorted(it.key for it in builds), seed
        for end in ends:
            if isinstance(end, Built):
                assert all(wheel for _, wheel in made.given(end.build))
