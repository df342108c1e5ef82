"""What `run` and `rebuild` say: what they are going to do, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from wheelbuilder.build.outcomes import WAS_ENDED, Failed
from wheelbuilder.cli.options import counted
from wheelbuilder.cli.proofs import print_proof
from wheelbuilder.cli.screen import say
from wheelbuilder.pipeline.run import Run
from wheelbuilder.plan.plans import Plan
from wheelbuilder.report.falls import advice


def intentions(plan: Plan) -> Iterator[str]:
    """Yield what a plan comes to, in words."""
    if not plan.builds:
        yield f"{len(plan.decisions)} decisions, nothing to build."
        return
    targets = len({build.target for build in plan.builds})
    yield f"{len(plan.decisions)} decisions, {len(plan.builds)} builds for {targets} target(s)."
    for build in plan.builds:
        if build.again:
            yield f"tried again: {build.pin} {build.target}: {build.again}"


def tell_run(done: Run, *, err: bool) -> None:
    """Print what came of a run: failures, its record, what is new, what is not proven, and the proof."""
    for failed in done.failures:
        say(err=err)
        for line in _failure(failed):
            say(line, err=err)
    if done.key is None:
        say("Nothing new: nothing was built and nothing was written.", err=err)
    else:
        say(f"Run record: {done.key}", err=err)
    for line in (*_news(done), *advice(done.fallen), *_unproven(done)):
        say(line, err=err)
    print_proof(done.coverage, err=err)


def _failure(failed: Failed) -> Iterator[str]:
    yield f"{failed.build.pin} {failed.build.target}: {failed.failure}: {failed.summary}"
    yield from (f"    {line}" for line in failed.lines)
    for number, line in enumerate(failed.hint.splitlines()):
        yield f"    {line}" if number else f"  hint: {line}"
    if failed.way and failed.way.fall:
        yield f"  tried {failed.way.rung}, because {failed.way.fall}"


def _news(done: Run) -> Iterator[str]:
    for title, items in done.news.groups():
        if items:
            yield f"{title} ({len(items)}):"
        yield from (f"  {item}" for item in items)


def _unproven(done: Run) -> Iterator[str]:
    for line in done.document["quarantined"]:
        yield f"Not proven, because a line cannot be read: {line}"
    for line in done.document["untold"]:
        yield f"Not proven, because {line}"


def refusal(done: Run) -> tuple[str, str]:
    """Return message and hint of the error that ends a run of which something was refused."""
    first = done.refused[0]
    more = f" (and {len(done.refused) - 1} more)" if len(done.refused) > 1 else ""
    return (
        f"Not published: {first.filename}: {first.reason}{more}.",
        "The run record names every refused file.",
    )


def left(done: Run) -> tuple[str, str]:
    """Return message and hint of the error that ends a run with builds that the deadline left."""
    ended = sum(it.reason == WAS_ENDED for it in done.unfinished)
    counts = {"not started": len(done.unfinished) - ended, "ended": ended}
    told = [
        f"{counted(count, 'build')} {'was' if count == 1 else 'were'} {how}"
        for how, count in counts.items()
        if count
    ]
    return (
        f"The deadline came: {' and '.join(told)}; what was finished is published.",
        "Run again to continue.",
    )
