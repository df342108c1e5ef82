"""Outcomes on their way into the store: kept at once, as failures are remembered; published in batches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial

from wheelbuilder.build.graph import End
from wheelbuilder.build.outcomes import Built, Failed, Outcome, Unfinished
from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.merge import Refused
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.wheels import read_wheel
from wheelbuilder.pipeline.needs import Needs
from wheelbuilder.pipeline.request import Request, Watch
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.experience import Experience
from wheelbuilder.plan.keys import inputs_of
from wheelbuilder.plan.plans import Plan
from wheelbuilder.report.keep import keep
from wheelbuilder.report.lessons import lessons, mended
from wheelbuilder.report.records import Record, record

PUBLISH_EVERY = 30.0  # seconds: how soon consumers see a wheel, against commits in the history


@dataclass(kw_only=True)
class Ledger:
    """Outcomes on their way into the store: published in batches, the pages of all pins with the first.

    A run that is killed loses no build: records and failures are in the store as soon as they are known, and
    wheels that wait for their publication are on the shelf of this machine.
    """

    request: Request
    watch: Watch
    run: str
    known: Experience  # before the run
    records: list[Record] = field(default_factory=list)  # without the data of logs: a run may have thousands
    remembered: list[Failed] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    changed: dict[str, None] = field(default_factory=dict)  # in the order of publication
    refused: list[Refused] = field(default_factory=list)  # wheels of ours
    unlisted: set[Refused] = field(default_factory=set)  # files of upstream's that no page can hold
    commit: Commit | None = None
    published: list[Build] = field(default_factory=list)
    _unkept: list[Record] = field(default_factory=list)
    _unlearned: list[End] = field(default_factory=list)
    _unpublished: list[Built] = field(default_factory=list)
    _upstream_is_out: bool = False
    _last: float = field(default_factory=time.monotonic)

    @property
    def of_the_plan(self) -> list[Record]:
        """The records of builds that the plan asked for; others turned out to be needed by these."""
        return [kept for kept in self.records if kept.outcome.build.key in self._planned]

    @cached_property
    def _needs(self) -> Needs:
        return Needs(self.request)

    @cached_property
    def _planned(self) -> frozenset[str]:
        return frozenset(build.key for build in self.request.plan.builds)

    def go_on(self, request: Request) -> None:
        """Go on with a request that has more in its plan, and publish what upstream has of that."""
        self._needs.go_on(request)
        self.request, self._upstream_is_out = request, False
        del self._planned
        self.flush()

    def add(self, end: End) -> None:
        """Enter how a build has ended; now and then everything that waits is published."""
        match end:
            case Unfinished():
                self.unfinished.append(end)
                self._unlearned.append(end)
            case Failed(remembered=True):
                self.remembered.append(end)
            case _:
                self._enter(end)
        self.watch.finished(end)  # what is told is kept
        if time.monotonic() - self._last > PUBLISH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Publish what waits: records first, so that nothing is published without its provenance."""
        self._keep()
        built = self._unpublished
        changes = [] if self._upstream_is_out else list(self.offer())
        changes += [*map(_change, built), *self._needs.new()]
        store, channel = self.request.store, self.request.listed.channel
        done = publish(store, channel, changes, run=self.run, now=datetime.now(UTC), cache=states_cache())
        self._learn()
        self._unpublished, self._upstream_is_out, self._last = [], True, time.monotonic()
        self.published += [outcome.build for outcome in built]
        self.changed |= dict.fromkeys(done.changed)
        ours = {outcome.wheel.sha256 for outcome in built}
        self.refused += [refused for refused in done.refused if refused.sha256 in ours]
        self.unlisted |= {refused for refused in done.refused if refused.sha256 not in ours}
        self.commit = done.commit
        if done.changed:
            self.watch.published(done.number, done.changed)

    def offer(self) -> Iterator[Change]:
        """Yield what a run offers before it has built anything: upstream's files, and what the list needs."""
        yield from upstream_changes(self.request.plan)
        yield from self._needs.all()

    def _enter(self, outcome: Outcome) -> None:
        kept = record(outcome)
        self.records.append(kept.without_data())
        self._unkept.append(kept)
        self._unlearned.append(outcome)
        if outcome.build.key in self._planned:
            self._needs.add(outcome)
        if isinstance(outcome, Built) and outcome.build.key in self._planned:
            self._unpublished.append(outcome)
        self._keep()
        if isinstance(outcome, Failed) and not outcome.blocked_by:  # what it blocks follows from it
            self._learn()

    def _keep(self) -> None:
        keep(self.request.store, self._unkept)
        self._unkept = []

    def _learn(self) -> None:
        request, today, ends = self.request, datetime.now(UTC).date(), self._unlearned
        if request.forced:
            ends = [end for end in ends if not isinstance(end, Failed)]
        constraints = request.listed.build_constraints
        describe = partial(inputs_of, catalogue=request.catalogue, build_constraints=constraints)
        learned = lessons(ends, request.memory.experience, describe, today)
        if not self._upstream_is_out:
            learned = replace(learned, mended=learned.mended | mended(request.plan, self.known))
        with suppress(WheelbuilderError):  # it is only a saving
            request.memory.learn(learned, today)
            self._unlearned = []


def upstream_changes(plan: Plan) -> Iterator[Change]:
    """Yield what upstream has of the pins, for the whole view."""
    for project, files in plan.upstream.items():
        if files:
            yield Change(project=project, upstream=tuple(files))


def _change(outcome: Built) -> Change:
    build = outcome.build
    wheel = read_wheel(outcome.wheel.path, build_key=build.key, target=str(build.target))
    return Change(project=build.pin.name, wheels=(wheel,))
