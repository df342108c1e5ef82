"""`wheelbuilder run`: plan a list, build what no wheel exists for, publish."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from wheelbuilder.cli.planning import Chosen, draw_up, planning_options, read_inputs, upstream_index
from wheelbuilder.cli.progress import Progress
from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.read import contents, states_cache
from wheelbuilder.mirror.stores import open_store
from wheelbuilder.pipeline import Request, Run, run
from wheelbuilder.plan.plans import Plan

SOME_BUILDS_FAILED = 1
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
            click.option("--json", "as_json", is_flag=True, help="Print the run record on stdout."),
        )
    ):
        command = option(command)
    return command


@click.command(name="run")
@planning_options
@run_options
def command(store: str, jobs: int | None, engine: str | None, as_json: bool, **options: Any) -> int:
    """Plan LIST, build what no wheel exists for, publish, and record the run."""
    return carry_out(Chosen(**options), store, jobs=jobs, engine=engine, as_json=as_json)


def carry_out(
    chosen: Chosen,
    address: str,
    *,
    jobs: int | None,
    engine: str | None,
    as_json: bool,
    rebuilt: bool = False,
) -> int:
    """Plan, run, tell; return the exit code."""
    catalogue, listed = read_inputs(chosen)
    store = open_store(address)
    index = upstream_index(chosen, listed)
    plan = draw_up(
        chosen,
        catalogue,
        listed,
        index,
        contents(store, listed.channel, cache=states_cache()).projects,
        rebuilt=rebuilt,
    )
    click.echo(_intention(plan), err=True)
    request = Request(
        listed=listed, catalogue=catalogue, index=index, plan=plan, store=store, jobs=jobs, engine=engine
    )
    with Progress(total=len(plan.builds)) as watch:
        done = run(request, watch)
    if as_json:
        click.echo(json.dumps(done.document, indent=2))
    _tell(done, err=as_json)
    if done.refused:
        raise IntegrityError(*_refusal(done))
    return SOME_BUILDS_FAILED if done.failures else 0


def _intention(plan: Plan) -> str:
    if not plan.builds:
        return f"{len(plan.decisions)} decisions, nothing to build."
    targets = len({build.target for build in plan.builds})
    return f"{len(plan.decisions)} decisions, {len(plan.builds)} builds for {targets} target(s)."


def _tell(done: Run, *, err: bool) -> None:
    for failed in done.failures:
        click.echo(f"\n{failed.build.pin} {failed.build.target}: {failed.failure}: {failed.summary}", err=err)
        for line in failed.lines:
            click.echo(f"    {line}", err=err)
        if failed.hint:
            click.echo(f"  hint: {failed.hint}", err=err)
    if done.key is None:
        click.echo("Nothing new: nothing was built and nothing was written.", err=err)
    else:
        click.echo(f"Run record: {done.key}", err=err)
    for line in done.document["quarantined"]:
        click.echo(f"Not proven, because a line cannot be read: {line}", err=err)
    for each in done.coverage:
        click.echo(each.line, err=err)


def _refusal(done: Run) -> tuple[str, str]:
    first = done.refused[0]
    more = f" (and {len(done.refused) - 1} more)" if len(done.refused) > 1 else ""
    return (
        f"Not published: {first.filename}: {first.reason}{more}.",
        "The run record names every refused file.",
    )
