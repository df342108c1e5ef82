"""Recipes: what one project needs beyond the defaults, as values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.inputs.bindep import Line, active, wanted
from wheelbuilder.inputs.images import Root, Source
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.rungs import Rung

# Of Debian (policy 5.6.1), and what RPM names add to it: capitals, underscores.
PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
REPLACED = ("imports",)  # an array that a version range replaces; it extends every other one


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
    """A change to the unpacked sdist (unified diff, -p1). text: the diff itself, so a recipe stands alone."""

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
    """What one build may use. timeout: seconds for each step; memory: bytes.

    silence: seconds without a word and without computing, after which a step hangs.
    """

    timeout: float | None = None
    silence: float | None = None
    memory: int | None = None
    jobs: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What one project at one version needs beyond the defaults. The empty recipe is the common one."""

    project: NormalizedName
    deb: tuple[str, ...] = ()  # system packages in Debian roots
    rpm: tuple[str, ...] = ()  # system packages in RPM roots
    runtime_deb: tuple[str, ...] = ()  # what a consumer must have installed, on Debian
    runtime_rpm: tuple[str, ...] = ()  # and on RPM distributions
    environment: dict[str, str] = field(default_factory=dict)
    config_settings: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    build_requires: tuple[str, ...] = ()  # beside what the backend asks for
    build_constraints: tuple[str, ...] = ()  # beside the list's, for this project's build environment
    remove: tuple[str, ...] = ()  # globs: files of the sdist that the build shall make anew
    patches: tuple[Patch, ...] = ()
    repair: RepairPolicy = RepairPolicy()
    imports: tuple[str, ...] | None = None  # None: the wheel's own top-level names
    native: Native = Native.REQUIRED
    allow_network_attempt: bool = False  # the network is off all the same; the attempt is then no failure
    limits: Limits = Limits()
    rung: Rung | None = None  # the only one on machines of another architecture
    known_failure: KnownFailure | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bindep:
    """A bindep file beside a recipe, and the profiles under which it is read."""

    name: str
    lines: tuple[Line, ...]
    profiles: tuple[str, ...]

    def settings(self, root: Root) -> dict[str, tuple[str, ...]]:
        """Return the field of `Recipe` that it sets for a root."""
        names = wanted(self.lines, active(root.distribution, root.suite, self.profiles))
        return {"deb" if root.source is Source.ARCHIVE else "rpm": tuple(line.name for line in names)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What a file says for a range of versions, as fields of `Recipe`; nested values are dictionaries."""

    versions: SpecifierSet
    settings: dict[str, Any]
    bindep: Bindep | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeFile:
    """One file: settings by version range in file order; the range of the first holds everything."""

    path: Path
    project: NormalizedName
    layers: tuple[Layer, ...]


class Recipes:
    """The recipes of a list: a folder with one TOML file per project, named after it."""

    def __init__(self, files: Mapping[NormalizedName, RecipeFile], defaults: Limits = Limits()) -> None:
        self._files = dict(files)
        self._defaults = defaults

    def for_pin(self, pin: Pin, root: Root | None = None) -> Recipe:
        """Return what holds for a pin: the file's keys, then each matching version range's on top.

        root: the build root, for which bindep files are read; without one they say nothing.
        """
        recipe = Recipe(project=pin.name, limits=self._defaults)
        file = self._files.get(pin.name)
        if file is None:
            return recipe
        for layer in file.layers:
            if layer.versions.contains(pin.version, prereleases=True):
                recipe = _overlaid(recipe, layer.settings)
                if layer.bindep and root:
                    recipe = _overlaid(recipe, layer.bindep.settings(root))
        return recipe

    def unused(self, pins: Iterable[Pin]) -> list[tuple[NormalizedName, SpecifierSet | None]]:
        """Return what holds for none of the pins: recipes (None), and version ranges of the others."""
        versions: dict[NormalizedName, list[Version]] = {}
        for pin in pins:
            versions.setdefault(pin.name, []).append(pin.version)
        ranges = [
            (name, layer.versions)
            for name, file in self._files.items()
            for layer in file.layers
            if name in versions
            and not any(layer.versions.contains(version, prereleases=True) for version in versions[name])
        ]
        return [*((name, None) for name in self._files if name not in versions), *ranges]


def _overlaid(value: Any, settings: Mapping[str, Any]) -> Any:
    """Return a value with settings on top: arrays extend, tables merge, the rest replaces."""
    return replace(
        value,
        **{name: _combined(name, getattr(value, name), setting) for name, setting in settings.items()},
    )


def _combined(name: str, old: Any, new: Any) -> Any:
    if is_dataclass(old) and isinstance(new, dict):
        return _overlaid(old, new)
    if isinstance(new, dict):
        return {**old, **new}
    if isinstance(new, tuple) and name not in REPLACED:
        return (*old, *new)
    return new
