"""Why a project is in a list: which branches pin it, under which markers, and what asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.inputs.names import project_name
from wheelbuilder.inputs.near import SHOWN, near
from wheelbuilder.inputs.pins import Pin, Quarantined
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target
from wheelbuilder.inputs.wanted import Conflict, applies, pins_for
from wheelbuilder.plan.closure import Closure, Reason, Unmet
from wheelbuilder.plan.dependencies import LEADING_NAME


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a branch that pins the project, with the targets on which its marker holds or does not.

    rung: the only one that its recipe allows on machines of another architecture.
    """

    pin: Pin
    rung: Rung | None
    holds: tuple[Target, ...]
    excluded: tuple[Target, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clash:
    """Lines of one branch that disagree on some targets."""

    conflict: Conflict
    targets: tuple[Target, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Demanded:
    """How a closure came to a project, on the targets where it is so.

    chain: the shortest way from a line of a requirement file. others: what else asks for it directly.
    """

    branch: str
    targets: tuple[Target, ...]
    chain: tuple[Reason, ...]
    others: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Why:
    """All that a list says of a project.

    is_chosen: whether the list's own choice of projects has it. unreadable: lines that begin with its
    name. demanded, unmet: of closures. near: names that look like it, where no branch pins it.
    """

    name: NormalizedName
    is_chosen: bool
    lines: tuple[Line, ...]
    clashes: tuple[Clash, ...]
    unreadable: tuple[Quarantined, ...]
    demanded: tuple[Demanded, ...]
    unmet: tuple[Unmet, ...]
    near: tuple[str, ...]

    @property
    def is_pinned(self) -> bool:
        """Whether any branch pins it."""
        return bool(self.lines)


def why(name: str, listed: RequirementsList, closures: Sequence[Closure] = ()) -> Why:
    """Explain a project by its name, however it is spelt. closures: of a list in that mode."""
    project = project_name(name)
    lines = tuple(
        _line(pin, listed) for branch in listed.branches for pin in branch.pins if pin.name == project
    )
    return Why(
        name=project,
        is_chosen=listed.only is None or project in listed.only,
        lines=lines,
        clashes=tuple(_clashes(project, listed)),
        unreadable=tuple(_unreadable(project, listed)),
        demanded=tuple(_demanded(project, closures)),
        unmet=tuple(it for closure in closures for it in closure.unmet if _asks_for(it, project)),
        near=() if lines else _near(project, listed),
    )


def _line(pin: Pin, listed: RequirementsList) -> Line:
    holds = tuple(target for target in listed.targets if applies(pin, target))
    return Line(
        pin=pin,
        rung=listed.recipes.for_pin(pin).rung,
        holds=holds,
        excluded=tuple(it for it in listed.targets if it not in holds),
    )


def _clashes(project: NormalizedName, listed: RequirementsList) -> Iterator[Clash]:
    for branch in listed.branches:
        found: dict[Conflict, list[Target]] = {}
        for target in listed.targets:
            for conflict in pins_for([branch], target, frozenset({project})).conflicts:
                found.setdefault(conflict, []).append(target)
        for conflict, targets in found.items():
            yield Clash(conflict=conflict, targets=tuple(targets))


def _unreadable(project: NormalizedName, listed: RequirementsList) -> Iterator[Quarantined]:
    for line in (line for branch in listed.branches for line in branch.quarantined):
        named = LEADING_NAME.match(line.words)
        if named and canonicalize_name(named[1]) == project:
            yield line


def _demanded(project: NormalizedName, closures: Iterable[Closure]) -> Iterator[Demanded]:
    found: dict[tuple[str, tuple[Reason, ...], tuple[Reason, ...]], list[Target]] = {}
    for closure in closures:
        if chain := closure.chain(project):
            others = tuple(reason for reason in closure.reasons[project] if reason != chain[-1])
            found.setdefault((closure.branch, chain, others), []).append(closure.target)
    for (branch, chain, others), targets in found.items():
        yield Demanded(branch=branch, targets=tuple(targets), chain=chain, others=others)


def _asks_for(unmet: Unmet, project: NormalizedName) -> bool:
    named = LEADING_NAME.match(unmet.chain[-1].words)
    return named is not None and canonicalize_name(named[1]) == project


def _near(project: NormalizedName, listed: RequirementsList) -> tuple[str, ...]:
    known: dict[str, str] = {pin.name: pin.raw_name for branch in listed.branches for pin in branch.pins}
    return tuple(known[name] for name in _looking_like(project, known))


def _looking_like(project: str, known: Collection[str]) -> list[str]:
    """Return near misses: names that hold it whole (ldap: python-ldap), then those spelt alike."""
    holding = [name for name in sorted(known) if project in name.split("-")]
    return list(dict.fromkeys([*near(project, known), *holding]))[:SHOWN]
