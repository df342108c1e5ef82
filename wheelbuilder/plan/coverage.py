"""The coverage proof: for each pin and target, would a consumer still compile, and if so, why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelbuilder.inputs.pins import Constraints, Pin, Quarantined
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decide import Offer, best_wheel, files_of
from wheelbuilder.plan.decisions import Build, Decision, Postponed, Unavailable
from wheelbuilder.plan.experience import Unfit
from wheelbuilder.plan.files import accepts
from wheelbuilder.plan.plans import MirrorFiles, Plan

LEADING_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
Reasons = Mapping[tuple[NormalizedName, Version, Target], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A pin for which a consumer takes no wheel, with the reason.

    passed_over: whether there is a wheel for the target, which installers pass over for something else.
    """

    pin: Pin
    reason: str
    passed_over: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """A branch on a target. pins: how many apply; compiled: with an sdist only; missing: with nothing.

    served: the pins for which a consumer takes a wheel.
    """

    branch: str
    target: Target
    pins: int
    compiled: tuple[Gap, ...]
    missing: tuple[Gap, ...]
    served: tuple[Pin, ...] = ()

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """All pins for which a consumer takes no wheel."""
        return (*self.compiled, *self.missing)

    @property
    def complete(self) -> bool:
        """Whether a consumer finds a wheel for every pin."""
        return not self.compiled and not self.missing

    @property
    def line(self) -> str:
        """What the proof says of the target."""
        parts = [f"{self.pins} pins, nothing would be compiled"]
        if self.compiled:
            parts = [f"{len(self.compiled)} of {self.pins} would be compiled: {_listed(self.compiled)}"]
        if self.missing:
            parts.append(f"{len(self.missing)} cannot be had: {_listed(self.missing)}")
        return f"{self.target}: {'; '.join(parts)}"


def coverage(
    plan: Plan,
    published: MirrorFiles,
    branches: Sequence[str],
    failures: Reasons | None = None,
    unfit: Unfit | None = None,
) -> tuple[Coverage, ...]:
    """Return the coverage of each branch on each target, with what is published now beside what upstream has.

    failures: why builds failed, by project, version and target; else the decision says it.
    unfit: published wheels that builds have found not to serve a target, beside those that the plan knows.
    """
    judged: dict[Target, list[tuple[Decision, Gap | None]]] = {target: [] for target in plan.targets}
    for decision in plan.decisions:
        gap = _gap(decision, published, plan, failures or {}, unfit or {})
        judged[decision.target].append((decision, gap))
    return tuple(_of(branch, target, judged[target]) for branch in branches for target in plan.targets)


def lines(covered: Sequence[Coverage]) -> tuple[str, ...]:
    """Return the proof in a line for each target, with the branch before it where there are several."""
    several = len({it.branch for it in covered}) > 1
    return tuple(f"{it.branch} {it.line}" if several else it.line for it in covered)


def quarantined(
    branches: Iterable[Constraints], only: Collection[NormalizedName] | None = None
) -> tuple[Quarantined, ...]:
    """Return the lines that nobody can read: while there are any, no coverage is complete.

    only: the projects in question; lines that begin with another project's name are left out.
    """
    unread = (line for branch in branches for line in branch.quarantined)
    return tuple(line for line in unread if only is None or _concerns(line, only))


def _concerns(line: Quarantined, only: Collection[NormalizedName]) -> bool:
    name = LEADING_NAME.match(line.words)
    return name is None or canonicalize_name(name[0]) in only


def _of(branch: str, target: Target, judged: Iterable[tuple[Decision, Gap | None]]) -> Coverage:
    own = [(decision, gap) for decision, gap in judged if branch in decision.pin.branches]
    return Coverage(
        branch=branch,
        target=target,
        pins=len(own),
        compiled=tuple(gap for decision, gap in own if gap and _would_compile(decision)),
        missing=tuple(gap for decision, gap in own if gap and not _would_compile(decision)),
        served=tuple(decision.pin for decision, gap in own if gap is None),
    )


def _would_compile(decision: Decision) -> bool:
    return not isinstance(decision, Unavailable) or decision.would_compile


def _gap(
    decision: Decision, published: MirrorFiles, plan: Plan, failures: Reasons, unfit: Unfit
) -> Gap | None:
    if not isinstance(decision, Build | Postponed | Unavailable):
        return None
    pin, target = decision.pin, decision.target
    offer = Offer.of(pin, published.get(pin.name, ()), plan.upstream.get(pin.name) or ())
    # contradicting pins stay unavailable, whatever wheels there are
    refused = unfit.get((pin.name, str(pin.version), str(target))) or _unfit(decision)
    if not isinstance(decision, Unavailable) and best_wheel(pin, target, offer.without(refused)):
        return None
    known = failures.get((pin.name, pin.version, target))
    passed_over = any(accepts(target, file) for file in files_of(pin, offer.files))
    return Gap(pin=pin, reason=known or _reason(decision), passed_over=passed_over)


def _unfit(decision: Build | Postponed | Unavailable) -> str:
    match decision:
        case Build():
            return decision.unfit
        case Postponed():
            return decision.failure.unfit
    return ""


def _reason(decision: Build | Postponed | Unavailable) -> str:
    """Say why there is no wheel: for a build that failed before, also how, and why it is tried again."""
    again = decision.again if isinstance(decision, Build) else ""
    return f"{decision.reason}; {again}" if again else decision.reason


def _listed(gaps: tuple[Gap, ...]) -> str:
    return ", ".join(f"{gap.pin.name} ({gap.reason})" for gap in gaps)
