"""`wheelbuilder why`: how a project came into a list, and which branches, markers and parents ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from packaging.utils import NormalizedName

from wheelbuilder.cli.needs import file_documents, need_lines
from wheelbuilder.cli.options import images_option, json_option, list_argument, upstream_option
from wheelbuilder.cli.planning import read_catalogue, walked
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.inputs.branches import Mode
from wheelbuilder.inputs.list_lint import on_targets
from wheelbuilder.inputs.lists import RequirementsList, read_list
from wheelbuilder.inputs.near import question
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.read import read_states, states_cache
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.stores import open_existing
from wheelbuilder.plan.past import PastFall
from wheelbuilder.plan.why import Demanded, Line, Why, why
from wheelbuilder.report.memory import Memory, fall_document


@click.command(name="why")
@list_argument
@click.argument("name")
@images_option
@upstream_option
@click.option(
    "--store",
    "address",
    help="A mirror: its wheels tell what sdists do not; also who needs them, and what fell to a slower rung.",
)
@json_option
def command(
    list_path: Path,
    name: str,
    images: Path | None,
    upstream: str | None,
    address: str | None,
    as_json: bool,
) -> int:
    """Say which branches of LIST pin the project NAME, on which targets, and what asks for it.

    Exit status 1 if nothing in the list wants it.
    """
    listed = read_list(list_path, read_catalogue(images))
    store = None if address is None else open_existing(address)
    found = why(name, listed, walked(listed, upstream, store))
    state = _state(store, listed.channel, found.name) if store else None
    falls = _falls(store, listed.channel, found.name) if store else ()
    if as_json:
        mirrored = {"files": file_documents([state]), "fell": [*map(fall_document, falls)]} if state else {}
        say_json(_document(found, listed) | mirrored)
    else:
        for line in (*_lines(found, listed), *(_files(state) if state else ()), *map(_fell, falls)):
            say(line)
    return 0 if _is_wanted(found, listed) else 1


def _is_wanted(found: Why, listed: RequirementsList) -> bool:
    wanted = found.is_pinned if listed.mode is Mode.PINS else bool(found.demanded)
    return wanted and found.is_chosen


def _falls(store: Store, channel: str, name: NormalizedName) -> tuple[PastFall, ...]:
    """Read which builds of a project a slower rung has made."""
    return tuple(fall for fall in Memory(store, channel).experience.falls.values() if fall.project == name)


def _fell(fall: PastFall) -> str:
    return f"{fall.target}: built on a slower rung, because {fall}"


def _state(store: Store, channel: str, name: NormalizedName) -> ProjectState:
    """Read what a mirror's channel holds of a project."""
    held = resolve(store, Reference(channel=channel)).projects
    wanted = {name: held[name]} if name in held else {}
    return read_states(store, wanted, cache=states_cache()).get(name) or ProjectState(name=name)


def _files(state: ProjectState) -> Iterator[str]:
    if not state.in_gap:
        yield "The mirror has no file of it."
    for file in state.in_gap:
        yield from need_lines(state, file)


def _lines(found: Why, listed: RequirementsList) -> Iterator[str]:
    if not found.is_pinned:
        yield f"No branch of {listed.name} pins {found.name}. {question(found.near)}".rstrip()
    for line in found.lines:
        yield from _pin(line, listed)
    for clash in found.clashes:
        yield f"{clash.conflict}: nobody can install it on {on_targets(clash.targets, listed)}"
    for unreadable in found.unreadable:
        yield f"a line that cannot be read pins nothing: {unreadable}"
    for demanded in found.demanded:
        yield from _demanded(demanded, listed)
    for unmet in dict.fromkeys(unmet.sentence for unmet in found.unmet):
        yield f"not satisfied: {unmet}"
    if found.is_pinned and listed.mode is Mode.CLOSURE and not found.demanded:
        yield "Nothing that the requirement files name needs it."
    if not found.is_chosen:
        yield "The list's own choice of projects (its key 'pins') leaves it out."


def _pin(line: Line, listed: RequirementsList) -> Iterator[str]:
    marker = f"; {line.pin.marker}" if line.pin.marker else ""
    where = on_targets(line.holds, listed) if line.holds else "no target of the list"
    yield f"{line.pin.origin.branch}: {line.pin}{marker} ({line.pin.origin}) on {where}"
    if line.holds and line.excluded:
        yield f"  its marker excludes {on_targets(line.excluded, listed)}"
    if line.rung:
        yield f"  its recipe allows the rung {line.rung} only, on machines of another architecture"


def _demanded(demanded: Demanded, listed: RequirementsList) -> Iterator[str]:
    yield f"{demanded.branch}: needed on {on_targets(demanded.targets, listed)}, because"
    yield from (f"  {reason}" for reason in demanded.chain)
    if demanded.others:
        yield f"  and because {'; '.join(map(str, demanded.others))}"


def _document(found: Why, listed: RequirementsList) -> dict[str, Any]:
    return {
        "project": found.name,
        "wanted": _is_wanted(found, listed),
        "mode": listed.mode,
        "pins": [_line(line) for line in found.lines],
        "conflicts": [
            {"reason": str(clash.conflict), "targets": _names(clash.targets)} for clash in found.clashes
        ],
        "unreadable": [str(line) for line in found.unreadable],
        "needed": [
            {
                "branch": demanded.branch,
                "targets": _names(demanded.targets),
                "chain": list(map(str, demanded.chain)),
                "others": list(map(str, demanded.others)),
            }
            for demanded in found.demanded
        ],
        "unmet": list(map(str, found.unmet)),
        "left_out": not found.is_chosen,
        "near": list(found.near),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "branch": line.pin.origin.branch,
        "pin": str(line.pin),
        "version": line.pin.version_text,
        "marker": line.pin.marker,
        "rung": line.rung,
        "origin": str(line.pin.origin),
        "targets": _names(line.holds),
        "excluded": _names(line.excluded),
    }


def _names(targets: Iterable[Target]) -> list[str]:
    return list(map(str, targets))
