"""`wheelbuilder plan`: say what would be built for a list, and why; change nothing."""

from __future__ import annotations

import json
from typing import Any

import click

from wheelbuilder.cli.planning import (
    Chosen,
    draw_up,
    planning_options,
    published,
    read_inputs,
    upstream_index,
)
from wheelbuilder.cli.tables import plan_document, print_plan


@click.command(name="plan")
@planning_options
@click.option("--store", help="The mirror, to count what it has: the path of a directory.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def command(store: str | None, as_json: bool, **options: Any) -> None:
    """Say what would be built for LIST, and why; change nothing."""
    chosen = Chosen(**options)
    catalogue, listed = read_inputs(chosen)
    plan = draw_up(
        chosen, catalogue, listed, upstream_index(chosen, listed), published(store, listed.channel)
    )
    print_plan(plan, listed.branches, to_stderr=as_json)
    if as_json:
        click.echo(json.dumps(plan_document(plan, listed), indent=2))
