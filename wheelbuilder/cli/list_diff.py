"""`wheelbuilder list diff`: what differs between two branches, two lists, or a list and an earlier copy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from wheelbuilder.cli.options import images_option, json_option
from wheelbuilder.cli.planning import read_catalogue
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.differences import BranchDifference, Difference, Kind, Setting, between, settings
from wheelbuilder.inputs.http import fetch_text, is_address, shown
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.lists import RequirementsList, read_list
from wheelbuilder.inputs.pins import Constraints, parse_constraints
from wheelbuilder.inputs.sources import read_place

SIGNS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """What is compared: whole lists, or one branch of each. listed: None for a file of constraints."""

    name: str
    branches: tuple[Constraints, ...]
    listed: RequirementsList | None = None


@click.command(name="diff")
@click.argument("operands", metavar="A B", nargs=-1)
@images_option
@json_option
def command(operands: tuple[str, ...], images: Path | None, as_json: bool) -> None:
    """Say what B pins that A does not, and the reverse.

    Each is a LIST, a branch of one (LIST@BRANCH), or the path or URL of constraints. LIST BRANCH BRANCH
    compares two branches of one list.
    """
    catalogue = read_catalogue(images)
    old, new = (_side(operand, catalogue) for operand in _two(operands))
    both = old.listed and new.listed
    for line in (line for side in (old, new) for branch in side.branches for line in branch.quarantined):
        say(f"not compared, because it cannot be read: {line}", err=True)
    changed = settings(old.listed, new.listed) if old.listed and new.listed else ()
    compared = [between(*pair) for pair in _pairs(old, new)]
    if as_json:
        branches = [difference_document(difference) for difference in compared]
        return say_json({"settings": [asdict(setting) for setting in changed], "branches": branches})
    for setting in changed:
        say_setting(setting)
    for difference in compared:
        say_difference(difference)
    if not changed and not any(difference.differences for difference in compared):
        say(f"{old.name} and {new.name} {'say' if both else 'pin'} the same.")
    return None


def _two(operands: tuple[str, ...]) -> tuple[str, str]:
    if len(operands) == 3:
        return f"{operands[0]}@{operands[1]}", f"{operands[0]}@{operands[2]}"
    if len(operands) != 2:
        raise click.UsageError("Name two to compare: A B, or LIST BRANCH BRANCH.")
    return operands[0], operands[1]


def _side(operand: str, catalogue: Catalogue) -> _Side:
    path = Path(operand)
    if is_address(operand) or (path.is_file() and path.suffix != ".toml"):
        text = read_place(operand, fetch=fetch_text)
        return _Side(name=operand, branches=(parse_constraints(text, shown(operand), allow_empty=True),))
    if "://" in operand:
        raise ConfigurationError(
            f"{operand} is neither a file nor the address of one.",
            "Give a path, or http:// or https:// and a host.",
        )
    list_path, at, name = (operand, "", "") if path.is_file() else operand.rpartition("@")
    if not at:
        listed = read_list(path, catalogue)
        return _Side(name=operand, branches=listed.branches, listed=listed)
    listed = read_list(Path(list_path), catalogue)
    chosen = tuple(branch for branch in listed.branches if branch.branch == name)
    if not chosen:
        known = ", ".join(branch.branch for branch in listed.branches)
        raise ConfigurationError(f"The list {list_path} has no branch {name!r}.", f"Its branches: {known}.")
    return _Side(name=operand, branches=chosen)


def _pairs(old: _Side, new: _Side) -> list[tuple[Constraints, Constraints]]:
    """Return what is to be compared: branches of the same name, or the one of each side."""
    if len(old.branches) == len(new.branches) == 1:
        return [(old.branches[0], new.branches[0])]
    if not old.listed or not new.listed:
        raise ConfigurationError(
            f"{old.name} and {new.name} are not alike: one is a list of several branches.",
            "Name one of its branches: LIST@BRANCH.",
        )
    known = {branch.branch: branch for branch in new.branches}
    return [(branch, known[branch.branch]) for branch in old.branches if branch.branch in known]


def say_difference(difference: BranchDifference) -> None:
    """Print what differs between two branches: one line a project."""
    if not difference.differences:
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in difference.counts().items() if count)
    names = dict.fromkeys((difference.old, difference.new))
    say(f"{' -> '.join(names)}: {counts}")
    for each in difference.differences:
        say(f"  {SIGNS[each.kind]} {each.project} {_versions(each)}")


def difference_document(difference: BranchDifference) -> dict[str, Any]:
    """Return what differs between two branches as JSON values."""
    rows: dict[str, list[dict[str, Any]]] = {kind.value: [] for kind in Kind}
    for each in difference.differences:
        rows[each.kind].append({"project": each.project, "old": list(each.old), "new": list(each.new)})
    return {"old": difference.old, "new": difference.new, **rows}


def _versions(difference: Difference) -> str:
    sides = (difference.old, difference.new)
    return " -> ".join(", ".join(side) for side in sides if side)


def say_setting(setting: Setting) -> None:
    """Print what differs in a key: one line a value."""
    say(f"{setting.key}:")
    for sign, values in (("-", setting.removed), ("+", setting.added)):
        for value in values:
            say(f"  {sign} {value}")
