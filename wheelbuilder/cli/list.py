"""`wheelbuilder list`: what a list pins, and the commands that compare, check and update it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wheelbuilder.cli import list_diff, list_lint, list_update
from wheelbuilder.cli.console import show_table
from wheelbuilder.cli.options import images_option, json_option, list_argument
from wheelbuilder.cli.planning import read_catalogue
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.inputs.lists import RequirementsList, read_list
from wheelbuilder.inputs.targets import Target
from wheelbuilder.inputs.wanted import pins_for

BRANCH_COLUMNS = ("branch", "pins", "unreadable", "requirements", "from")
TARGET_COLUMNS = ("target", "pins", "conflicts", "not applicable")


@click.group(name="list")
def command() -> None:
    """Show, compare, check and update a list."""


command.add_command(list_diff.command)
command.add_command(list_lint.command)
command.add_command(list_update.command)


@command.command(name="show")
@list_argument
@images_option
@json_option
def show_command(list_path: Path, images: Path | None, as_json: bool) -> None:
    """Show the branches of LIST, what they pin, and how much of it holds on each target."""
    listed = read_list(list_path, read_catalogue(images))
    document = _document(listed)
    if as_json:
        return say_json(document)
    say(f"{listed.name}: mode {listed.mode}, channel {listed.channel}, upstream {listed.upstream}")
    say()
    for columns, rows in ((BRANCH_COLUMNS, document["branches"]), (TARGET_COLUMNS, document["targets"])):
        show_table(columns, (["" if row[it] is None else row[it] for it in columns] for row in rows))
        say()
    return say(f"{document['pins']} pins, {document['distinct']} of them distinct")


def _document(listed: RequirementsList) -> dict[str, Any]:
    pins = [pin for branch in listed.branches for pin in branch.pins]
    return {
        "list": listed.name,
        "mode": listed.mode,
        "channel": listed.channel,
        "upstream": listed.upstream,
        "branches": [_branch(listed, index) for index in range(len(listed.branches))],
        "targets": [_target(listed, target) for target in listed.targets],
        "build-constraints": list(listed.build_constraints),
        "only": sorted(listed.only) if listed.only else None,
        "pins": len(pins),
        "distinct": len({pin.identity for pin in pins}),
    }


def _branch(listed: RequirementsList, index: int) -> dict[str, Any]:
    branch, source = listed.branches[index], listed.sources[index]
    demands = listed.demands.get(branch.branch)
    return {
        "branch": branch.branch,
        "pins": len(branch.pins),
        "unreadable": len(branch.quarantined),
        "requirements": len(demands.wanted) if demands else None,
        "from": branch.file,
        "kept copy": source.constraints.is_kept,
        "requirement files": [each.place for each in source.requirements],
    }


def _target(listed: RequirementsList, target: Target) -> dict[str, Any]:
    wanted = pins_for(listed.branches, target, listed.only)
    return {
        "target": str(target),
        "pins": len(wanted.pins),
        "conflicts": len(wanted.conflicts),
        "not applicable": len(wanted.gaps),
    }
