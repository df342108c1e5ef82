"""Reads recipes: a folder with one TOML file per project, named after it, and the files that they name."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.asked import constraints, requirements
from wheelbuilder.inputs.bindep import parse_bindep
from wheelbuilder.inputs.quantities import seconds, size
from wheelbuilder.inputs.recipes import (
    PACKAGE_NAME,
    Bindep,
    Graft,
    KnownFailure,
    Layer,
    Limits,
    Native,
    Patch,
    RecipeFile,
    Recipes,
)
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.tables import E, Table, read_toml
from wheelbuilder.inputs.texts import read_text

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
LEAST_MEMORY, MOST_MEMORY = 64 << 20, 64 << 40  # bytes; engines start nothing in less
MOST_TIME = 720 * 3600.0  # seconds
MOST_JOBS = 1024
T = TypeVar("T")

NO_LIMITS = Limits()


def read_recipes(folder: Path, defaults: Limits = NO_LIMITS) -> Recipes:
    """Read the recipes of a folder; one that does not exist holds none.

    Raises ConfigurationError naming file and key.
    """
    files = (read_recipe(path) for path in sorted(folder.glob("*.toml")))
    return Recipes({file.project: file for file in files}, defaults)


def read_recipe(path: Path) -> RecipeFile:
    """Read one recipe with the files that it names. Raises ConfigurationError naming file and key."""
    project = canonicalize_name(path.stem)
    if path.stem != project:
        raise ConfigurationError(
            f"{path}: a recipe is named after the project.", f"Rename it to {project}.toml."
        )
    table = read_toml(path)
    layers = [_layer(table, SpecifierSet(), path.parent)]
    for row in table.array("versions"):
        layers.append(_layer(row, row.parsed("range", _specifiers), path.parent))
        row.done()
    table.done()
    return RecipeFile(path=path, project=project, layers=tuple(layers))


def _layer(table: Table, versions: SpecifierSet, folder: Path) -> Layer:
    return Layer(
        versions=versions,
        settings=_settings(table, folder),
        bindep=_bindep(table.table("bindep"), folder) if "bindep" in table else None,
    )


def _bindep(table: Table, folder: Path) -> Bindep:
    path = folder / table.get("file", str)
    profiles = table.strings("profiles", ())
    table.done()
    lines = parse_bindep(_read(table, "file", path), str(path))
    for line in lines:
        if "/" in line.name:
            raise ConfigurationError(
                f"{path}:{line.number}: {line.name!r} is a path.", "Name the package that has it."
            )
    return Bindep(name=path.name, lines=lines, profiles=profiles)


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
        "build_constraints": constraints(table, "build-constraints"),
        "remove": _inside(table, "remove"),
        "patches": tuple(_patch(row, folder) for row in table.array("patches")),
        "repair": _repair(table.table("repair")),
        "limits": _given(limits(table.table("limits"))),
    }
    scalars = {
        "imports": None if table.optional("imports", list) is None else _modules(table, "imports"),
        "native": _chosen(table, "native", Native),
        "rung": _chosen(table, "rung", Rung),
        "allow_network_attempt": table.optional("allow-network-attempt", bool),
        "known_failure": _known_failure(table.table("known-failure")) if "known-failure" in table else None,
    }
    return settings | {name: value for name, value in scalars.items() if value is not None}


def _packages(table: Table) -> dict[str, tuple[str, ...]]:
    read = {kind: table.strings(kind, ()) for kind in ("deb", "rpm")}
    table.done()
    for kind, names in read.items():
        for index, name in enumerate(names):
            if not PACKAGE_NAME.fullmatch(name):
                raise table.error(f"{kind}[{index}]", f"= {name!r} is not the name of a system package")
    return read


def _inside(table: Table, key: str) -> tuple[str, ...]:
    """Read an array of paths below the sdist's folder."""
    paths = table.strings(key, ())
    for index, path in enumerate(paths):
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise table.error(f"{key}[{index}]", f"= {path!r} is not a path inside the sdist")
    return paths


def _modules(table: Table, key: str) -> tuple[str, ...]:
    """Read an array of what an import statement may name."""
    names = table.strings(key)
    for index, name in enumerate(names):
        if not all(part.isidentifier() for part in name.split(".")):
            raise table.error(f"{key}[{index}]", f"= {name!r} is not the name of a module")
    return names


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
        silence=_optional(table, "silence", seconds),
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


def _chosen(table: Table, key: str, kind: type[E]) -> E | None:
    return None if table.optional(key, str) is None else table.choice(key, kind)


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
    return Patch(name=path.name, text=_read(row, "file", path), status=status)


def _read(table: Table, key: str, path: Path) -> str:
    try:
        return read_text(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"{table.where}: '{key}' = {error.message}", error.hint) from None


def _repair(table: Table) -> dict[str, Any]:
    graft = _chosen(table, "graft", Graft)
    settings: dict[str, Any] = {"exclude": table.strings("exclude", ())}
    table.done()
    if "" in settings["exclude"]:
        raise table.error("exclude", "has an empty name")
    return settings if graft is None else settings | {"graft": graft}


def _known_failure(table: Table) -> KnownFailure:
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
