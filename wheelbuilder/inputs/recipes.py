"""Recipes: what one project needs beyond the defaults, as TOML files read into values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from packaging.utils import NormalizedName


class Native(StrEnum):
    """What to think of a pure wheel from an sdist that holds native sources."""

    REQUIRED = "required"  # it is a failure (the default)
    OPTIONAL = "optional"  # it is fine: the project works without its speed-ups


class Graft(StrEnum):
    """What repair does with a library that the policy does not promise."""

    ALLOW = "graft"  # copy it into the wheel (the default)
    REFUSE = "refuse"  # fail: the wheel would carry what must be patched with the system


@dataclass(frozen=True, kw_only=True, slots=True)
class RepairPolicy:
    """How a wheel is repaired. exclude: sonames (fnmatch) that stay outside."""

    graft: Graft = Graft.ALLOW
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """A change to the unpacked sdist (unified diff, -p1). text: the diff itself, so a recipe is self-contained."""

    name: str
    text: str
    status: str  # its fate upstream: a link, or "not submitted: reason"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownFailure:
    """A build that is not attempted until a date, for a stated reason."""

    reason: str
    expires: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one build may use. timeout: seconds for each step; memory: bytes."""

    timeout: float | None = None
    memory: int | None = None
    jobs: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What one project at one version needs beyond the defaults. The empty recipe is the common one."""

    project: NormalizedName
    deb: tuple[str, ...] = ()  # system packages in Debian roots
    rpm: tuple[str, ...] = ()  # system packages in RPM roots
    environment: dict[str, str] = field(default_factory=dict)
    config_settings: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    build_requires: tuple[str, ...] = ()  # beside what the backend asks for
    patches: tuple[Patch, ...] = ()
    repair: RepairPolicy = RepairPolicy()
    imports: tuple[str, ...] | None = None  # None: the wheel's own top-level names
    native: Native = Native.REQUIRED
    allow_network_attempt: bool = False  # the network is off all the same; the attempt is then no failure
    limits: Limits = Limits()
    known_failure: KnownFailure | None = None
