"""What the commands that build have in common: their options, and the way from a list to its mirror."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from wheelbuilder.cli.options import Size
from wheelbuilder.cli.planning import Chosen, draw_up, read_inputs, upstream_index, with_closures
from wheelbuilder.cli.progress import Progress
from wheelbuilder.cli.run_words import intentions, left, refusal, tell_run
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.errors import DeadlineError, IntegrityError
from wheelbuilder.inputs.branches import Mode
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.mirror.read import contents, states_cache
from wheelbuilder.mirror.stores import open_store
from wheelbuilder.pipeline.request import Renewed, Request
from wheelbuilder.pipeline.run import run
from wheelbuilder.report.memory import Memory
from wheelbuilder.report.news import FailOn

SOME_BUILDS_FAILED = 1
GRACE, MOST_GRACE = 0.1, 600.0  # of the time to the deadline, and seconds: for builds that run when it comes


@dataclass(frozen=True, kw_only=True, slots=True)
class Building:
    """The values of `building_options`. compiler_cache: bytes; 0 for none."""

    address: str
    jobs: int | None
    engine: str | None
    rung: Rung | None
    compiler_cache: int
    as_json: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How a list is carried out, as far as it differs between the commands."""

    fail_on: FailOn
    rebuilt: bool = False
    deadline: float | None = None  # seconds from now


def building_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of the commands that build; the command gets their values as `building`."""

    @wraps(command)
    def with_building(
        *,
        address: str,
        jobs: int | None,
        engine: str | None,
        rung: str | None,
        uncached: bool,
        cache_size: int,
        as_json: bool,
        **others: Any,
    ) -> int:
        building = Building(
            address=address,
            jobs=jobs,
            engine=engine,
            rung=Rung(rung) if rung else None,
            compiler_cache=0 if uncached else cache_size,
            as_json=as_json,
        )
        return command(building=building, **others)

    decorated: Callable[..., int] = with_building
    for option in reversed(
        (
            click.option(
                "--store",
                "address",
                required=True,
                help="Where the mirror is: a directory, or s3://bucket/prefix.",
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
        decorated = option(decorated)
    return decorated


def carry_out(chosen: Chosen, building: Building, terms: Terms) -> int:
    """Plan, run, tell; return the exit code."""
    started = time.monotonic()
    catalogue, listed = read_inputs(chosen)
    store = open_store(building.address)
    index = upstream_index(chosen, listed)
    memory = Memory(store, listed.channel)

    def renew() -> Renewed:
        mirror = contents(store, listed.channel, cache=states_cache()).projects
        resolved = with_closures(listed, catalogue, index, store, mirror)
        known = memory.experience
        plan = draw_up(chosen, catalogue, resolved, index, mirror, experience=known, rebuilt=terms.rebuilt)
        return Renewed(listed=resolved, mirror=mirror, plan=plan)

    first = renew()
    for line in (*first.listed.left_out, *intentions(first.plan)):
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
        jobs=building.jobs,
        engine=building.engine,
        rung=building.rung,
        compiler_cache=building.compiler_cache,
        deadline=None if terms.deadline is None else started + terms.deadline,
        renew=renew if listed.mode is Mode.CLOSURE and not terms.rebuilt else None,
        grace=min(MOST_GRACE, (terms.deadline or 0.0) * GRACE),
    )
    with Progress(first.plan.builds) as watch:
        done = run(request, watch)
    if building.as_json:
        say_json(done.document)
    tell_run(done, err=building.as_json)
    if done.refused:
        raise IntegrityError(*refusal(done))
    if done.unfinished:
        raise DeadlineError(*left(done))
    return SOME_BUILDS_FAILED if done.news.fails(terms.fail_on) else 0
