"""`wheelbuilder rebuild`: build pins again, on the same path as `run`, and publish them under a build tag."""

from __future__ import annotations

from pathlib import Path

import click

from wheelbuilder.cli.building import Building, Terms, building_options, carry_out
from wheelbuilder.cli.options import images_option, list_argument, upstream_option
from wheelbuilder.cli.planning import Chosen
from wheelbuilder.report.news import FailOn


@click.command(name="rebuild")
@list_argument
@click.argument("pins", metavar="PIN...", nargs=-1, required=True)
@click.option("--target", "targets", multiple=True, required=True, help="For this target; may be repeated.")
@click.option("--force", is_flag=True, help="Build also what the mirror or upstream has already.")
@images_option
@upstream_option
@building_options
def command(
    list_path: Path,
    pins: tuple[str, ...],
    targets: tuple[str, ...],
    force: bool,
    images: Path | None,
    upstream: str | None,
    building: Building,
) -> int:
    """Build the projects PIN of LIST again, also those that failed lately; exit status 1 if any fails.

    With --force under the next free build tag, whatever exists.
    """
    chosen = Chosen(
        list_path=list_path,
        targets=targets,
        pins=pins,
        strict=False,
        images=images,
        upstream=upstream,
        retry=True,
    )
    return carry_out(chosen, building, Terms(fail_on=FailOn.ANY, rebuilt=force))
