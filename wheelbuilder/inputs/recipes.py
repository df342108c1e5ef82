"""Recipes: what one project needs beyond the defaults, as TOML files read into values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.quantities import seconds, size
from wheelbuilder.inputs.tables import Table, read_toml

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
LEAST_MEMORY, MOST_MEMORY = 64 << 20, 64 << 40  # bytes; engines start nothing in less
MOST_TIME = 720 * 3600.0  # seconds
MOST_JOBS = 1024
T = TypeVar("T")

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
    known_failure: KnownFailure | None = None


class Recipes:
    """The recipes of a list: a folder with one TOML file per project, named after it."""

    def __init__(self, files: Mapping[NormalizedName, _File], defaults: Limits = Limits()) -> None:
        self._files = dict(files)
        self._defaults = defaults

    @classmethod
    def read(cls, folder: Path, defaults: Limits = Limits()) -> Recipes:
        """Read a folder; one that does not exist holds no recipes.

        Raises ConfigurationError naming file and key.
        """
        files = (_read_file(path) for path in sorted(folder.glob("*.toml")))
        return cls({file.project: file for file in files}, defaults)

    def for_pin(self, pin: Pin) -> Recipe:
        """Return what holds for a pin: the file's keys, then each matching version range's on top."""
        recipe = Recipe(project=pin.name, limits=self._defaults)
        file = self._files.get(pin.name)
        if file is None:
            return recipe
        for versions, settings in file.layers:
            if versions.contains(pin.version, prereleases=True):
                recipe = _overlaid(recipe, settings)
        return recipe

    def unused(self, pins: Iterable[Pin]) -> list[tuple[NormalizedName, SpecifierSet | None]]:
        """Return what holds for none of the pins: recipes (None), and version ranges of the others."""
        versions: dict[NormalizedName, list[Version]] = {}
        for pin in pins:
            versions.setdefault(pin.name, []).append(pin.version)
        ranges = [
            (name, range_)
            for name, file in self._files.items()
            for range_, _ in file.layers
            if name in versions
            and not any(range_.contains(version, prereleases=True) for version in versions[name])
        ]
        return [*((name, None) for name in self._files if name not in versions), *ranges]


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """One file: settings by version range in file order; the range of the first holds everything."""

    project: NormalizedName
    layers: tuple[tuple[SpecifierSet, dict[str, Any]], ...]


def _read_file(path: Path) -> _File:
    project = canonicalize_name(path.stem)
    if path.stem != project:
        raise ConfigurationError(
            f"{path}: a recipe is named after the project.", f"Rename it to {project}.toml."
        )
    table = read_toml(path)
    layers = [(SpecifierSet(), _settings(table, path.parent))]
    for row in table.array("versions"):
        versions = row.parsed("range", _specifiers)
        layers.append((versions, _settings(row, path.parent)))
        row.done()
    table.done()
    return _File(project=project, layers=tuple(layers))


def _settings(table: Table, folder: Path) -> dict[str, Any]:
    """Return the fields of `Recipe` that a table sets, the fields of nested values as dictionaries."""
    packages, runtime = _packages(table.table("system-packages")), _packages(table.table("runtime-packages"))
    settings: dict[str, Any] = {
        "deb": packages["deb"],
        "rpm": packages["rpm"],
        "runtime_deb": runtime["deb"],
        "runtime_rpm": runtime["rpm"],
        "environment": _environment(table),
        "config_settings": _config_settings(table),
        "build_requires": requirements(table, "build-requires"),
        "build_constraints": requirements(table, "build-constraints"),
        "remove": _inside(table, "remove"),
        "patches": tuple(_patch(row, folder) for row in table.array("patches")),
        "repair": _repair(table.table("repair")),
        "limits": _given(limits(table.table("limits"))),
    }
    scalars = {
        "imports": None if table.optional("imports", list) is None else table.strings("imports"),
        "native": _optional(table, "native", Native),
        "allow_network_attempt": table.optional("allow-network-attempt", bool),
        "known_failure": _known_failure(table.table("known-failure")),
    }
    return settings | {name: value for name, value in scalars.items() if value is not None}


def _packages(table: Table) -> dict[str, tuple[str, ...]]:
    read = {kind: table.strings(kind, ()) for kind in ("deb", "rpm")}
    table.done()
    return read


def _inside(table: Table, key: str) -> tuple[str, ...]:
    """Read an array of paths below the sdist's folder."""
    paths = table.strings(key, ())
    for index, path in enumerate(paths):
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise table.error(f"{key}[{index}]", f"= {path!r} is not a path inside the sdist")
    return paths


def _environment(table: Table) -> dict[str, str]:
    values = table.mapping("environment")
    for name, value in values.items():
        if not VARIABLE.fullmatch(name) or "\0" in value:
            raise table.error(
                f"environment.{name}", "is not a variable's name", "Use letters, digits and '_'."
            )
    return values


def limits(table: Table) -> Limits:
    """Read a table of limits."""
    read = Limits(
        timeout=_optional(table, "timeout", seconds),
        memory=_optional(table, "memory", size),
        jobs=table.optional("jobs", int),
    )
    table.done()
    if read.memory is not None and not LEAST_MEMORY <= read.memory <= MOST_MEMORY:
        raise table.error("memory", "must be between 64M and 65536G")
    if read.timeout is not None and read.timeout > MOST_TIME:
        raise table.error("timeout", "must be at most 720h")
    if read.jobs is not None and not 1 <= read.jobs <= MOST_JOBS:
        raise table.error("jobs", f"must be between 1 and {MOST_JOBS}")
    return read


def requirements(table: Table, key: str) -> tuple[str, ...]:
    """Read an array of requirement strings (PEP 508)."""
    texts = table.strings(key, ())
    for index, text in enumerate(texts):
        try:
            Requirement(text)
        except InvalidRequirement as error:
            complaint = str(error).splitlines()[0]
            raise table.error(f"{key}[{index}]", f"= {text!r} is not a requirement: {complaint}") from None
    return texts


def _optional(table: Table, key: str, parse: Callable[[str], T]) -> T | None:
    return None if table.optional(key, str) is None else table.parsed(key, parse)


def _config_settings(table: Table) -> dict[str, str | tuple[str, ...]]:
    below = table.table("config-settings")
    return {
        key: below.strings(key) if isinstance(value, list) else below.get(key, str)
        for key, value in below.values.items()
    }


def _patch(row: Table, folder: Path) -> Patch:
    path = folder / row.get("file", str)
    status = row.get("status", str)
    row.done()
    try:
        return Patch(name=path.name, text=path.read_text(encoding="utf-8"), status=status)
    except (OSError, UnicodeDecodeError) as error:
        raise row.error("file", f"cannot be read: {error}") from None


def _repair(table: Table) -> dict[str, Any]:
    graft = _optional(table, "graft", Graft)
    settings: dict[str, Any] = {"exclude": table.strings("exclude", ())}
    table.done()
    return settings if graft is None else settings | {"graft": graft}


def _known_failure(table: Table) -> KnownFailure | None:
    if not table.values:
        return None
    expires = table.get("expires", date)
    failure = KnownFailure(
        reason=table.get("reason", str),
        expires=expires.date() if isinstance(expires, datetime) else expires,
    )
    table.done()
    return failure


def _specifiers(text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError("write a version range such as >=3,<4") from None


def _given(limits: Limits) -> dict[str, Any]:
    return {name: value for name in limits.__slots__ if (value := getattr(limits, name)) is not None}


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
