from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any

import pytest
from builds import FOREIGN, HOST, build, built, covered, failed, needs, pure

from wheelbuilder.build import tasks
from wheelbuilder.build.admission import Room
from wheelbuilder.build.graph import End
from wheelbuilder.build.outcomes import (
    NOT_STARTED,
    WAS_ENDED,
    Built,
    Covered,
    Failed,
    FailureClass,
    Fall,
    Needs,
    Outcome,
    Unfinished,
)
from wheelbuilder.build.schedule import Crew, Deadline, Work, outcomes
from wheelbuilder.build.tasks import Task
from wheelbuilder.errors import InterruptedRunError
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.experience import Cost, Experience
from wheelbuilder.plan.keys import inputs_of
from wheelbuilder.report.lessons import lessons

G = 1 << 30
FALL = Fall(rung=Rung.TOOLCHAIN, failure=FailureClass.COMPILER, summary="it broke", toolchain="t")
A, B, C, D = (build(name) for name in "abcd")
Run = Callable[[Task], Outcome | Needs]


def nothing(build: Build) -> Needs:
    return needs(build)


@pytest.fixture
def crew() -> Iterator[Crew]:
    with ThreadPoolExecutor(2) as builders, ThreadPoolExecutor(1) as clerks:
        yield Crew(builders=builders, clerks=clerks, room=Room(memory=8 * G, slots=2))


@dataclass
class Log:
    """Runs tasks and remembers which, and how many at a time."""

    run: Run
    tasks: list[Task] = field(default_factory=list)
    most: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, task: Task) -> Outcome | Needs:
        with self._lock:
            self.tasks.append(task)
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return self.run(task)
        finally:
            with self._lock:
                self._now -= 1

    @property
    def names(self) -> str:
        return "".join(task.build.pin.name for task in self.tasks)


def native(task: Task) -> Outcome:
    time.sleep(0.001)  # so that another worker gets its turn
    return built(task.build)


def slow(task: Task) -> Outcome:
    time.sleep(0.03)
    return built(task.build)


def lacking(wanted: dict[str, list[Build]], run: Run = native) -> dict[str, Any]:
    """A survey and a run to which builds need others; a build that was given them is run."""

    def honest(task: Task) -> Outcome | Needs:
        given = {it.key for it in task.given}
        missing = [it for it in wanted.get(task.build.key, []) if it.key not in given]
        return needs(task.build, *missing) if missing else run(task)

    return {"survey": lambda it: needs(it, *wanted.get(it.key, [])), "run": honest}


def ended(
    builds: Sequence[Build], run: Run, crew: Crew, deadline: Deadline | None = None, **work: Any
) -> list[End]:
    usual: dict[str, Any] = {"survey": nothing, "cost": lambda _: Cost(seconds=1.0)}
    return list(outcomes(builds, Work(run=run, **(usual | work)), crew, deadline))


def kinds(ends: Sequence[End]) -> dict[str, str]:
    return {end.build.key.removesuffix(f" {HOST}"): type(end).__name__ for end in ends}


def test_every_build_has_one_outcome(crew: Crew) -> None:
    builds = [build(f"p{n}", target) for n in range(50) for target in (HOST, FOREIGN)]
    chosen = {f"p{n}": (pure, built, failed)[n % 3] for n in range(50)}

    def run(task: Task) -> Outcome:
        native(task)
        if task.offer:
            return covered(task.build, task.offer.build)
        return chosen[task.build.pin.name](task.build)

    log = Log(run)
    found = ended(builds, log, crew)
    assert sorted(it.build.key for it in found) == sorted(it.key for it in builds)
    assert log.most == 2 and len([task for task in log.tasks if task.offer]) == 17  # with a pure wheel
    assert ended([], native, crew) == []


def test_outcomes_come_as_they_are_ready(crew: Crew) -> None:
    go = threading.Event()

    def run(task: Task) -> Outcome:
        assert task.build.pin.name == "b" or go.wait(20)
        return built(task.build)

    work = Work(run=run, survey=nothing, cost=lambda _: Cost(seconds=1.0))
    found = outcomes([A, B], work, crew)
    assert next(found).build.pin.name == "b"
    go.set()
    assert [it.build.pin.name for it in found] == ["a"]


def test_a_requirement_that_a_build_finds_out_about_is_built_and_given_to_it(crew: Crew) -> None:
    def run(task: Task) -> Outcome | Needs:
        if task.build in (A, C) and not task.given:
            return needs(task.build, B)
        return built(task.build)

    log = Log(run)
    told: list[Needs] = []
    found = ended([A, C], log, crew, tell=told.append)
    assert kinds(found) == {"a": "Built", "b": "Built", "c": "Built"}
    assert log.names.count("b") == 1 and log.names.count("a") == log.names.count("c") == 2
    assert {task.build.key: [it.key for it in task.given] for task in log.tasks[-2:]} == {
        A.key: [B.key],
        C.key: [B.key],
    }
    assert sorted(it.build.pin.name for it in told) == ["a", "c"]


def test_a_survey_tells_ahead_and_no_worker_finds_out_in_vain(crew: Crew) -> None:
    wanted = {A.key: [B], B.key: [C]}
    log = Log(slow)
    others = [build(f"p{n}") for n in range(6)]
    costs = {build.key: 9.0 for build in others}  # they start first, and the survey is done meanwhile
    found = ended(
        [A, *others], log, crew,
        survey=lambda it: needs(it, *wanted.get(it.key, [])),
        cost=lambda it: Cost(seconds=costs.get(it.key, 1.0)),
    )  # fmt: skip
    assert len(found) == 9 and [name for name in log.names if name in "abc"] == ["c", "b", "a"]


def test_the_longest_path_starts_first(crew: Crew) -> None:
    crew = Crew(builders=crew.builders, clerks=crew.clerks, room=Room(memory=8 * G, slots=1))
    costs = {"a": 2.0, "b": 12.0, "c": 11.0}  # alone `a` would be last; `c` needs it
    surveyed = threading.Event()

    def survey(it: Build) -> Needs:
        if it == C:
            surveyed.set()
        return needs(it, *[A][: it == C])

    def run(task: Task) -> Outcome:
        assert surveyed.wait(20)
        time.sleep(0.05)
        return built(task.build)

    first = build("first")
    log = Log(run)
    ended(
        [first, A, B, C],
        log,
        crew,
        survey=survey,
        cost=lambda it: Cost(seconds=costs.get(it.pin.name, 99.0)),
    )
    assert log.names == "firstabc"


def test_memory_limits_who_runs_beside_whom(crew: Crew) -> None:
    log = Log(slow)
    large = [build(f"p{n}", memory=5 * G) for n in range(4)]
    ended(large, log, crew)
    assert log.most == 1 and {task.memory for task in log.tasks} == {5 * G}
    log = Log(slow)
    ended(large, log, crew, cost=lambda _: Cost(seconds=1.0, peak_memory=G))
    assert log.most == 2


def test_what_failed_blocks_what_waits(crew: Crew) -> None:
    work = lacking(
        {B.key: [A], C.key: [B]},
        lambda task: failed(task.build) if task.build == A else built(task.build),
    )
    found = ended([C, B, A, D], crew=crew, **work)
    classes = {it.build.pin.name: it.failure for it in found if isinstance(it, Failed)}
    blocked = FailureClass.BLOCKED
    assert classes == {"a": FailureClass.COMPILER, "b": blocked, "c": blocked} and len(found) == 4


def test_what_can_heal_is_tried_once_more_and_both_attempts_are_told(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PAUSE", 0.01)
    first = {
        "a": failed(A, FailureClass.HANG),
        "b": failed(B, FailureClass.OUT_OF_MEMORY),
        "c": failed(C, FailureClass.NO_SOURCE, passing=True),
        "d": failed(D, FailureClass.NO_SOURCE),
    }

    def run(task: Task) -> Outcome:
        once = task.attempt.number == 1 or task.build == A
        return first[task.build.pin.name] if once else built(task.build)

    log = Log(run)
    found = {str(end.build.pin.name): end for end in ended([A, B, C, D], log, crew)}
    assert sorted(log.names) == list("aabbccd")
    assert all(isinstance(found[name], Built) for name in "bc")
    for name in "abc":
        end = found[name]
        assert isinstance(end, Built | Failed)
        assert [it.failure for it in end.earlier] == [first[name].failure]
    end = found["d"]
    assert isinstance(end, Failed) and end.earlier == ()
    (second,) = (task for task in log.tasks if task.build == B and task.attempt.number == 2)
    assert second.attempt.thrift == 2 and second.memory == 8 * G


def test_a_slower_rung_is_tried_after_what_can_heal_and_its_end_counts(crew: Crew) -> None:
    def run(task: Task) -> Outcome:
        match task.attempt.number:
            case 1:
                return failed(task.build, FailureClass.OUT_OF_MEMORY)
            case 2:
                return failed(task.build, fall=FALL)
        assert (task.attempt.fall, task.attempt.thrift) == (FALL, 2)
        return built(task.build) if task.build == A else failed(task.build, FailureClass.BACKEND)

    log = Log(run)
    found = {str(end.build.pin.name): end for end in ended([A, B], log, crew)}
    assert sorted(log.names) == list("aaabbb")
    assert isinstance(found["a"], Built) and isinstance(found["b"], Failed)
    assert found["b"].failure is FailureClass.BACKEND
    for end in (found["a"], found["b"]):
        classes = [it.failure for it in end.earlier]
        assert classes == [FailureClass.OUT_OF_MEMORY, FailureClass.COMPILER]


def test_what_fell_in_an_earlier_run_is_told_to_the_worker(crew: Crew) -> None:
    log = Log(native)
    fallen = replace(FALL, remembered=True)
    ended([A, B], log, crew, fallen=lambda build: fallen if build == A else None)
    assert {task.build.pin.name: task.attempt.fall for task in log.tasks} == {"a": fallen, "b": None}


def test_other_targets_of_a_pin_wait_unless_a_native_wheel_is_known(crew: Crew) -> None:
    pins = [build("a", FOREIGN), build("a")]

    def first(task: Task) -> Outcome:
        return covered(task.build, task.offer.build) if task.offer else pure(task.build)

    found = ended(pins, first, crew)
    assert [type(it) for it in found] == [Built, Covered]
    meet = threading.Barrier(2)

    def run(task: Task) -> Outcome:
        meet.wait(20)
        return built(task.build)

    known = "a-0.9-cp311-cp311-manylinux_2_17_x86_64.whl"
    assert len(ended(pins, run, crew, known=lambda _: known)) == 2


def test_a_wheel_that_does_not_serve_another_target_is_built_for_it(crew: Crew) -> None:
    pins = [build("a"), build("a", FOREIGN)]
    for own in (built, failed):

        def run(task: Task, own: Callable[[Build], Outcome] = own) -> Outcome:
            if task.offer:
                return failed(task.build, FailureClass.IMPORT_FAILED, summary="no such symbol")
            return own(task.build) if task.build.target == FOREIGN else pure(task.build)

        log = Log(run)
        _, end = ended(pins, log, crew)
        assert [task.attempt.number for task in log.tasks] == [1, 0, 1]
        assert [task.declined for task in log.tasks] == ["", "", "a-1.0-py3-none-any.whl"]
        assert isinstance(end, Built | Failed) and [it.summary for it in end.earlier] == ["no such symbol"]
        assert not isinstance(end, Failed) or end.unfit == "a-1.0-py3-none-any.whl"


def test_an_exception_ends_the_run_and_what_waits_is_not_started(crew: Crew) -> None:
    def run(task: Task) -> Outcome:
        raise RuntimeError("the engine is gone")

    log = Log(run)
    with pytest.raises(RuntimeError, match="the engine is gone"):
        ended([build(f"p{n}") for n in range(500)], log, crew)
    assert len(log.tasks) <= 2


def test_a_deadline_starts_nothing_that_cannot_be_done_by_then(crew: Crew) -> None:
    deadline = Deadline(at=time.monotonic() + 60, grace=0, end=lambda: None)
    cost = {A.key: Cost(seconds=100.0)}
    found = ended(
        [A, B, C],
        crew=crew,
        deadline=deadline,
        cost=lambda it: cost.get(it.key, Cost(seconds=1.0)),
        **lacking({C.key: [A]}),
    )
    late = {end.build.pin.name: end.reason for end in found if isinstance(end, Unfinished)}
    assert late == {"a": NOT_STARTED, "c": NOT_STARTED} and len(found) == 3


def test_what_runs_at_the_deadline_has_a_grace_and_is_ended_then(crew: Crew) -> None:
    told_to_end = threading.Event()

    def run(task: Task) -> Outcome:
        if task.build == A:
            time.sleep(0.4)
            return built(task.build)
        assert told_to_end.wait(20)
        raise InterruptedRunError("ended")

    found = ended(
        [A, B, C],
        run,
        crew,
        Deadline(at=time.monotonic() + 0.2, grace=0.5, end=told_to_end.set),
        cost=lambda _: Cost(seconds=0.1),
    )
    assert isinstance(found[-1], Unfinished)
    assert kinds(found) == {"a": "Built", "b": "Unfinished", "c": "Unfinished"}
    assert {end.build.pin.name: end.reason for end in found if isinstance(end, Unfinished)} == {
        "b": WAS_ENDED,
        "c": NOT_STARTED,
    }


def test_what_no_deadline_was_enough_for_does_not_keep_the_rest_from_its_turn() -> None:
    """Two nights of one worker: the build that is expected to be longer starts first, until it is known."""
    guesses = {"a": Cost(seconds=0.2), "b": Cost(seconds=0.1)}
    known = Experience(costs={name: {str(HOST): cost} for name, cost in guesses.items()})
    describe = partial(inputs_of, catalogue=Catalogue.read(default_path()), build_constraints=())
    nights = []
    for _ in range(2):
        told_to_end = threading.Event()

        def run(task: Task, ending: threading.Event = told_to_end) -> Outcome:
            if task.build == B:
                return built(B)
            assert ending.wait(20)
            raise InterruptedRunError("ended")

        deadline = Deadline(at=time.monotonic() + 2.0, grace=0.1, end=told_to_end.set)
        with ThreadPoolExecutor(1) as builder, ThreadPoolExecutor(1) as clerk:
            one = Crew(builders=builder, clerks=clerk, room=Room(memory=1 << 30, slots=1))
            ends = ended([A, B], run, one, deadline, cost=known.cost)
        known = known.with_lessons(lessons(ends, known, describe, date(2026, 11, 25)))
        nights.append({end.build.pin.name: getattr(end, "reason", "built") for end in ends})
    assert nights == [{"a": WAS_ENDED, "b": NOT_STARTED}, {"a": NOT_STARTED, "b": "built"}]


def test_a_pause_before_a_second_attempt_ends_at_the_deadline(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PAUSE", 600.0)
    deadline = Deadline(at=time.monotonic() + 0.2, grace=0, end=lambda: None)
    (end,) = ended(
        [A],
        lambda task: failed(task.build, FailureClass.NO_SOURCE, passing=True),
        crew,
        deadline,
        cost=lambda _: Cost(seconds=0.1),
    )
    assert isinstance(end, Unfinished) and end.reason == NOT_STARTED


def test_a_build_that_needs_itself_again_and_again_ends(crew: Crew) -> None:
    (end,) = ended([A], lambda task: needs(task.build, A), crew)
    assert isinstance(end, Failed) and "a==1.0 -> a==1.0" in end.summary
