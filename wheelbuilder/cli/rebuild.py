"""`wheelbuilder rebuild`: build pins again, on the same path as `run`, and publish them under a build tag."""

from __future__ import annotations

from pathlib import Path

import click

from wheelbuilder.cli.options import images_option, list_argument, upstream_option
from wheelbuilder.cli.planning import Chosen
from wheelbuilder.cli.run import Terms, carry_out, run_options
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.report.news import FailOn


@click.command(name="rebuild")
@list_argument
@click.argument("pins", metavar="PIN...", nargs=-1, required=True)
@click.option("--target", "targets", multiple=True, required=True, help="For this target; may be repeated.")
@click.option("--force", is_flag=True, help="Build also what the mirror or upstream has already.")
@images_option
@upstream_option
@run_options
def command(
    list_path: Path,
    pins: tuple[str, ...],
    targets: tuple[str, ...],
    force: bool,
    images: Path | None,
    upstream: str | None,
    store: str,
    jobs: int | None,
    engine: str | None,
    rung: str | None,
    uncached: bool,
    cache_size: int,
    as_json: bool,
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
    terms = Terms(
        jobs=jobs,
        engine=engine,
        rung=Rung(rung) if rung else None,
        compiler_cache=0 if uncached else cache_size,
        as_json=as_json,
        fail_on=FailOn.ANY,
        rebuilt=force,
    )
    return carry_out(chosen, store, terms)
