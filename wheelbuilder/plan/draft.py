"""From a list to its plan: pins for each target, upstream's pages, decisions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from functools import partial

from packaging.utils import NormalizedName

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.branches import Mode
from wheelbuilder.inputs.images import Catalogue, Role
from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.inputs.near import did_you_mean
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.inputs.wanted import Wanted, pins_for
from wheelbuilder.plan.experience import Experience, Unfit
from wheelbuilder.plan.keys import inputs_of, key_of
from wheelbuilder.plan.plans import MirrorFiles, Plan, make_plan, versions_wanted
from wheelbuilder.plan.recall import Present, recalled
from wheelbuilder.plan.upstream import Progress, UpstreamIndex


def draft(
    listed: RequirementsList,
    catalogue: Catalogue,
    index: UpstreamIndex,
    *,
    mirror: MirrorFiles,
    today: date,
    targets: Sequence[str] = (),
    projects: Collection[NormalizedName] = (),
    rebuilt: Collection[NormalizedName] = (),
    experience: Experience | None = None,
    unfit: Unfit | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Plan:
    """Return the plan of a list, or of the part of it that `targets` and `projects` choose.

    mirror: what the list's channel serves. experience: what earlier builds taught; what failed lately is
    not tried again. unfit: wheels of ours that do not count for a target. Raises ConfigurationError for a
    choice that the list does not have, and UnreachableError if the index cannot be read.
    """
    wanted = wanted_by(listed, targets=targets, projects=projects)
    upstream = index.files(versions_wanted(wanted), progress)
    roots = {target: catalogue.root(target, Role.BUILD) for target in listed.targets}

    def recipe_for(pin: Pin, target: Target) -> Recipe:
        return listed.recipes.for_pin(pin, roots[target])

    plan = make_plan(
        wanted,
        mirror=mirror,
        upstream=upstream,
        recipe_for=recipe_for,
        key_of=key_of(catalogue, listed.build_constraints),
        today=today,
        rebuilt=frozenset(rebuilt),
        unfit=unfit,
    )
    if experience is None:
        return plan
    describe = partial(inputs_of, catalogue=catalogue, build_constraints=listed.build_constraints)
    present = Present(describe=describe, recipe_for=recipe_for, today=today)
    return recalled(plan, experience, present)


def wanted_by(
    listed: RequirementsList, *, targets: Sequence[str] = (), projects: Collection[NormalizedName] = ()
) -> tuple[Wanted, ...]:
    """Return the pins of a list for each of its targets, or for those chosen by name.

    A list in closure mode has its closures resolved.
    """
    only = frozenset(projects) or listed.only
    _refuse_unknown(listed, frozenset(projects))
    return tuple(
        pins_for(listed.branches, target, only, _reached(listed, target))
        for target in _chosen(listed, targets)
    )


def _reached(listed: RequirementsList, target: Target) -> dict[str, frozenset[NormalizedName]] | None:
    if listed.mode is Mode.PINS:
        return None
    assert listed.reached is not None  # planning a closure begins with resolving it
    return {branch.branch: listed.reached[branch.branch, target] for branch in listed.branches}


def _chosen(listed: RequirementsList, names: Sequence[str]) -> tuple[Target, ...]:
    known = {str(target): target for target in listed.targets}
    for name in names:
        if name not in known:
            hint = f"{did_you_mean(name, known)} Its targets: {', '.join(known)}.".lstrip()
            raise ConfigurationError(f"The list {listed.name} has no target {name!r}.", hint)
    return tuple(target for name, target in known.items() if not names or name in names)


def _refuse_unknown(listed: RequirementsList, projects: frozenset[NormalizedName]) -> None:
    known = {pin.name for branch in listed.branches for pin in branch.pins}
    if listed.projects is not None:
        known &= listed.projects
    unknown = sorted(projects - known)
    if unknown:
        verb = "pin" if listed.mode is Mode.PINS else "need"
        hint = did_you_mean(unknown[0], known) or f"`wheelbuilder why LIST {unknown[0]}` says more."
        raise ConfigurationError(f"The list {listed.name} does not {verb} {', '.join(unknown)}.", hint)
