"""A run from a plan to a published index: build, publish, record. Every room meets here and nowhere else."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.build import crew, job, process, schedule, shelf, workplace
from wheelbuilder.build.graph import End
from wheelbuilder.build.outcomes import Built, Failed, Needs, Outcome, Step, Unfinished
from wheelbuilder.build.schedule import Deadline, Work
from wheelbuilder.build.site import Site
from wheelbuilder.build.survey import Surveyor
from wheelbuilder.build.tasks import Task
from wheelbuilder.errors import InterruptedRunError, UnreachableError, WheelbuilderError
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.inputs.targets import Target
from wheelbuilder.inputs.wanted import pins_for
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.merge import Refused
from wheelbuilder.mirror.publish import Change, publish, remember
from wheelbuilder.mirror.read import gap_files, read_head, states_cache
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.wheels import read_wheel
from wheelbuilder.plan.coverage import Coverage, coverage, quarantined
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.experience import Experience
from wheelbuilder.plan.files import newest_wheel
from wheelbuilder.plan.keys import inputs_of
from wheelbuilder.plan.past import PastFailure
from wheelbuilder.plan.plans import MirrorFiles, Plan
from wheelbuilder.plan.upstream import UpstreamIndex
from wheelbuilder.report.keep import keep, keep_run
from wheelbuilder.report.lessons import as_before, lessons, mended, standing
from wheelbuilder.report.memory import Memory
from wheelbuilder.report.news import News, news
from wheelbuilder.report.records import Record, record, run_document

PUBLISH_EVERY = 30.0  # seconds: what is lost if the machine dies, against commits in the history


class Watch(Protocol):
    """Is told what goes on, as it does. Called from several threads."""

    def step(self, build: Build, step: Step) -> None:
        """A build starts a step."""

    def waits(self, needs: Needs) -> None:
        """A build waits for others, some of which may be new."""

    def finished(self, end: End) -> None:
        """A build has ended, or is left to the next run."""

    def published(self, number: int, changed: Sequence[str]) -> None:
        """A commit has been published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a run is asked to do. jobs: builds at a time; None for one a core.

    mirror: what the channel serves. memory: what is known of earlier builds, and learns. retry: also build
    what failed lately. forced: what is built is there already, so that a failure is told, but not
    remembered. deadline: on the monotonic clock. grace: seconds that builds get which still run then.
    """

    listed: RequirementsList
    catalogue: Catalogue
    index: UpstreamIndex
    plan: Plan
    store: Store
    mirror: MirrorFiles
    memory: Memory
    retry: bool = False
    forced: bool = False
    jobs: int | None = None
    engine: str | None = None
    deadline: float | None = None
    grace: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What came of a run. document: its record; key: where that lies, None if nothing changed."""

    outcomes: tuple[Outcome, ...]
    unfinished: tuple[Unfinished, ...]
    news: News
    changed: tuple[str, ...]
    refused: tuple[Refused, ...]
    coverage: tuple[Coverage, ...]
    document: dict[str, Any]
    key: str | None

    @property
    def failures(self) -> tuple[Failed, ...]:
        """The builds that gave nothing."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failed))


def run(request: Request, watch: Watch) -> Run:
    """Build what the plan says, publish what succeeds as it comes, record it; nothing new writes nothing.

    Raises InterruptedRunError, and UnreachableError when engine, index or store do not answer: in
    either case after publishing and recording what was finished.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    ledger = _Ledger(request=request, watch=watch, run=_run_id(started), known=request.memory.experience)
    with workplace.fixed_umask():
        try:
            _carry_out(request, ledger)
        except (KeyboardInterrupt, WheelbuilderError, OSError) as trouble:
            with suppress(WheelbuilderError):  # the store may be what does not answer
                _conclude(request, ledger, started, time.monotonic() - clock)
            raise _explained(trouble, len(ledger.of_the_plan), len(request.plan.builds)) from None
        return _conclude(request, ledger, started, time.monotonic() - clock)


def _carry_out(request: Request, ledger: _Ledger) -> None:
    workplace.sweep()
    ledger.flush()  # at once: a store that cannot be written is known before hours of building
    if request.plan.builds:
        with _site(request) as site:
            _build_all(request, site, ledger)


def _explained(trouble: BaseException, done: int, planned: int) -> BaseException:
    if isinstance(trouble, OSError):
        what = trouble.filename or "This machine"
        return UnreachableError(
            f"{what} does not work: {trouble.strerror or trouble}.", "Run again to continue."
        )
    if not isinstance(trouble, KeyboardInterrupt):
        return trouble
    return InterruptedRunError(
        f"The run was interrupted after {done} of {planned} builds; what was finished is published.",
        "Run again to continue.",
    )


@dataclass(kw_only=True)
class _Ledger:
    """Outcomes on their way into the store: published in batches, the pages of all pins with the first."""

    request: Request
    watch: Watch
    run: str
    known: Experience  # before the run
    records: list[Record] = field(default_factory=list)
    remembered: list[Failed] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    changed: dict[str, None] = field(default_factory=dict)  # in the order of publication
    refused: list[Refused] = field(default_factory=list)  # wheels of ours
    unlisted: set[Refused] = field(default_factory=set)  # files of upstream's that no page can hold
    commit: Commit | None = None
    published: list[Build] = field(default_factory=list)
    _waiting: list[Record] = field(default_factory=list)
    _upstream_is_out: bool = False
    _last: float = field(default_factory=time.monotonic)

    @property
    def of_the_plan(self) -> list[Record]:
        """The records of builds that the plan asked for; others turned out to be needed by these."""
        planned = {build.key for build in self.request.plan.builds}
        return [kept for kept in self.records if kept.outcome.build.key in planned]

    def add(self, end: End) -> None:
        self.watch.finished(end)
        if isinstance(end, Unfinished):
            self.unfinished.append(end)
            return
        if isinstance(end, Failed) and end.remembered:
            self.remembered.append(end)
            return
        kept = record(end)
        self.records.append(kept)
        self._waiting.append(kept)
        if time.monotonic() - self._last > PUBLISH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Publish what waits: records first, so that nothing is published without its provenance."""
        keep(self.request.store, self._waiting)
        self.records = [record.without_data() for record in self.records]  # the store has their logs
        changes = [] if self._upstream_is_out else list(_upstream_changes(self.request.plan))
        built = list(self._to_publish())
        changes += [_change(outcome) for outcome in built]
        store, channel = self.request.store, self.request.listed.channel
        done = publish(store, channel, changes, run=self.run, now=datetime.now(UTC), cache=states_cache())
        self._learn([record.outcome for record in self._waiting])
        self._waiting, self._upstream_is_out, self._last = [], True, time.monotonic()
        self.published += [outcome.build for outcome in built]
        self.changed |= dict.fromkeys(done.changed)
        ours = {outcome.wheel.sha256 for outcome in built}
        self.refused += [refused for refused in done.refused if refused.sha256 in ours]
        self.unlisted |= {refused for refused in done.refused if refused.sha256 not in ours}
        self.commit = done.commit
        if done.changed:
            self.watch.published(done.number, done.changed)

    def _to_publish(self) -> Iterator[Built]:
        planned = {build.key for build in self.request.plan.builds}
        for outcome in (kept.outcome for kept in self._waiting):
            if isinstance(outcome, Built) and outcome.build.key in planned:
                yield outcome

    def _learn(self, outcomes: Sequence[Outcome]) -> None:
        request, today = self.request, datetime.now(UTC).date()
        if request.forced:
            outcomes = [outcome for outcome in outcomes if not isinstance(outcome, Failed)]
        constraints = request.listed.build_constraints
        describe = partial(inputs_of, catalogue=request.catalogue, build_constraints=constraints)
        learned = lessons(outcomes, request.memory.experience, describe, today)
        if not self._upstream_is_out:
            learned = replace(learned, mended=learned.mended | mended(request.plan, self.known))
        with suppress(WheelbuilderError):  # it is only a saving
            request.memory.learn(learned, today)


def _conclude(request: Request, ledger: _Ledger, started: datetime, seconds: float) -> Run:
    wanted = frozenset(decision.pin.name for decision in request.plan.decisions)
    commit = ledger.commit or read_head(request.store, request.listed.channel).commit
    published = gap_files(request.store, commit, projects=wanted, cache=states_cache())
    branches = [branch.branch for branch in request.listed.branches]
    proof = coverage(request.plan, published, branches, _reasons(ledger))
    ended = [*(record.outcome for record in ledger.records), *ledger.remembered]
    told = news(request.plan, ended, ledger.known)
    document = run_document(
        run=ledger.run,
        list_name=request.listed.name,
        channel=request.listed.channel,
        started=started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        seconds=seconds,
        plan=request.plan,
        records=ledger.records,
        unfinished=ledger.unfinished,
        told=told,
        commit=ledger.commit.number if ledger.commit else 0,
        changed=tuple(ledger.changed),
        refused=_rows(ledger.refused),
        unlisted=_rows(ledger.unlisted),
        coverage=proof,
        quarantined=[str(line) for line in quarantined(request.listed.branches, request.listed.projects)],
    )
    if ledger.changed:
        _remember(request, ledger.run)
    key = keep_run(request.store, ledger.run, document) if ledger.records or ledger.changed else None
    return Run(
        outcomes=tuple(record.outcome for record in ledger.records),
        unfinished=tuple(ledger.unfinished),
        news=told,
        changed=tuple(ledger.changed),
        refused=tuple(ledger.refused),
        coverage=proof,
        document=document,
        key=key,
    )


def _remember(request: Request, run: str) -> None:
    """Let the next run know without reading that what upstream has is on the pages."""
    store, channel = request.store, request.listed.channel
    offer = list(_upstream_changes(request.plan))
    with suppress(WheelbuilderError):  # it is only a saving
        remember(store, channel, offer, run=run, now=datetime.now(UTC), cache=states_cache())


def _rows(refused: Iterable[Refused]) -> list[dict[str, str]]:
    rows = [{"filename": it.filename, "sha256": it.sha256, "reason": it.reason} for it in refused]
    return sorted(rows, key=lambda row: row["filename"])


def _build_all(request: Request, site: Site, ledger: _Ledger) -> None:
    try:
        with closing(_build(request, site, ledger.watch)) as ends:
            for end in ends:
                ledger.add(end)
    finally:
        ledger.flush()
        for build in ledger.published:
            shelf.drop(build, site)


def _build(request: Request, site: Site, watch: Watch) -> Generator[End, None, None]:
    work = Work(
        run=partial(_attempt, site=site, report=watch.step, failures=_remembered(request)),
        survey=Surveyor(site),
        cost=request.memory.experience.cost,
        known=lambda build: newest_wheel(request.mirror.get(build.pin.name, ())),
        tell=watch.waits,
    )
    deadline = None
    if request.deadline is not None:
        deadline = Deadline(at=request.deadline, grace=request.grace, end=process.end_all)
    with crew.hired(_jobs(request)) as hired:
        yield from schedule.outcomes(request.plan.builds, work, hired, deadline)


def _attempt(
    task: Task, site: Site, report: job.Report, failures: Mapping[str, PastFailure]
) -> Outcome | Needs:
    """Build, unless it is known how that ends. failures: by build key."""
    failure = failures.get(task.build.key)
    return as_before(task.build, failure) if failure else job.run(task, site, report)


def _remembered(request: Request) -> dict[str, PastFailure]:
    """Return the failures that stand today, by key: for builds that the plan does not know of."""
    if request.retry or request.forced:
        return {}
    planned = {build.key for build in request.plan.builds}
    failures = standing(request.memory.experience, datetime.now(UTC).date())
    return {key: failure for key, failure in failures.items() if key not in planned}


def _site(request: Request) -> AbstractContextManager[Site]:
    listed = request.listed
    return workplace.opened(
        engine=request.engine,
        catalogue=request.catalogue,
        upstream=request.index,
        recipes=listed.recipes,
        build_constraints=listed.build_constraints,
        constraints={
            (branch.branch, target): tuple(str(pin) for pin in pins_for([branch], target).pins)
            for branch in listed.branches
            for target in request.plan.targets
        },
        planned=request.plan.builds,
    )


def _upstream_changes(plan: Plan) -> Iterator[Change]:
    for project, files in plan.upstream.items():
        if files:
            yield Change(project=project, upstream=tuple(files))


def _change(outcome: Built) -> Change:
    build = outcome.build
    wheel = read_wheel(outcome.wheel.path, build_key=build.key, target=str(build.target))
    return Change(project=build.pin.name, wheels=(wheel,))


def _reasons(ledger: _Ledger) -> dict[tuple[NormalizedName, Version, Target], str]:
    failed = [record.outcome for record in ledger.records if isinstance(record.outcome, Failed)]
    told = [(it.build, it.summary) for it in failed] + [(it.build, it.reason) for it in ledger.unfinished]
    return {(build.pin.name, build.pin.version, build.target): words for build, words in told}


def _run_id(started: datetime) -> str:
    return f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _jobs(request: Request) -> int:
    return request.jobs or os.cpu_count() or 1
