"""A plan in the light of earlier failures: what cannot have changed is not tried again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build, Decision, InMirror, Postponed, Upstream
from wheelbuilder.plan.experience import Experience
from wheelbuilder.plan.keys import BuildInputs, differences
from wheelbuilder.plan.past import Attempt, PastFailure
from wheelbuilder.plan.plans import Plan

RecipeFor = Callable[[Pin, Target], Recipe]


@dataclass(frozen=True, kw_only=True, slots=True)
class Present:
    """How things are now. describe: what a build is made from. recipe_for: the recipe of a pin."""

    describe: Callable[[Build], BuildInputs]
    recipe_for: RecipeFor
    today: date


def recalled(plan: Plan, experience: Experience, present: Present) -> Plan:
    """Return the plan with builds postponed that failed with the same inputs, until the record expires.

    Builds that failed with other inputs, or long enough ago, say why they are tried again.
    """
    memory = _Memory(present=present, earlier=experience.earlier(), had=frozenset(_had(plan)))
    return replace(plan, decisions=tuple(map(memory.decided, plan.decisions)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Memory:
    """earlier: the failures. had: what the plan finds a wheel for."""

    present: Present
    earlier: Mapping[Attempt, PastFailure]
    had: frozenset[Attempt]

    def decided(self, decision: Decision) -> Decision:
        failure = self.earlier.get(decision.attempt) if isinstance(decision, Build) else None
        if not isinstance(decision, Build) or failure is None:
            return decision
        if reason := self._again(decision, failure):
            return replace(decision, again=f"{failure}; {reason}")
        return Postponed(pin=decision.pin, target=decision.target, failure=failure)

    def _again(self, build: Build, failure: PastFailure) -> str:
        """Say why a build is tried again; "" if nothing speaks for it."""
        if failure.key != build.key:
            return f"changed since: {self._changes(build, failure)}"
        if self.present.today >= failure.expires:
            return f"tried again since {failure.expires}"
        return self._freed(build, failure.blocked_by[-1]) if failure.blocked_by else ""

    def _freed(self, build: Build, name: str) -> str:
        """Say why what was in a build's way may be out of it; "" if it fails still, as far as is known."""
        project, _, version = name.partition("==")
        attempt = project, version, str(build.target), None
        failure = self.earlier.get(attempt)
        if failure is None or attempt in self.had:
            return f"{name} does not fail any more"
        again = _as_build(failure, build, self.present.recipe_for)
        if self.present.describe(again).key == failure.key:
            return ""
        return f"changed since for {name}: {self._changes(again, failure)}"

    def _changes(self, build: Build, failure: PastFailure) -> str:
        return "; ".join(differences(failure.inputs, self.present.describe(build).described))


def _had(plan: Plan) -> list[Attempt]:
    return [
        (it.pin.name, str(it.pin.version), str(it.target), None)
        for it in plan.decisions
        if isinstance(it, InMirror | Upstream)
    ]


def _as_build(failure: PastFailure, waiting: Build, recipe_for: RecipeFor) -> Build:
    """Return what failed as a build of today, on the target of the one that waits for it."""
    pin = replace(
        waiting.pin,
        name=NormalizedName(failure.project),
        raw_name=failure.project,
        version=Version(failure.version),
        version_text=failure.version,
        marker=None,
    )
    sdist = replace(waiting.sdist, sha256=json.loads(failure.inputs["sdist"]))
    return replace(waiting, pin=pin, sdist=sdist, recipe=recipe_for(pin, waiting.target), build_tag=None)
