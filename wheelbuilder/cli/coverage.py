"""`wheelbuilder coverage`: say what a consumer of a list would still compile, and why."""

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
from wheelbuilder.plan.coverage import Coverage, Gap, coverage


@click.command(name="coverage")
@planning_options
@click.option("--store", required=True, help="The mirror: the path of a directory.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def command(store: str, as_json: bool, **options: Any) -> int:
    """Say what a consumer of LIST would still compile with this mirror; exit status 1 if anything."""
    chosen = Chosen(**options)
    catalogue, listed = read_inputs(chosen)
    mirror = published(store, listed.channel)
    plan = draw_up(chosen, catalogue, listed, upstream_index(chosen, listed), mirror)
    covered = coverage(plan, mirror)
    for target in covered:
        click.echo(target.line, err=as_json)
    if as_json:
        click.echo(json.dumps([coverage_document(target) for target in covered], indent=2))
    return 0 if all(target.complete for target in covered) else 1


def coverage_document(covered: Coverage) -> dict[str, Any]:
    """Return the coverage of one target as JSON values."""
    return {
        "target": str(covered.target),
        "pins": covered.pins,
        "compiled": [_gap(gap) for gap in covered.compiled],
        "missing": [_gap(gap) for gap in covered.missing],
        "line": covered.line,
    }


def _gap(gap: Gap) -> dict[str, str]:
    return {"project": gap.pin.name, "version": gap.pin.version_text, "reason": gap.reason}
