"""Runs builds: whatever is ready starts, the longest remaining path first; no worker waits for another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Any

from wheelbuilder.build.admission import Candidate, Claim, Room, admitted, expected_memory, memory_limit
from wheelbuilder.build.graph import End, Graph
from wheelbuilder.build.outcomes import (
    NOT_STARTED,
    WAS_ENDED,
    Built,
    Failed,
    Fall,
    Needs,
    Outcome,
    Unfinished,
)
from wheelbuilder.build.surveys import Surveys
from wheelbuilder.build.tasks import Attempt, Given, Task, next_attempt
from wheelbuilder.errors import InterruptedRunError
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.experience import Cost

LOOK_AHEAD = 64  # builds among which one is searched that fits
TRIAL = 10.0  # seconds that the trial of a wheel takes at most, as a rule
ENDING = 20.0  # seconds that builds which were told to end get for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What is done with builds.

    run: builds one, maybe on another machine. survey: says what a build lacks, as far as that can be
    known without foreign code. cost: what a build takes. known: the file name of a wheel that an
    earlier build of the project gave, or None. fallen: why a build is not tried on a faster rung, as an
    earlier run has found, or None. tell: hears what waits for what. again: hears which failure is not the
    end of a build, and how that is tried next.
    """

    run: Callable[[Task], Outcome | Needs]
    survey: Callable[[Build], Needs]
    cost: Callable[[Build], Cost]
    known: Callable[[Build], str | None] = lambda _: None
    fallen: Callable[[Build], Fall | None] = lambda _: None
    tell: Callable[[Needs], None] = lambda _: None
    again: Callable[[Failed, Attempt], None] = lambda _failed, _attempt: None


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """Who works: builders run builds, clerks survey them. room: what all builds may take together."""

    builders: Executor
    clerks: Executor
    room: Room


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """When to be done. at: on the monotonic clock. grace: seconds for what still runs then.

    end: is called after that; what `run` does then ends with InterruptedRunError.
    """

    at: float
    grace: float
    end: Callable[[], None]

    @property
    def over(self) -> float:
        """When the grace is over."""
        return self.at + self.grace


def outcomes(
    builds: Sequence[Build], work: Work, crew: Crew, deadline: Deadline | None = None
) -> Iterator[End]:
    """Yield how builds ended, as they do: those given, and those that others turn out to need.

    An exception of `run` is the run's trouble and is raised here.
    """
    schedule = _Schedule(work, crew, deadline)
    try:
        yield from schedule.ends(builds)
    finally:
        schedule.cancel()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """What a worker is at. began: on the monotonic clock."""

    task: Task
    claim: Claim
    began: float

    def ended(self, now: float) -> Unfinished:
        """Return how it ends that the deadline came."""
        return Unfinished(build=self.task.build, reason=WAS_ENDED, seconds=now - self.began)


class _Schedule:
    def __init__(self, work: Work, crew: Crew, deadline: Deadline | None) -> None:
        self._work, self._crew, self._deadline = work, crew, deadline
        self._graph = Graph(cost=lambda build: work.cost(build).seconds, known=work.known)
        self._surveys = Surveys(work.survey, crew.clerks)
        self._running: dict[Future[Outcome | Needs], _Run] = {}
        self._paused: list[tuple[float, Build]] = []  # until when
        self._attempts: dict[str, Attempt] = {}
        self._earlier: dict[str, tuple[Failed, ...]] = {}
        self._was_ended = False

    def ends(self, builds: Sequence[Build]) -> Iterator[End]:
        for build in builds:
            self._graph.add(build)
        self._surveys.add((*self._graph.ready(), *self._graph.open()))
        if self._deadline:
            yield from self._watch_the_clock(self._deadline, time.monotonic())
        while len(self._graph):
            self._start(time.monotonic())
            yield from self._collect()
            self._resume(time.monotonic())
            if self._deadline:
                yield from self._watch_the_clock(self._deadline, time.monotonic())

    def cancel(self) -> None:
        self._surveys.cancel()
        for future in self._running:
            future.cancel()

    def _start(self, now: float) -> None:
        """Start what has room: what was looked at, then what was not, which will say itself what it needs."""
        ready = sorted(self._graph.ready(), key=lambda build: not self._surveys.is_known(build))
        queue = [self._candidate(build) for build in ready[:LOOK_AHEAD]]
        claims = [running.claim for running in self._running.values()]
        for candidate in admitted(queue, claims, self._crew.room, now):
            self._submit(candidate, now)

    def _cost(self, build: Build) -> Cost:
        """Return what comes next of a build: a trial is short."""
        cost = self._work.cost(build)
        return replace(cost, seconds=min(cost.seconds, TRIAL)) if self._graph.offer(build) else cost

    def _candidate(self, build: Build) -> Candidate:
        cost = self._cost(build)
        limit = memory_limit(build, cost, self._crew.room, shares=self._attempt(build).thrift)
        return Candidate(build=build, memory=expected_memory(cost, limit), limit=limit, seconds=cost.seconds)

    def _submit(self, candidate: Candidate, now: float) -> None:
        build = candidate.build
        offer, declined = self._graph.offer(build), self._graph.declined(build)
        task = Task(
            build=build,
            memory=candidate.limit,
            attempt=Attempt(number=0) if offer else self._attempt(build),
            given=tuple(Given(key=needed.key, wheel=wheel) for needed, wheel in self._graph.given(build)),
            offer=offer,
            declined=declined.wheel.filename if declined else "",
        )
        self._graph.take(build)
        self._surveys.forget(build)
        claim = Claim(memory=candidate.memory, ends=now + candidate.seconds)
        future = self._crew.builders.submit(self._work.run, task)
        self._running[future] = _Run(task=task, claim=claim, began=now)

    def _attempt(self, build: Build) -> Attempt:
        if build.key not in self._attempts:
            self._attempts[build.key] = Attempt(fall=self._work.fallen(build))
        return self._attempts[build.key]

    def _collect(self) -> Iterator[End]:
        """Wait for something to happen, and yield what has ended."""
        futures: list[Future[Any]] = [*self._running, *self._surveys.submit()]
        seconds = self._until_the_clock_matters(time.monotonic())
        if not futures:
            assert seconds is not None, "builds wait, and nothing that they wait for goes on"
            time.sleep(seconds)
            return
        for future in wait(futures, seconds, FIRST_COMPLETED).done:
            if needs := self._surveys.result(future):
                wanted = self._graph.is_open(needs.build) and not self._graph.offer(needs.build)
                yield from self._connect(needs) if wanted else ()
            else:
                yield from self._returned(*self._result(future))

    def _result(self, future: Future[Outcome | Needs]) -> tuple[Task, Outcome | Needs | Unfinished]:
        running = self._running.pop(future)
        try:
            return running.task, future.result()
        except InterruptedRunError:
            if not self._was_ended:
                raise
            return running.task, running.ended(time.monotonic())

    def _returned(self, task: Task, result: Outcome | Needs | Unfinished) -> Iterator[End]:
        match result:
            case Needs():
                self._graph.give_back(task.build)
                yield from self._connect(result)
            case Failed() if task.offer:
                self._earlier[task.build.key] = (result,)
                yield from self._graph.decline(task.build, task.offer)
            case Failed() if again := next_attempt(result, task.attempt):
                self._earlier[task.build.key] = (*self._earlier.get(task.build.key, ()), result)
                self._attempts[task.build.key] = again
                self._paused.append((time.monotonic() + again.pause, task.build))
                self._work.again(result, again)
            case _:
                yield from self._graph.settle(self._whole(result))

    def _whole(self, end: End) -> End:
        """Return how a build ended with the attempts that came before."""
        earlier = self._earlier.get(end.build.key, ())
        if not earlier or not isinstance(end, Built | Failed):
            return end
        steps = (*(step for failed in earlier for step in failed.steps), *end.steps)
        whole = replace(end, steps=steps, earlier=tuple(replace(failed, steps=()) for failed in earlier))
        declined = self._graph.declined(end.build)
        if declined and isinstance(whole, Failed):
            return replace(whole, unfit=declined.wheel.filename)
        return whole

    def _connect(self, needs: Needs) -> Iterator[End]:
        if needs.builds:
            self._work.tell(needs)
        yield from self._graph.connect(needs)
        self._surveys.add(build for build in needs.builds if self._graph.is_open(build))

    def _resume(self, now: float) -> None:
        for until, build in self._paused:
            if until <= now:
                self._graph.give_back(build)
        self._paused = [(until, build) for until, build in self._paused if until > now]

    def _watch_the_clock(self, deadline: Deadline, now: float) -> Iterator[End]:
        """End what cannot be done in time; at last also what runs."""
        if now >= deadline.at:
            self._resume(math.inf)
        for build in self._graph.ready() if now < deadline.at else self._graph.open():
            late = now + self._cost(build).seconds > deadline.at
            if late and self._graph.is_open(build):
                yield from self._graph.settle(Unfinished(build=build, reason=NOT_STARTED))
        if now >= deadline.over and not self._was_ended:
            self._was_ended = True
            deadline.end()
        if now >= deadline.over + ENDING:
            for running in self._running.values():
                yield from self._graph.settle(running.ended(now))

    def _until_the_clock_matters(self, now: float) -> float | None:
        moments = [until for until, _ in self._paused]
        if self._deadline:
            moments += [self._deadline.at, self._deadline.over, self._deadline.over + ENDING]
        return min((moment - now for moment in moments if moment > now), default=None)
