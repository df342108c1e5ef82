"""`wheelbuilder run`: plan a list, build what no wheel exists for, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from wheelbuilder.build.outcomes import WAS_ENDED, Failed
from wheelbuilder.cli.options import Duration, Size, counted
from wheelbuilder.cli.planning import (
    Chosen,
    draw_up,
    planning_options,
    read_inputs,
    retry_option,
    upstream_index,
    with_closures,
)
from wheelbuilder.cli.progress import Progress
from wheelbuilder.cli.proofs import print_proof
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.errors import DeadlineError, IntegrityError
from wheelbuilder.inputs.branches import Mode
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.mirror.read import contents, states_cache
from wheelbuilder.mirror.stores import open_store
from wheelbuilder.pipeline.request import Renewed, Request
from wheelbuilder.pipeline.run import Run, run
from wheelbuilder.plan.plans import Plan
from wheelbuilder.report.falls import advice
from wheelbuilder.report.memory import Memory
from wheelbuilder.report.news import FailOn

SOME_BUILDS_FAILED = 1
GRACE, MOST_GRACE = 0.1, 600.0  # of the time to the deadline, and seconds: for builds that run when it comes
F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """Add the options of the commands that build."""
    for option in reversed(
        (
            click.option(
                "--store", required=True, help="Where the mirror is: a directory, or s3://bucket/prefix."
            ),
            click.option("--jobs", type=click.IntRange(min=1), help="Builds at a time; else one a core."),
            click.option(
                "--engine", type=click.Choice(["podman", "docker"]), help="Else the first that works here."
            ),
            click.option(
                "--rung",
                type=click.Choice([rung.value for rung in Rung]),
                help="The only way to build for other machines' architectures; else the fastest that works.",
            ),
            click.option(
                "--no-cache", "uncached", is_flag=True, help="Compile everything, and keep no objects of it."
            ),
            click.option(
                "--cache-size",
                type=Size(),
                default="5G",
                show_default=True,
                help="What the compiler cache may take on this machine; the oldest objects go first.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the run record on stdout."),
        )
    ):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How a list is carried out: the values of `run_options`, and what differs between the commands."""

    jobs: int | None
    engine: str | None
    rung: Rung | None
    compiler_cache: int  # bytes; 0 for none
    as_json: bool
    fail_on: FailOn
    rebuilt: bool = False
    deadline: float | None = None  # seconds from now


@click.command(name="run")
@planning_options
@retry_option
@run_options
@click.option(
    "--fail-on",
    type=click.Choice([choice.value for choice in FailOn]),
    default=FailOn.NEW.value,
    show_default=True,
    help="Exit status 1 for new failures, also for those that were there before, or for none.",
)
@click.option(
    "--deadline",
    type=Duration(),
    help="Be done in this time, such as 3h: start nothing that would take longer, publish what is done.",
)
def command(
    store: str,
    jobs: int | None,
    engine: str | None,
    rung: str | None,
    uncached: bool,
    cache_size: int,
    as_json: bool,
    fail_on: str,
    deadline: float | None,
    **options: Any,
) -> int:
    """Plan LIST, build what no wheel exists for, publish, and record the run.

    What failed lately is not tried again until an input changes or its record expires.
    """
    terms = Terms(
        jobs=jobs,
        engine=engine,
        rung=Rung(rung) if rung else None,
        compiler_cache=0 if uncached else cache_size,
        as_json=as_json,
        fail_on=FailOn(fail_on),
        deadline=deadline,
    )
    return carry_out(Chosen(**options), store, terms)


def carry_out(chosen: Chosen, address: str, terms: Terms) -> int:
    """Plan, run, tell; return the exit code."""
    started = time.monotonic()
    catalogue, listed = read_inputs(chosen)
    store = open_store(address)
    index = upstream_index(chosen, listed)
    memory = Memory(store, listed.channel)

    def renew() -> Renewed:
        mirror = contents(store, listed.channel, cache=states_cache()).projects
        resolved = with_closures(listed, catalogue, index, store, mirror)
        known = memory.experience
        plan = draw_up(chosen, catalogue, resolved, index, mirror, experience=known, rebuilt=terms.rebuilt)
        return Renewed(listed=resolved, mirror=mirror, plan=plan)

    first = renew()
    for line in (*first.listed.left_out, *_intentions(first.plan)):
        say(line, err=True)
    request = Request(
        listed=first.listed,
        catalogue=catalogue,
        index=index,
        plan=first.plan,
        store=store,
        mirror=first.mirror,
        memory=memory,
        retry=chosen.retry,
        whole=not chosen.pins,
        forced=terms.rebuilt,
        jobs=terms.jobs,
        engine=terms.engine,
        rung=terms.rung,
        compiler_cache=terms.compiler_cache,
        deadline=None if terms.deadline is None else started + terms.deadline,
        renew=renew if listed.mode is Mode.CLOSURE and not terms.rebuilt else None,
        grace=min(MOST_GRACE, (terms.deadline or 0.0) * GRACE),
    )
    with Progress(first.plan.builds) as watch:
        done = run(request, watch)
    if terms.as_json:
        say_json(done.document)
    _tell(done, err=terms.as_json)
    if done.refused:
        raise IntegrityError(*_refusal(done))
    if done.unfinished:
        raise DeadlineError(*_left(done))
    return SOME_BUILDS_FAILED if done.news.fails(terms.fail_on) else 0


def _intentions(plan: Plan) -> Iterator[str]:
    if not plan.builds:
        yield f"{len(plan.decisions)} decisions, nothing to build."
        return
    targets = len({build.target for build in plan.builds})
    yield f"{len(plan.decisions)} decisions, {len(plan.builds)} builds for {targets} target(s)."
    for build in plan.builds:
        if build.again:
            yield f"tried again: {build.pin} {build.target}: {build.again}"


def _tell(done: Run, *, err: bool) -> None:
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
        yield f"  built {failed.way.rung}, because {failed.way.fall}"


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


def _refusal(done: Run) -> tuple[str, str]:
    first = done.refused[0]
    more = f" (and {len(done.refused) - 1} more)" if len(done.refused) > 1 else ""
    return (
        f"Not published: {first.filename}: {first.reason}{more}.",
        "The run record names every refused file.",
    )


def _left(done: Run) -> tuple[str, str]:
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
