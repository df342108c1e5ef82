"""What is wrong or odd in a list and what its branches pin, as findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.inputs.findings import Finding, error, in_order, warning
from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.inputs.pins import Constraints, Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.inputs.wanted import Conflict, applies, holds, pins_for

SERIES = re.compile(r"(?:stable|unmaintained)[/-]")
NEWEST = ("master", "main", "trunk")
SHOWN = 6  # a longer row of names is cut


def lint(listed: RequirementsList) -> tuple[Finding, ...]:
    """Return what is wrong or odd, errors first; what only resolving finds out is not in it."""
    checks = (
        *(_unreadable, _conflicts, _unmatchable, _refused, _branch_order, _alike),
        *(_repeated, _loose, _dead_markers, _dead_demands, _two_names, _two_versions, _unused_recipes),
    )
    return in_order(finding for check in checks for finding in check(listed))


def _unreadable(listed: RequirementsList) -> Iterator[Finding]:
    for branch in listed.branches:
        for line in branch.quarantined:
            yield error("unreadable", line)


def _conflicts(listed: RequirementsList) -> Iterator[Finding]:
    for branch in listed.branches:
        found: dict[Conflict, list[Target]] = {}
        for target in listed.targets:
            for conflict in pins_for([branch], target, listed.only).conflicts:
                found.setdefault(conflict, []).append(target)
        for conflict, targets in found.items():
            yield error("conflict", f"{conflict} on {on_targets(targets, listed)}", [conflict.pins[0].name])


def _unmatchable(listed: RequirementsList) -> Iterator[Finding]:
    for pin in _pins(listed):
        if pin.unmatchable:
            yield error("unmatchable", f"{pin.origin}: {pin.unmatchable}", [pin.name])


def _refused(listed: RequirementsList) -> Iterator[Finding]:
    for demands in listed.demands.values():
        for line in demands.refused:
            yield error("refused", line)
        for oddity in demands.warnings:
            yield warning("hashes", oddity)


def _branch_order(listed: RequirementsList) -> Iterator[Finding]:
    names = [branch.branch for branch in listed.branches]
    by_age = sorted(names, key=_age)
    if names in (sorted(names), sorted(names, reverse=True)) and names not in (by_age, by_age[::-1]):
        yield warning(
            "branch-order",
            f"the branches are sorted as text, which is not their age: write {', '.join(by_age[::-1])}",
        )


def _age(name: str) -> tuple[int, list[int], str]:
    """Order branches by age: yoga, zed, 2023.1, 2023.2, master; 2.9 before 2.10."""
    series = SERIES.sub("", name)
    if series in NEWEST:
        return 2, [], series
    return (1 if series[:1].isdigit() else 0), list(map(int, re.findall("[0-9]+", series))), series


def _alike(listed: RequirementsList) -> Iterator[Finding]:
    seen: dict[frozenset[tuple[str, str | None]], str] = {}
    for branch in listed.branches:
        pinned = frozenset((str(pin), pin.marker) for pin in branch.pins)
        other = seen.setdefault(pinned, branch.branch)
        if not pinned:
            yield warning("empty", f"the branch {branch.branch} pins nothing")
        elif other != branch.branch:
            yield warning("alike", f"the branches {other} and {branch.branch} pin the same")


def _repeated(listed: RequirementsList) -> Iterator[Finding]:
    for oddity in (*listed.oddities, *(it for branch in listed.branches for it in branch.warnings)):
        yield warning("repeated", oddity)


def _loose(listed: RequirementsList) -> Iterator[Finding]:
    for branch in listed.branches:
        names = [pin.name for pin in branch.pins if not pin.arbitrary]
        if names:
            told = (
                f"{branch.branch} pins with == instead of ===, which takes local versions too: {_some(names)}"
            )
            yield warning("loose", told, names)


def _dead_markers(listed: RequirementsList) -> Iterator[Finding]:
    for branch in listed.branches:
        dead: dict[str, list[NormalizedName]] = {}
        for pin in _chosen(branch, listed):
            if pin.marker and not any(applies(pin, target) for target in listed.targets):
                dead.setdefault(pin.marker, []).append(pin.name)
        for marker, names in dead.items():
            told = f"{branch.branch}: the marker {marker} holds on none of the targets: {_some(names)}"
            yield warning("dead-marker", told, names)


def _dead_demands(listed: RequirementsList) -> Iterator[Finding]:
    for demands in listed.demands.values():
        for demand in demands.wanted:
            marker = demand.requirement.marker
            if marker and not any(holds(str(marker), target) for target in listed.targets):
                yield warning("dead-requirement", f"{demand} applies to none of the targets")


def _two_names(listed: RequirementsList) -> Iterator[Finding]:
    spelt: dict[NormalizedName, dict[str, Pin]] = {}
    for pin in _pins(listed):
        spelt.setdefault(pin.name, {}).setdefault(pin.raw_name, pin)
    for name, pins in spelt.items():
        if len(pins) > 1:
            told = f"one project is spelt {len(pins)} ways: {_places(pins)}"
            yield warning("spelling", told, [name])


def _two_versions(listed: RequirementsList) -> Iterator[Finding]:
    spelt: dict[tuple[NormalizedName, Version], dict[str, Pin]] = {}
    for pin in _pins(listed):
        spelt.setdefault((pin.name, pin.version), {}).setdefault(pin.version_text.lower(), pin)
    for (name, _), pins in spelt.items():
        if len(pins) > 1:
            told = f"one version of {name} is spelt {len(pins)} ways: {_places(pins)}"
            yield warning("version-spelling", told, [name])


def _unused_recipes(listed: RequirementsList) -> Iterator[Finding]:
    pins = list(_pins(listed))
    unused = listed.recipes.unused(pins)
    names = [name for name, versions in unused if versions is None]
    if names:
        yield warning("unused-recipe", f"recipes of projects that no branch pins: {_some(names)}", names)
    for name, versions in unused:
        if versions is not None:
            told = f"the recipe of {name} has a range that no pin is in: {versions}"
            yield warning("unused-recipe", told, [name])


def _pins(listed: RequirementsList) -> Iterator[Pin]:
    for branch in listed.branches:
        yield from _chosen(branch, listed)


def _chosen(branch: Constraints, listed: RequirementsList) -> Iterator[Pin]:
    return (pin for pin in branch.pins if listed.only is None or pin.name in listed.only)


def on_targets(targets: Iterable[Target], listed: RequirementsList) -> str:
    """Name some of a list's targets."""
    named = set(targets)
    return "every target" if named == set(listed.targets) else ", ".join(sorted(map(str, named)))


def _places(pins: Mapping[str, Pin]) -> str:
    return ", ".join(f"{text} ({pin.origin.branch}, line {pin.origin.line})" for text, pin in pins.items())


def _some(names: Iterable[str]) -> str:
    ordered = sorted(set(names))
    rest = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + rest
