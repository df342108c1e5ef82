"""Lists: TOML files that say which pins are wanted, for which targets, and where they are published."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.http import fetch_text, is_address, shown
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.pins import Constraints, parse_constraints
from wheelbuilder.inputs.recipes import Recipes, limits, requirements
from wheelbuilder.inputs.tables import Table, read_toml
from wheelbuilder.inputs.targets import Target

CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]*")  # it becomes a folder of the store and a part of URLs


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementsList:
    """What a list says, with its branches read.

    only: the projects to which the list restricts its branches; None for all of them.
    build_constraints: requirement strings that bound what builds may use.
    upstream: the root of the index whose wheels need not be built.
    """

    name: str
    channel: str
    targets: tuple[Target, ...]
    branches: tuple[Constraints, ...]
    build_constraints: tuple[str, ...]
    recipes: Recipes
    upstream: str
    only: frozenset[NormalizedName] | None = None


def read_list(
    path: Path, catalogue: Catalogue, *, strict: bool = False, fetch: Callable[[str], str] = fetch_text
) -> RequirementsList:
    """Read a list and its branches; paths in it are relative to its own folder.

    strict: a constraint line that cannot be read is an error. fetch: reads a branch given as a URL.
    Raises ConfigurationError naming file and key, and UnreachableError for a URL.
    """
    table = read_toml(path)
    folder = path.parent
    name = table.get("name", str, path.stem)
    only = table.strings("pins", ())
    read = RequirementsList(
        name=name,
        channel=_channel(table, name),
        targets=_targets(table, catalogue),
        branches=tuple(_branch(*branch, folder, strict, fetch) for branch in _branches(table)),
        build_constraints=_build_constraints(table, folder),
        recipes=_recipes(table, folder),
        upstream=_upstream(table),
        only=frozenset(map(canonicalize_name, only)) or None,
    )
    table.done()
    _refuse_unknown(table, read)
    return read


def default_upstream() -> str:
    """Return the index that a list names if it names none."""
    # Imported where it is needed: pypi_simple brings an HTML parser and a validator, a tenth of a plan.
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _channel(table: Table, name: str) -> str:
    channel = table.get("channel", str, name)
    if not CHANNEL.fullmatch(channel):
        raise table.error("channel", f"= {channel!r} must be lower-case letters, digits, '.', '_' and '-'")
    return channel


def _upstream(table: Table) -> str:
    url = table.optional("upstream", str) or default_upstream()
    if not is_address(url):
        raise table.error(
            "upstream", f"= {url!r} is not an address", "Write https://index.example.org/simple/."
        )
    return url


def _targets(table: Table, catalogue: Catalogue) -> tuple[Target, ...]:
    names = table.strings("targets")
    if not names:
        raise table.error("targets", "names no target", "Write one such as cp311-manylinux_2_28_x86_64.")
    try:
        return tuple(catalogue.target(name) for name in dict.fromkeys(names))
    except ConfigurationError as error:
        raise ConfigurationError(f"{table.where}: 'targets': {error.message}", error.hint) from None


def _branches(table: Table) -> list[tuple[str, Table]]:
    """Return a table of settings for each branch; a plain string is its path or URL."""
    below = table.table("branches")
    if not below.values:
        raise table.error("branches", "names no constraints file", 'Write branches.main = "constraints.txt".')
    return [(name, _branch_settings(below, name, value)) for name, value in below.values.items()]


def _branch_settings(below: Table, name: str, value: object) -> Table:
    where = f"{below.where}.{name}"
    if isinstance(value, str):
        return Table({"url" if is_address(value) else "path": value}, where)
    if not isinstance(value, dict):
        raise below.error(name, f"must be a path, a URL or a table, not {value!r}")
    return Table(value, where)


def _branch(
    name: str, settings: Table, folder: Path, strict: bool, fetch: Callable[[str], str]
) -> Constraints:
    path, url = settings.optional("path", str), settings.optional("url", str)
    allow_empty = settings.get("allow-empty", bool, False)
    settings.done()
    if (path is None) == (url is None):
        raise ConfigurationError(f"{settings.where}: a branch has either a 'path' or a 'url'.")
    if url is not None:
        text, file = fetch(url), shown(url)
    else:
        text, file = _read_text(settings, "path", folder / str(path)), str(folder / str(path))
    return parse_constraints(text, name, file=file, strict=strict, allow_empty=allow_empty)


def _build_constraints(table: Table, folder: Path) -> tuple[str, ...]:
    inline = requirements(table, "build-constraints")
    file = table.optional("build-constraints-file", str)
    if file is None:
        return inline
    text = _read_text(table, "build-constraints-file", folder / file)
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    below = Table({"lines": [line for line in lines if line]}, str(folder / file))
    return (*inline, *requirements(below, "lines"))


def _recipes(table: Table, folder: Path) -> Recipes:
    given = table.optional("recipes", str)
    recipes = folder / (given or "recipes")
    if given is not None and not recipes.is_dir():
        raise table.error("recipes", f"names {recipes}, which is no folder")
    return Recipes.read(recipes, limits(table.table("limits")))


def _refuse_unknown(table: Table, read: RequirementsList) -> None:
    known = {pin.name for branch in read.branches for pin in branch.pins}
    missing = sorted((read.only or frozenset()) - known)
    if missing:
        raise table.error("pins", f"names {', '.join(missing)}, which no branch pins")


def _read_text(table: Table, key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason: Any = getattr(error, "strerror", None) or error
        raise table.error(key, f"= {path} cannot be read: {reason}", "Check the path.") from None
