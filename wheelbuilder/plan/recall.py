"""A plan in the light of earlier failures: what cannot have changed is not tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from wheelbuilder.plan.decisions import Build, Decision, Postponed
from wheelbuilder.plan.experience import Experience
from wheelbuilder.plan.keys import BuildInputs, differences
from wheelbuilder.plan.plans import Plan

Describe = Callable[[Build], BuildInputs]


def recalled(plan: Plan, experience: Experience, describe: Describe, today: date) -> Plan:
    """Return the plan with builds postponed that failed with the same inputs, until the record expires.

    Builds that failed with other inputs, or long enough ago, say why they are tried again.
    """
    before = experience.earlier()

    def decided(decision: Decision) -> Decision:
        failure = before.get(decision.attempt) if isinstance(decision, Build) else None
        if not isinstance(decision, Build) or failure is None:
            return decision
        if failure.key != decision.key:
            changes = differences(failure.inputs, describe(decision).described)
            return replace(decision, again=f"{failure}; changed since: {'; '.join(changes)}")
        if today < failure.expires:
            return Postponed(pin=decision.pin, target=decision.target, failure=failure)
        return replace(decision, again=f"{failure}; tried again since {failure.expires}")

    return replace(plan, decisions=tuple(map(decided, plan.decisions)))
