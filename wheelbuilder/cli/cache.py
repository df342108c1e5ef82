"""`wheelbuilder cache`: what the compiler cache keeps on this machine, and making room."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from wheelbuilder.build import held, object_cache
from wheelbuilder.build.compilers import unused_programs
from wheelbuilder.build.object_cache import Kept
from wheelbuilder.cli.options import Size, dry_run_option, images_option, json_option
from wheelbuilder.cli.planning import read_catalogue
from wheelbuilder.cli.screen import say, say_json, say_removal
from wheelbuilder.inputs.quantities import BYTES


@click.group()
def command() -> None:
    """Show and prune what the compiler cache keeps on this machine."""


@command.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """Print what there is, what was not used for longest first."""
    rows = object_cache.kept()
    if as_json:
        say_json([_document(it) for it in rows])
        return
    for it in rows:
        say(_line(it))
    say(f"{_megabytes(sum(it.size for it in rows))} in all")


@command.command("prune")
@click.option("--keep", type=Size(), default=0, help="Leave as much of what was used last; else nothing.")
@images_option
@dry_run_option
def prune_command(*, keep: int, images: Path | None, dry_run: bool) -> None:
    """Remove objects, those that were not used for longest first; what a build uses now stays.

    Also the programs of other versions and older suites, which builds with the image table do not use.
    """
    for it in object_cache.trim(keep, dry_run=dry_run):
        say(f"{'would remove' if dry_run else 'removed'} {_line(it)}")
    for folder in unused_programs(read_catalogue(images)):
        say_removal(f"{folder}", held.remove(folder, dry_run=dry_run), dry_run=dry_run)


def _line(kept: Kept) -> str:
    used = datetime.fromtimestamp(kept.used, UTC)
    return f"{_megabytes(kept.size):>9}  {used:%Y-%m-%d}  {kept.words}"


def _megabytes(size: int) -> str:
    return f"{size / BYTES['M']:.1f} MB"


def _document(kept: Kept) -> dict[str, Any]:
    used = datetime.fromtimestamp(kept.used, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"of": kept.words, "size": kept.size, "used": used}
