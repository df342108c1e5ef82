"""The builds of a run: a site on this machine, a crew, and one graph of all that there is to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from functools import partial

from wheelbuilder.build import crew, job, process, schedule, shelf, workplace
from wheelbuilder.build.channel import Channel
from wheelbuilder.build.graph import End
from wheelbuilder.build.outcomes import Fall, Needs, Outcome
from wheelbuilder.build.schedule import Deadline, Work
from wheelbuilder.build.site import Site
from wheelbuilder.build.survey import Surveyor
from wheelbuilder.build.tasks import Task
from wheelbuilder.inputs.wanted import pins_for
from wheelbuilder.pipeline.ledger import Ledger
from wheelbuilder.pipeline.request import Request, Watch
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import newest_wheel
from wheelbuilder.plan.keys import inputs_of
from wheelbuilder.plan.past import PastFailure
from wheelbuilder.report.falls import recalled
from wheelbuilder.report.lessons import as_before, standing


def build_all(request: Request, ledger: Ledger) -> None:
    """Build what the plan says and enter what comes of it, published in batches and at the end."""
    with _site(request) as site:
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
        fallen=_fallen(request),
        tell=watch.waits,
        again=watch.again,
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


def _fallen(request: Request) -> Callable[[Build], Fall | None]:
    constraints = request.listed.build_constraints
    describe = partial(inputs_of, catalogue=request.catalogue, build_constraints=constraints)
    known, today = request.memory.experience, datetime.now(UTC).date()
    return partial(recalled, known=known, describe=describe, today=today)


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
        rung=request.rung,
        channel=Channel(files=request.mirror, download=request.store.download),
        compiler_cache=request.compiler_cache,
    )


def _jobs(request: Request) -> int:
    return request.jobs or os.cpu_count() or 1
