"""The answer for one pin and one target, as a value: exactly one of four kinds."""

from __future__ import annotations

from dataclasses import dataclass

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile


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

    build_tag: None, or the number under which a rebuild is published. key: the build key.
    """

    pin: Pin
    target: Target
    sdist: IndexFile
    recipe: Recipe
    reason: str  # why a build is needed, in words: "upstream has wheels for cp312, none for cp311"
    key: str
    build_tag: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unavailable:
    """Nothing can be done for this pin on this target, for a stated reason."""

    pin: Pin
    target: Target
    reason: str
    would_compile: bool = False  # whether a consumer could still compile it: there is an sdist


Decision = InMirror | Upstream | Build | Unavailable
