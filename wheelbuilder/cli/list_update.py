"""`wheelbuilder list update`: keep copies of what the URLs of a list give now."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wheelbuilder.cli.list_diff import difference_document, say_difference, say_setting
from wheelbuilder.cli.options import dry_run_option, json_option, list_argument
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.branches import Branch, read_branches
from wheelbuilder.inputs.copies import Copy, fetched, write
from wheelbuilder.inputs.differences import BranchDifference, Setting
from wheelbuilder.inputs.http import fetch_text, shown


@click.command(name="update")
@list_argument
@click.option("--branch", "names", multiple=True, help="Only this branch; may be repeated.")
@dry_run_option
@json_option
def command(list_path: Path, names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Fetch what the URLs of LIST give and keep it in files beside the list: all of it or nothing.

    While a file is there it is read, and the URL is not asked; delete it to follow the URL again.
    """
    copies = fetched(_chosen(read_branches(list_path), list_path, names), fetch_text)
    if not dry_run:
        write(copies)
    if as_json:
        return say_json([_document(copy) for copy in copies])
    for copy in copies:
        _tell(copy, dry_run=dry_run)
    if not copies:
        say(f"{list_path} names no URL of which a copy could be kept.")
    return None


def _chosen(branches: tuple[Branch, ...], path: Path, names: tuple[str, ...]) -> list[Branch]:
    known = {branch.name: branch for branch in branches}
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"The list {path} has no branch {name!r}.", f"Its branches: {', '.join(known)}."
            )
    return [branch for branch in branches if not names or branch.name in names]


def _tell(copy: Copy, *, dry_run: bool) -> None:
    where = f"{copy.branch}: {copy.source.path}"
    if not copy.is_new:
        return say(f"{where} is what {shown(copy.source.base)} gives")
    deed = "would be" if dry_run else "is"
    say(f"{where} {deed} {'made' if copy.old is None else 'brought up to date'}")
    if copy.old is None:
        return None  # every pin is new, which says nothing
    if isinstance(copy.difference, Setting):
        return say_setting(copy.difference)
    return say_difference(copy.difference)


def _document(copy: Copy) -> dict[str, Any]:
    return {
        "branch": copy.branch,
        "url": shown(copy.source.base),
        "path": str(copy.source.path),
        "changed": copy.is_new,
        "difference": _difference(copy.difference),
    }


def _difference(difference: BranchDifference | Setting) -> dict[str, Any]:
    return asdict(difference) if isinstance(difference, Setting) else difference_document(difference)
