"""`wheelbuilder plan`: say what would be built for a list, and why; change nothing."""

from __future__ import annotations

from typing import Any

import click

from wheelbuilder.cli.planning import (
    Chosen,
    draw_up,
    planning_options,
    read_inputs,
    retry_option,
    upstream_index,
    with_closures,
)
from wheelbuilder.cli.screen import say_json
from wheelbuilder.cli.tables import plan_document, print_plan
from wheelbuilder.mirror.read import contents, states_cache
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.stores import open_store
from wheelbuilder.plan.experience import Experience
from wheelbuilder.plan.plans import MirrorFiles
from wheelbuilder.report.memory import Memory


@click.command(name="plan")
@planning_options
@retry_option
@click.option(
    "--store", help="The mirror, to count what it has and knows: a directory, or s3://bucket/prefix."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def command(store: str | None, as_json: bool, **options: Any) -> None:
    """Say what would be built for LIST, and why; change nothing."""
    chosen = Chosen(**options)
    catalogue, listed = read_inputs(chosen)
    index = upstream_index(chosen, listed)
    opened = None if store is None else open_store(store)
    mirror, experience = _known(opened, listed.channel)
    listed = with_closures(listed, catalogue, index, opened, mirror)
    plan = draw_up(chosen, catalogue, listed, index, mirror, experience=experience)
    print_plan(plan, listed, to_stderr=as_json)
    if as_json:
        say_json(plan_document(plan, listed))


def _known(store: Store | None, channel: str) -> tuple[MirrorFiles, Experience | None]:
    """Return what a channel serves and what is known of its builds; nothing where no store is named."""
    if store is None:
        return {}, None
    return contents(store, channel, cache=states_cache()).projects, Memory(store, channel).experience
