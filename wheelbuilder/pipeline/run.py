"""From a plan to a published index, as its stages: build, publish, record."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.build import scratch
from wheelbuilder.build.outcomes import Failed, Outcome, Unfinished
from wheelbuilder.errors import InterruptedRunError, UnreachableError, WheelbuilderError
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.merge import Refused
from wheelbuilder.mirror.publish import remember
from wheelbuilder.mirror.read import gap_files, read_head, states_cache
from wheelbuilder.pipeline.ledger import Ledger
from wheelbuilder.pipeline.request import Request, Watch
from wheelbuilder.plan.coverage import Coverage, coverage, quarantined
from wheelbuilder.plan.experience import Lessons, Unfit
from wheelbuilder.plan.past import Attempt
from wheelbuilder.plan.plans import extended
from wheelbuilder.report.falls import Fallen, fallen
from wheelbuilder.report.keep import keep_run
from wheelbuilder.report.news import News, news, untold
from wheelbuilder.report.records import run_document


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What came of a run. document: its record; key: where that lies, None if nothing was to be done.

    untold: the failures that no run before has told of.
    """

    outcomes: tuple[Outcome, ...]
    unfinished: tuple[Unfinished, ...]
    news: News
    fallen: tuple[Fallen, ...]
    changed: tuple[str, ...]
    refused: tuple[Refused, ...]
    coverage: tuple[Coverage, ...]
    document: dict[str, Any]
    key: str | None
    untold: frozenset[Attempt] = frozenset()

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
    ledger = Ledger(request=request, watch=watch, run=_run_id(started), known=request.memory.experience)
    with scratch.fixed_umask():
        try:
            _carry_out(request, ledger)
        except (KeyboardInterrupt, WheelbuilderError, OSError) as trouble:
            with suppress(WheelbuilderError):  # the store may be what does not answer
                _conclude(ledger, started, time.monotonic() - clock)
            planned = len(ledger.request.plan.builds)
            raise _explained(trouble, len(ledger.of_the_plan), planned) from None
        done = _conclude(ledger, started, time.monotonic() - clock)
        with suppress(WheelbuilderError):  # else they are told once more
            request.memory.learn(Lessons(told=done.untold), started.date())
        return done


def _carry_out(request: Request, ledger: Ledger) -> None:
    scratch.sweep()
    ledger.flush()  # at once: a store that cannot be written is known before hours of building
    if request.plan.builds:
        # Imported where it is needed: most nights have nothing to build, and it is half of all modules.
        from wheelbuilder.pipeline.builds import build_all

        build_all(request, ledger)
        while more := _further(ledger):
            build_all(more, ledger)


def _further(ledger: Ledger) -> Request | None:
    """Resolve closures again, if builds may have told more of what they need; return what is left to build.

    Raises ConfigurationError where a wheel requires what no pin satisfies.
    """
    request = ledger.request
    late = request.deadline is not None and time.monotonic() > request.deadline
    if request.renew is None or late or not ledger.published:
        return None
    renewed = request.renew()
    plan = extended(request.plan, renewed.plan)
    grown = replace(request, listed=renewed.listed, mirror=renewed.mirror, plan=plan)
    ledger.go_on(grown)
    known = {build.key for build in request.plan.builds}
    builds = tuple(build for build in plan.builds if build.key not in known)
    if not builds:
        return None
    ledger.watch.grown(builds)
    return replace(grown, plan=replace(plan, decisions=builds))


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


def _conclude(ledger: Ledger, started: datetime, seconds: float) -> Run:
    request = ledger.request
    wanted = frozenset(decision.pin.name for decision in request.plan.decisions)
    commit = ledger.commit or read_head(request.store, request.listed.channel).commit
    published = gap_files(request.store, commit, projects=wanted, cache=states_cache())
    branches = [branch.branch for branch in request.listed.branches]
    proof = coverage(request.plan, published, branches, _reasons(ledger), _unfit(ledger))
    ended = [*(record.outcome for record in ledger.records), *ledger.remembered]
    told, fell = news(request.plan, ended, ledger.known), fallen(ended, ledger.known)
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
        fell=fell,
        commit=ledger.commit.number if ledger.commit else 0,
        changed=tuple(ledger.changed),
        refused=_rows(ledger.refused),
        unlisted=_rows(ledger.unlisted),
        coverage=proof,
        quarantined=[str(line) for line in quarantined(request.listed.branches, request.listed.projects)],
        untold=[str(each) for each in request.listed.untold],
    )
    if ledger.changed:
        _remember(request, ledger)
    new = untold(request.plan, ended, request.memory.experience)
    worth_keeping = ledger.records or ledger.changed or ledger.unfinished or new
    key = keep_run(request.store, ledger.run, document) if worth_keeping else None
    return Run(
        outcomes=tuple(record.outcome for record in ledger.records),
        unfinished=tuple(ledger.unfinished),
        news=told,
        fallen=fell,
        changed=tuple(ledger.changed),
        refused=tuple(ledger.refused),
        coverage=proof,
        document=document,
        key=key,
        untold=new,
    )


def _remember(request: Request, ledger: Ledger) -> None:
    """Let the next run know without reading that what it will offer is there already."""
    store, channel, offer = request.store, request.listed.channel, list(ledger.offer())
    with suppress(WheelbuilderError):  # it is only a saving
        remember(store, channel, offer, run=ledger.run, now=datetime.now(UTC), cache=states_cache())


def _rows(refused: Iterable[Refused]) -> list[dict[str, str]]:
    rows = [{"filename": it.filename, "sha256": it.sha256, "reason": it.reason} for it in refused]
    return sorted(rows, key=lambda row: row["filename"])


def _reasons(ledger: Ledger) -> dict[tuple[NormalizedName, Version, Target], str]:
    failed = [record.outcome for record in ledger.records if isinstance(record.outcome, Failed)]
    told = [(it.build, it.summary) for it in failed] + [(it.build, it.reason) for it in ledger.unfinished]
    return {(build.pin.name, build.pin.version, build.target): words for build, words in told}


def _unfit(ledger: Ledger) -> Unfit:
    failed = (record.outcome for record in ledger.records)
    return {it.build.attempt[:3]: it.unfit for it in failed if isinstance(it, Failed) and it.unfit}


def _run_id(started: datetime) -> str:
    return f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
