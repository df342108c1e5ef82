"""Runs builds on an executor, one target of a pin first: a pure or abi3 wheel then covers the others."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from wheelbuilder.build.outcomes import Built, Covered, Outcome
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile, accepts


def outcomes(
    builds: Sequence[Build], run: Callable[[Build], Outcome], executor: Executor
) -> Iterator[Outcome]:
    """Yield one outcome for each build, as they come.

    The builds of one pin start with the host's own architecture, which is the quickest; those that
    its wheel does not serve follow. An exception of `run` is the run's trouble and is raised here.
    """
    queues = list(_by_pin(builds).values())
    pending: dict[Future[Outcome], list[Build]] = {
        executor.submit(run, queue[0]): queue[1:] for queue in queues
    }
    try:
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                waiting = pending.pop(future)
                outcome = future.result()
                yield outcome
                for build in waiting:
                    if covered := _covered(build, outcome):
                        yield covered
                    else:
                        pending[executor.submit(run, build)] = []
    finally:
        for future in pending:
            future.cancel()


def _by_pin(builds: Sequence[Build]) -> dict[tuple[str, str, int | None], list[Build]]:
    groups: dict[tuple[str, str, int | None], list[Build]] = {}
    for build in sorted(builds, key=lambda build: build.target.arch != platform.machine()):
        groups.setdefault((build.pin.name, str(build.pin.version), build.build_tag), []).append(build)
    return groups


def _covered(build: Build, outcome: Outcome) -> Covered | None:
    if not isinstance(outcome, Built):
        return None
    wheel = IndexFile(
        filename=outcome.wheel.filename,
        url="",
        sha256=outcome.wheel.sha256,
        requires_python=outcome.wheel.requires_python,
    )
    if not accepts(build.target, wheel):
        return None
    return Covered(build=build, by=outcome.build.target, filename=outcome.wheel.filename)
