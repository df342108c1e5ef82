"""One build from sdist to a wheel that was checked, repaired, checked again and tried; reads as its steps."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial

from wheelbuilder.build import (
    backend,
    disk,
    hints,
    ladder,
    native,
    process,
    shelf,
    siblings,
    sources,
    untrusted,
)
from wheelbuilder.build.archives import newest_time
from wheelbuilder.build.outcomes import (
    Built,
    Covered,
    Failed,
    FailureClass,
    Needs,
    Outcome,
    Step,
    StepFailedError,
)
from wheelbuilder.build.prerequisites import LacksWheelsError
from wheelbuilder.build.repair import Repaired
from wheelbuilder.build.site import Bench, Site
from wheelbuilder.build.stages import Stages, described
from wheelbuilder.build.steps import Steps
from wheelbuilder.build.tasks import Task
from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.plan.decisions import Build

Report = Callable[[Build, Step], None]


def run(task: Task, site: Site, report: Report) -> Outcome | Needs:
    """Build one pin for one target. A package that fails is an outcome; only the run's own troubles raise.

    What the build lacks is an answer too: nobody waits for another build here. report: called as each
    step starts.
    """
    try:
        kept = None if task.offer else shelf.take(task.build, site)
        if kept and ladder.serves(kept, site):
            return kept
        bench = Bench.lay_out(site.scratch / f"{task.build.key[:24]}-{task.attempt.number}")
        try:
            return _outcome(task, site, bench, report)
        finally:
            bench.clear()
    except OSError as error:
        raise (disk.trouble(site.scratch) if error.errno in disk.FULL else error) from None


def _outcome(task: Task, site: Site, bench: Bench, report: Report) -> Outcome | Needs:
    steps = Steps(bench.logs, partial(report, task.build), task.attempt.number)
    stages = Stages(task=task, site=site, bench=bench, spent=steps.spent)
    try:
        if task.offer:
            return _covered(stages, steps, task.offer)
        return shelf.put(_built(stages, steps), site)
    except LacksWheelsError as error:
        untrusted.remove(bench.folder)
        return Needs(build=task.build, builds=error.builds)
    except StepFailedError as error:
        if trouble := disk.blamed(site.scratch, (error.summary, *error.lines)):
            raise trouble from None
        return _failed(stages, steps, error)
    except process.ProcessError as error:
        return _failed(stages, steps, StepFailedError(FailureClass.INTERNAL, error.message, error.hint))
    except WheelbuilderError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in disk.FULL:
            raise
        return _failed(stages, steps, _bug(error))


def _built(stages: Stages, steps: Steps) -> Built:
    """Take the steps in order."""
    build = stages.build
    with steps.step(Step.FETCH, network=True):
        archive = sources.fetched(build, stages.site)
    with steps.step(Step.UNPACK) as log:
        source = sources.unpacked(build, archive, stages.bench.unpacked, log)
        # Before foreign code runs: what fails to compile could be deleted by it.
        native_sources, epoch = native.native_sources(source), newest_time(archive)
    with steps.step(Step.ROOT, network=True) as log:
        image, bare = stages.roots(log)
        footing = ladder.footing(stages.task, stages.site, stages.build_root, log)
        steps.way = footing.way
    with steps.step(Step.REQUIREMENTS, network=True) as log:
        shop, required = stages.workshop(source, image, footing, epoch, log)
    with steps.step(Step.BUILD) as made:
        backend.build_wheel(shop.logging_to(made), build.recipe.config_settings)
    with steps.step(Step.CHECK):
        wheel, facts = stages.check(native_sources, footing, made)
    with steps.step(Step.REPAIR) as log:
        repaired = stages.repair(wheel, facts, image, epoch, log)
    with steps.step(Step.RECHECK):
        facts = stages.recheck(repaired.wheel)
    with steps.step(Step.TRIAL) as log:
        stages.trial(repaired, facts, bare, footing, log)
        siblings.refuse_namesake(repaired.wheel.name, stages.task.declined)
    return Built(
        build=build,
        wheel=described(repaired, facts),
        sdist=archive,
        way=footing.way,
        steps=steps.results,
        requirements=required,
    )


def _covered(stages: Stages, steps: Steps, offer: Built) -> Covered:
    """Try another target's wheel where this target's consumers are."""
    with steps.step(Step.ROOT, network=True) as log:
        bare = stages.bare_root(log)
    with steps.step(Step.RECHECK):
        facts = stages.recheck(offer.wheel.path)
    with steps.step(Step.TRIAL) as log:
        repaired = Repaired(wheel=offer.wheel.path, outside=offer.wheel.outside)
        stages.trial(repaired, facts, bare, ladder.toolless(stages.build_root), log)
    name = offer.wheel.filename
    return Covered(build=stages.build, by=offer.build.target, filename=name, steps=steps.results)


def _failed(stages: Stages, steps: Steps, error: StepFailedError) -> Failed:
    return Failed(
        build=stages.build,
        failure=error.failure,
        step=steps.last,
        summary=error.summary,
        hint=hints.hint(stages.site.engine, stages.build_root, error.missing, error.hint),
        lines=error.lines,
        steps=steps.results,
        passing=error.passing,
        way=steps.way,
        fall=ladder.fall(error, steps.way, stages.site.engine, stages.build_root),
    )


def _bug(error: Exception) -> StepFailedError:
    lines = tuple("".join(traceback.format_exception(error)).splitlines()[-8:])
    return StepFailedError(
        FailureClass.INTERNAL,
        f"a bug in wheelbuilder: {error!r}",
        "Please report it with these lines.",
        lines,
    )
