"""The answer for one pin and one target, as a value: exactly one of five kinds."""

from __future__ import annotations

from dataclasses import dataclass

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile
from wheelbuilder.plan.past import Attempt, PastFailure


@dataclass(frozen=True, kw_only=True, slots=True)
class InMirror:
    """Our own channel serves a wheel that the target accepts."""

    pin: Pin
    target: Target
    wheel: IndexFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Upstream:
    """Upstream serves a wheel that the target accepts."""

    pin: Pin
    target: Target
    wheel: IndexFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """No wheel exists that the target accepts, but an sdist does.

    build_tag: None, or the number under which a rebuild is published. key: the build key. again: why it
    is tried although it failed before, "" where that is not known to have happened. unfit: the file name of
    a wheel of ours that serves the target by its tags only.
    """

    pin: Pin
    target: Target
    sdist: IndexFile
    recipe: Recipe
    reason: str  # why a build is needed, in words: "upstream has wheels for cp312, none for cp311"
    key: str
    build_tag: int | None = None
    again: str = ""
    unfit: str = ""

    @property
    def attempt(self) -> Attempt:
        """What is tried, whatever its inputs are."""
        return self.pin.name, str(self.pin.version), str(self.target), self.build_tag


@dataclass(frozen=True, kw_only=True, slots=True)
class Postponed:
    """A build that would be needed, but failed lately, and nothing it depends on has changed since."""

    pin: Pin
    target: Target
    failure: PastFailure

    @property
    def reason(self) -> str:
        """Why it is not built, and when it will be."""
        return f"{self.failure}; tried again from {self.failure.expires} on, or when an input changes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unavailable:
    """Nothing can be done for this pin on this target, for a stated reason.

    known: it is a failure that a recipe states, until a day.
    """

    pin: Pin
    target: Target
    reason: str
    would_compile: bool = False  # whether a consumer could still compile it: there is an sdist
    known: bool = False


Decision = InMirror | Upstream | Build | Postponed | Unavailable
