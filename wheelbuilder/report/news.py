"""What is new about the failures of a list: new ones, old ones, mended ones, and what they block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from wheelbuilder.build.outcomes import Built, Covered, Failed, FailureClass, Outcome
from wheelbuilder.plan.decisions import Decision, InMirror, Postponed, Unavailable, Upstream
from wheelbuilder.plan.experience import Experience
from wheelbuilder.plan.past import Attempt, PastFailure
from wheelbuilder.plan.plans import Plan


class FailOn(StrEnum):
    """Which failures a run ends with exit code 1 for."""

    NEW = "new"  # what did not fail before: what somebody has to look at
    ANY = "any"  # also what failed before and was mended by nobody, tried or not, and what recipes state
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A pin on a target that fails, or no longer does. words: how it stands, for people.

    failure: its class, or known-failure. since: the day of its first failure, "" for one that nobody was
    told of before. tried: whether this run has tried it.
    """

    project: str
    version: str
    target: str
    failure: str
    words: str
    since: str = ""
    tried: bool = True

    def __str__(self) -> str:
        return f"{self.project} {self.version} {self.target}: {self.words}"


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """The failures of a list as a run leaves them.

    blocked: what failed only because something else did. known: what recipes state, so that it is not tried.
    """

    new: tuple[Item, ...] = ()
    still_failing: tuple[Item, ...] = ()
    fixed: tuple[Item, ...] = ()
    blocked: tuple[Item, ...] = ()
    known: tuple[Item, ...] = ()

    def fails(self, on: FailOn) -> bool:
        """Say whether the run is to end as a failure."""
        match on:
            case FailOn.NEW:
                return bool(self.new) or any(not item.since for item in self.blocked)
            case FailOn.ANY:
                return bool(self.new or self.still_failing or self.blocked or self.known)
            case FailOn.NONE:
                return False

    def groups(self) -> tuple[tuple[str, tuple[Item, ...]], ...]:
        """Return the groups with their titles."""
        return (
            ("new failures", self.new),
            ("still failing", self.still_failing),
            ("fixed", self.fixed),
            ("blocked", self.blocked),
            ("known failures", self.known),
        )

    def document(self) -> dict[str, Any]:
        """Return the news as JSON values."""
        return {title.replace(" ", "_"): [asdict(item) for item in items] for title, items in self.groups()}


def news(plan: Plan, outcomes: Sequence[Outcome], known: Experience) -> News:
    """Compare what came of a plan with what people were told before it."""
    earlier = {attempt: it for attempt, it in known.earlier().items() if it.told}
    failed = [(it, earlier.get(it.build.attempt)) for it in outcomes if isinstance(it, Failed)]
    own = [pair for pair in failed if pair[0].failure is not FailureClass.BLOCKED]
    waiting = [decision for decision in plan.decisions if isinstance(decision, Postponed)]
    return News(
        new=(
            *(_failed(it, None) for it, before in own if before is None),
            *(_postponed(it) for it in waiting if _is_own(it) and not it.failure.told),
        ),
        still_failing=(
            *(_failed(it, before) for it, before in own if before),
            *(_postponed(it) for it in waiting if _is_own(it) and it.failure.told),
        ),
        fixed=tuple(_fixed(plan.decisions, outcomes, earlier)),
        blocked=(
            *(_failed(it, before) for it, before in failed if it.failure is FailureClass.BLOCKED),
            *(_postponed(it) for it in waiting if not _is_own(it)),
        ),
        known=tuple(_known(it) for it in plan.unavailable if it.known),
    )


def untold(plan: Plan, outcomes: Sequence[Outcome], known: Experience) -> frozenset[Attempt]:
    """Return the failures of a plan of which nobody has been told yet. known: what is by now."""
    met = {it.build.attempt for it in outcomes if isinstance(it, Failed)}
    met |= {it.failure.attempt for it in plan.postponed}
    return frozenset(at for at, it in known.earlier().items() if at in met and not it.told)


def _is_own(decision: Postponed) -> bool:
    return decision.failure.failure != FailureClass.BLOCKED


def _failed(outcome: Failed, before: PastFailure | None) -> Item:
    build = outcome.build
    return Item(
        project=build.pin.name,
        version=str(build.pin.version),
        target=str(build.target),
        failure=outcome.failure.value,
        words=f"{outcome.failure}: {outcome.summary}{_since(before)}",
        since=before.first.isoformat() if before else "",
        tried=not outcome.remembered,
    )


def _postponed(decision: Postponed) -> Item:
    failure = decision.failure
    return Item(
        project=failure.project,
        version=failure.version,
        target=failure.target,
        failure=failure.failure,
        words=f"{failure.failure}: {failure.summary}{_since(failure)}; not tried before {failure.expires}",
        since=failure.first.isoformat() if failure.told else "",
        tried=False,
    )


def _known(decision: Unavailable) -> Item:
    return Item(
        project=decision.pin.name,
        version=str(decision.pin.version),
        target=str(decision.target),
        failure="known-failure",
        words=decision.reason,
        tried=False,
    )


def _fixed(
    decisions: Iterable[Decision], outcomes: Iterable[Outcome], earlier: dict[Attempt, PastFailure]
) -> Iterable[Item]:
    """Yield what failed before and is had now: because of this run, or because others made a wheel."""
    words = {it.build.attempt[:3]: "built" for it in outcomes if isinstance(it, Built)}
    words |= {it.build.attempt[:3]: f"covered by {it.filename}" for it in outcomes if isinstance(it, Covered)}
    for it in decisions:
        if isinstance(it, InMirror | Upstream):
            where = "upstream" if isinstance(it, Upstream) else "the mirror"
            words[it.pin.name, str(it.pin.version), str(it.target)] = f"{where} has {it.wheel.filename}"
    for attempt, failure in earlier.items():
        if attempt[:3] in words:
            yield Item(
                project=failure.project,
                version=failure.version,
                target=failure.target,
                failure=failure.failure,
                words=f"{words[attempt[:3]]}; it failed with {failure.failure}{_since(failure)}",
                since=failure.first.isoformat(),
            )


def _since(before: PastFailure | None) -> str:
    return f", since {before.first}" if before else ""
