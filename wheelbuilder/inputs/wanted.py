"""Which pins hold on a target: markers evaluated for it, branches united, contradictions set aside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from packaging.markers import Marker
from packaging.utils import NormalizedName

from wheelbuilder.inputs.pins import Constraints, Pin
from wheelbuilder.inputs.targets import Target

United = dict[tuple[NormalizedName, str], Pin]


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """Pins of one branch that hold on one target and disagree: nobody can install that project."""

    pins: tuple[Pin, ...]

    def __str__(self) -> str:
        places = ", ".join(f"{pin} ({pin.origin})" for pin in self.pins)
        return f"conflicting pins: {places}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a list asks for on one target. gaps: projects that are pinned, but not for this target."""

    target: Target
    pins: tuple[Pin, ...]
    conflicts: tuple[Conflict, ...]
    gaps: tuple[NormalizedName, ...]


def pins_for(
    branches: Sequence[Constraints],
    target: Target,
    only: frozenset[NormalizedName] | None = None,
    reached: Mapping[str, frozenset[NormalizedName]] | None = None,
) -> Wanted:
    """Return the pins whose markers hold on a target, sorted by name and version.

    A version that several branches want, spelt alike, is one pin, with all their names. Versions may
    differ between branches, but not within one. only: projects to restrict the answer to. reached:
    those of each branch's closure on the target, in the same sense.
    """
    united: United = {}
    conflicts: list[Conflict] = []
    gaps: list[NormalizedName] = []
    for branch in branches:
        chosen = only if reached is None else _both(only, reached[branch.branch])
        for name, pins in _by_project(branch.pins, chosen).items():
            applicable = tuple(pin for pin in pins if applies(pin, target))
            if _contradict(applicable):
                conflicts.append(Conflict(pins=applicable))
            elif applicable:
                _unite(united, applicable[0], branch.branch)
            else:
                gaps.append(name)
    pins_, covered = _sorted(united.values()), {name for name, _ in united}
    blocked = covered | {conflict.pins[0].name for conflict in conflicts}
    return Wanted(
        target=target,
        pins=pins_,
        conflicts=tuple(conflicts),
        gaps=tuple(sorted(set(gaps) - blocked)),
    )


def applies(pin: Pin, target: Target) -> bool:
    """Say whether a pin's marker (PEP 508) holds on the target, whatever the host is."""
    return pin.marker is None or holds(pin.marker, target)


def holds(marker: str, target: Target, extra: str = "") -> bool:
    """Say whether a marker (PEP 508) holds on the target, with an extra that was asked for."""
    return _evaluated(marker, target.full_version, target, extra)


def _both(
    only: frozenset[NormalizedName] | None, reached: frozenset[NormalizedName]
) -> frozenset[NormalizedName]:
    return reached if only is None else only & reached


def _by_project(
    pins: Iterable[Pin], only: frozenset[NormalizedName] | None
) -> dict[NormalizedName, list[Pin]]:
    projects: dict[NormalizedName, list[Pin]] = {}
    for pin in pins:
        if only is None or pin.name in only:
            projects.setdefault(pin.name, []).append(pin)
    return projects


def _contradict(pins: Sequence[Pin]) -> bool:
    texts = {pin.version_text.lower() for pin in pins if pin.arbitrary}
    return len({pin.version for pin in pins}) > 1 or len(texts) > 1


def _unite(united: United, pin: Pin, branch: str) -> None:
    known = united.setdefault(pin.identity, pin)
    if branch not in known.branches:
        united[pin.identity] = replace(known, branches=(*known.branches, branch))


def _sorted(pins: Iterable[Pin]) -> tuple[Pin, ...]:
    return tuple(sorted(pins, key=lambda pin: (pin.name, pin.version)))


@lru_cache(maxsize=16384)
def _evaluated(marker: str, full_version: str, target: Target, extra: str) -> bool:
    # full_version is no part of a target's identity, but of the answer
    environment = target.marker_environment() | {"python_full_version": full_version, "extra": extra}
    return Marker(marker).evaluate(environment)
