"""The plan of a list: one decision for each pin and target, in a stable order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.inputs.wanted import Wanted
from wheelbuilder.plan.decide import Offer, decide, rebuild
from wheelbuilder.plan.decisions import Build, Decision, InMirror, Postponed, Unavailable, Upstream
from wheelbuilder.plan.experience import Unfit
from wheelbuilder.plan.files import IndexFile
from wheelbuilder.plan.keys import KeyOf

MirrorFiles = Mapping[NormalizedName, Sequence[IndexFile]]
UpstreamFiles = Mapping[NormalizedName, Sequence[IndexFile] | None]

NOT_APPLICABLE = "not applicable"
KINDS = {
    InMirror: "in mirror",
    Upstream: "upstream",
    Build: "build",
    Postponed: "postponed",
    Unavailable: "unavailable",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Decisions sorted by pin, then in the list's order of targets.

    gaps: pins not meant for a target. upstream: its files of the pinned versions, for the whole view.
    """

    targets: tuple[Target, ...]
    decisions: tuple[Decision, ...]
    gaps: dict[Target, tuple[NormalizedName, ...]]
    upstream: UpstreamFiles

    @property
    def builds(self) -> tuple[Build, ...]:
        """What is to be built."""
        return tuple(decision for decision in self.decisions if isinstance(decision, Build))

    @property
    def postponed(self) -> tuple[Postponed, ...]:
        """What failed lately and is not tried."""
        return tuple(decision for decision in self.decisions if isinstance(decision, Postponed))

    @property
    def unavailable(self) -> tuple[Unavailable, ...]:
        """What cannot be had."""
        return tuple(decision for decision in self.decisions if isinstance(decision, Unavailable))

    def of(self, target: Target) -> tuple[Decision, ...]:
        """Return the decisions for one target."""
        return tuple(decision for decision in self.decisions if decision.target == target)

    def counts(self) -> dict[Target, dict[str, int]]:
        """Return, for each target, how many pins have each kind of decision, or do not apply."""
        counts = {target: dict.fromkeys((*KINDS.values(), NOT_APPLICABLE), 0) for target in self.targets}
        for decision in self.decisions:
            counts[decision.target][KINDS[type(decision)]] += 1
        for target, gaps in self.gaps.items():
            counts[target][NOT_APPLICABLE] = len(gaps)
        return counts


def versions_wanted(wanted: Iterable[Wanted]) -> dict[NormalizedName, frozenset[Version]]:
    """Return which versions of which projects the index must be asked about, for all targets at once."""
    versions: dict[NormalizedName, set[Version]] = {}
    for on_target in wanted:
        for pin in on_target.pins:
            versions.setdefault(pin.name, set()).add(pin.version)
    return {name: frozenset(versions[name]) for name in sorted(versions)}


def make_plan(
    wanted: Sequence[Wanted],
    *,
    mirror: MirrorFiles,
    upstream: UpstreamFiles,
    recipe_for: Callable[[Pin, Target], Recipe],
    key_of: KeyOf,
    today: date,
    rebuilt: frozenset[NormalizedName] = frozenset(),
    unfit: Unfit | None = None,
) -> Plan:
    """Decide about every pin on every target.

    rebuilt: projects to build again, whatever exists, under a free build tag. unfit: wheels of ours that do
    not count for a target.
    """
    refused = unfit or {}

    def decided(pins: Sequence[tuple[Pin, Target]]) -> Iterator[Decision]:
        """Decide about one project at one version on all its targets."""
        first, _ = pins[0]
        offer = Offer.of(first, mirror.get(first.name, ()), upstream.get(first.name))
        for pin, target in pins:
            recipe = recipe_for(pin, target)
            if pin.name in rebuilt:
                yield rebuild(pin, target, offer, recipe=recipe, key_of=key_of)
            else:
                declined = refused.get((pin.name, str(pin.version), str(target)), "") if refused else ""
                left = offer.without(declined)
                found = decide(pin, target, left, recipe=recipe, key_of=key_of, today=today)
                yield replace(found, unfit=declined) if declined and isinstance(found, Build) else found

    decisions = [decision for pins in _by_version(wanted) for decision in decided(pins)]
    decisions += [
        Unavailable(pin=conflict.pins[0], target=on_target.target, reason=str(conflict))
        for on_target in wanted
        for conflict in on_target.conflicts
    ]
    targets = tuple(on_target.target for on_target in wanted)
    return Plan(
        targets=targets,
        decisions=tuple(sorted(decisions, key=lambda decision: _order(decision, targets))),
        gaps={on_target.target: on_target.gaps for on_target in wanted},
        upstream=upstream,
    )


def extended(plan: Plan, newer: Plan) -> Plan:
    """Return a plan with what a newer one decides about pins that it does not have."""
    known = {(it.pin.identity, it.target) for it in plan.decisions}
    more = (it for it in newer.decisions if (it.pin.identity, it.target) not in known)
    decisions = sorted((*plan.decisions, *more), key=lambda decision: _order(decision, plan.targets))
    upstream = {**plan.upstream, **newer.upstream}
    return replace(plan, decisions=tuple(decisions), gaps=newer.gaps, upstream=upstream)


def _by_version(wanted: Iterable[Wanted]) -> Iterable[Sequence[tuple[Pin, Target]]]:
    """Group pins that the same files serve, with their targets; all of a project in turn."""
    groups: dict[tuple[NormalizedName, str, bool], list[tuple[Pin, Target]]] = {}
    for on_target in wanted:
        for pin in on_target.pins:
            same = pin.name, pin.version_text, pin.arbitrary
            groups.setdefault(same, []).append((pin, on_target.target))
    return (groups[same] for same in sorted(groups))


def _order(decision: Decision, targets: tuple[Target, ...]) -> tuple[NormalizedName, Version, int]:
    return decision.pin.name, decision.pin.version, targets.index(decision.target)
