"""`wheelbuilder run`: plan a list, build what no wheel exists for, publish."""

from __future__ import annotations

from typing import Any

import click

from wheelbuilder.cli.building import Building, Terms, building_options, carry_out
from wheelbuilder.cli.options import Duration
from wheelbuilder.cli.planning import Chosen, planning_options, retry_option
from wheelbuilder.report.news import FailOn


@click.command(name="run")
@planning_options
@retry_option
@building_options
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
def command(building: Building, fail_on: str, deadline: float | None, **options: Any) -> int:
    """Plan LIST, build what no wheel exists for, publish, and record the run.

    What failed lately is not tried again until an input changes or its record expires.
    """
    terms = Terms(fail_on=FailOn(fail_on), deadline=deadline)
    return carry_out(Chosen(**options), building, terms)
