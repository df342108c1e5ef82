"""What differs between two branches, two lists, or a list now and an earlier copy of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from packaging.utils import NormalizedName

from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.inputs.pins import Constraints, Pin


class Kind(StrEnum):
    """How a project differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One project. old, new: what is pinned, as version and marker; several where markers split it."""

    project: NormalizedName
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """How it differs."""
        if not self.old:
            return Kind.ADDED
        return Kind.CHANGED if self.new else Kind.REMOVED


@dataclass(frozen=True, kw_only=True, slots=True)
class BranchDifference:
    """What differs between two branches, by project. old, new: their names."""

    old: str
    new: str
    differences: tuple[Difference, ...]

    def counts(self) -> dict[Kind, int]:
        """Return how many projects differ in which way."""
        kinds = [difference.kind for difference in self.differences]
        return {kind: kinds.count(kind) for kind in Kind}


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A key of two lists that differs: what the older has and the newer has not, and the reverse."""

    key: str
    removed: tuple[str, ...]
    added: tuple[str, ...]


def between(old: Constraints, new: Constraints) -> BranchDifference:
    """Compare two branches: versions as they are written, and markers."""
    before, after = _pinned(old.pins), _pinned(new.pins)
    return BranchDifference(
        old=old.branch,
        new=new.branch,
        differences=tuple(
            Difference(project=name, old=before.get(name, ()), new=after.get(name, ()))
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ),
    )


def settings(old: RequirementsList, new: RequirementsList) -> tuple[Setting, ...]:
    """Compare all that two lists say beside what their branches pin."""
    before, after = _settings(old), _settings(new)
    return tuple(
        compared(key, before[key], after[key]) for key in before if set(before[key]) != set(after[key])
    )


def compared(key: str, old: tuple[str, ...], new: tuple[str, ...]) -> Setting:
    """Compare the values of a key."""
    return Setting(key=key, removed=_without(old, new), added=_without(new, old))


def _pinned(pins: Iterable[Pin]) -> Mapping[NormalizedName, tuple[str, ...]]:
    found: dict[NormalizedName, list[str]] = {}
    for pin in pins:
        marker = f"; {pin.marker}" if pin.marker else ""
        found.setdefault(pin.name, []).append(f"{pin.version_text}{marker}")
    return {name: tuple(sorted(texts)) for name, texts in found.items()}


def _settings(listed: RequirementsList) -> dict[str, tuple[str, ...]]:
    return {
        "channel": (listed.channel,),
        "mode": (listed.mode,),
        "targets": tuple(map(str, listed.targets)),
        "branches": tuple(branch.branch for branch in listed.branches),
        "upstream": (listed.upstream,),
        "build-constraints": listed.build_constraints,
        "pins": tuple(sorted(listed.only or ())),
        "requirements": tuple(_requirements(listed)),
    }


def _requirements(listed: RequirementsList) -> Iterator[str]:
    for branch, demands in listed.demands.items():
        for demand in (*demands.wanted, *demands.bounds):
            yield f"{branch}: {demand.requirement}"


def _without(values: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value for value in values if value not in others)
