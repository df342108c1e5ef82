"""Branches as a list names them: where their constraints and requirement files are, and their copies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.http import is_address
from wheelbuilder.inputs.sources import Source
from wheelbuilder.inputs.tables import Table, read_toml

NOT_IN_FILENAMES = re.compile(r"[^A-Za-z0-9._-]+")
NAME = re.compile(r"\w[\w.+-]*(?:/\w[\w.+-]*)*", re.ASCII)  # git's slashes; `@` parts a list from its branch


class Mode(StrEnum):
    """Which pins of a branch are wanted."""

    PINS = "pins"  # all of them
    CLOSURE = "closure"  # those that requirement files need, directly or not


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """Where a branch's files are. requirements: of a closure; empty where every pin is wanted."""

    name: str
    constraints: Source
    requirements: tuple[Source, ...] = ()
    allow_empty: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """All its files."""
        return self.constraints, *self.requirements


def read_branches(path: Path) -> tuple[Branch, ...]:
    """Read from a list where its branches are, and nothing that they hold."""
    return branches(read_toml(path), path)


def branches(table: Table, path: Path) -> tuple[Branch, ...]:
    """Read the branches of a list's table; paths are relative to the folder of `path`, the list."""
    below = table.table("branches")
    if not below.values:
        raise table.error("branches", "names no constraints file", 'Write branches.main = "constraints.txt".')
    found = tuple(_branch(below, name, path) for name in below.values)
    _refuse_one_copy_of_two(found)
    return found


def _branch(below: Table, name: str, path: Path) -> Branch:
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"{below.where}: {name!r} is no name for a branch.", "Name it like 2025.2, main or stable/2025.2."
        )
    row = _row(below, name)
    constraints = _source(row, path, name)
    requirements = tuple(_requirement_files(row, path, name))
    allow_empty = row.get("allow-empty", bool, False)
    row.done()
    _refuse_nowhere(row)
    return Branch(name=name, constraints=constraints, requirements=requirements, allow_empty=allow_empty)


def _row(below: Table, name: str) -> Table:
    """Return the settings of a file; a plain string is its path or URL."""
    value = below.values[name]
    where = f"{below.where}.{name}"
    if isinstance(value, str) and is_address(value):
        return Table({"url": value}, where)
    if isinstance(value, str):
        hint = "Write a path, or http:// or https:// and a host."
        return Table({"path": local_path(below, name, value, hint)}, where)
    if not isinstance(value, dict):
        raise below.error(name, f"must be a path, a URL or a table, not {value!r}")
    return Table(value, where)


def _requirement_files(row: Table, path: Path, name: str) -> Iterator[Source]:
    values = row.get("requirements", list, [])
    below = Table({str(index): value for index, value in enumerate(values)}, f"{row.where}.requirements")
    for index in below.values:
        file = _row(below, index)
        yield _source(file, path, f"{name}-requirements-{index}")
        file.done()
        _refuse_nowhere(file)


def _source(row: Table, path: Path, name: str) -> Source:
    """Read where a file is. path: of the list. name: of the copy of a URL that names none itself."""
    given, url = row.optional("path", str), row.optional("url", str)
    if given is not None:
        local_path(row, "path", given, "An address is given as `url`.")
    if url is not None and not is_address(url):
        raise row.error("url", f"= {url!r} is not an address", "Write http:// or https:// and a host.")
    copy = Path(path.stem) / f"{NOT_IN_FILENAMES.sub('-', name)}.txt"
    key = f"{row.where}: 'path'"
    return Source(key=key, path=path.parent / (copy if given is None else given), url=url)


def local_path(table: Table, key: str, text: str, hint: str) -> str:
    """Return a path as it is; ConfigurationError with this hint for an address and for what is empty."""
    if not text or "://" in text:
        raise table.error(key, f"= {text!r} is not the path of a file", hint)
    return text


def _refuse_nowhere(row: Table) -> None:
    if "path" not in row and "url" not in row:
        raise ConfigurationError(f"{row.where}: a file has a 'path', a 'url', or both.")


def _refuse_one_copy_of_two(branches: Iterable[Branch]) -> None:
    seen: dict[Path, str | None] = {}
    for source in (source for branch in branches for source in branch.sources):
        if seen.setdefault(source.path, source.url) != source.url:
            raise ConfigurationError(
                f"{source.key} = {source.path} would be the copy of two URLs.", "Name another path."
            )
