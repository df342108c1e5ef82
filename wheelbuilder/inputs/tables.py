"""Typed reading of parsed TOML: an error grows the path of the bad key and names near misses."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.near import did_you_mean
from wheelbuilder.inputs.texts import read_text

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Table:
    """One TOML table with the place it stands in, so that each complaint can say where.

    Getters mark a key as known; `done()` then refuses the keys that nobody asked for.
    """

    def __init__(self, values: Mapping[str, object], where: str) -> None:
        self.values = values
        self.where = where
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        self._known.add(key)
        return key in self.values

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """Return the value of `key`; without a default the key must be there."""
        self._known.add(key)
        if key not in self.values:
            if default is None:
                raise ConfigurationError(f"{self.where}: the key '{key}' is missing.", f"Add '{key} = …'.")
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(key, f"must be {_NAMES.get(kind, kind.__name__)}, not {value!r}")
        return value

    def optional(self, key: str, kind: type[T]) -> T | None:
        """Return the value of `key`, or None where it is not given."""
        self._known.add(key)
        return self.get(key, kind) if key in self.values else None

    def strings(self, key: str, default: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return an array of strings."""
        values = self.get(key, list, None if default is None else list(default))
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self.error(f"{key}[{index}]", f"must be a string, not {value!r}")
        return tuple(values)

    def mapping(self, key: str) -> dict[str, str]:
        """Return a table whose values are all strings; empty where it is not given."""
        values = self.get(key, dict, {})
        for name, value in values.items():
            if not isinstance(value, str):
                raise self.error(f"{key}.{name}", f"must be a string, not {value!r}")
        return dict(values)

    def table(self, key: str) -> Table:
        """Return a table inside this one; empty where it is not given."""
        return Table(self.get(key, dict, {}), f"{self.where}: {key}")

    def tables(self, key: str) -> tuple[tuple[str, Table], ...]:
        """Return the named tables below `key` in file order."""
        below = self.table(key)
        return tuple((name, Table(below.get(name, dict), f"{below.where}.{name}")) for name in below.values)

    def array(self, key: str) -> tuple[Table, ...]:
        """Return an array of tables; empty where it is not given."""
        values = self.get(key, list, [])
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise self.error(f"{key}[{index}]", f"must be a table, not {value!r}")
        return tuple(Table(value, f"{self.where}: {key}[{index}]") for index, value in enumerate(values))

    def parsed(self, key: str, parse: Callable[[str], T], default: str | None = None) -> T:
        """Return the string at `key` through a parser; its ValueError becomes an error at the key."""
        text = self.get(key, str, default)
        try:
            return parse(text)
        except ValueError as error:
            raise self.error(key, f"= {text!r} cannot be read: {error}") from None

    def choice(self, key: str, kind: type[E], default: E | None = None) -> E:
        """Return the string at `key` as one of an enumeration's words."""
        text = self.get(key, str, None if default is None else str(default))
        words = tuple(map(str, kind))
        if text not in words:
            raise self.error(key, f"= {text!r} must be one of {', '.join(words)}", did_you_mean(text, words))
        return kind(text)

    def error(self, key: str, complaint: str, hint: str = "") -> ConfigurationError:
        """Return an error about one key of this table."""
        return ConfigurationError(f"{self.where}: '{key}' {complaint}.", hint)

    def done(self) -> None:
        """Refuse keys that no getter asked for, with the nearest known one."""
        for key in self.values:
            if key not in self._known:
                known = f"Known keys: {', '.join(sorted(self._known))}."
                hint = did_you_mean(key, self._known, most=1) or known
                raise ConfigurationError(f"{self.where}: the key '{key}' is not known.", hint)


def read_toml(path: Path) -> Table:
    """Read a TOML file; a missing or malformed one is a ConfigurationError that names it."""
    text = read_text(path)
    try:
        return Table(tomllib.loads(text), str(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.", "Correct it there.") from None
    except RecursionError:
        raise ConfigurationError(f"{path} is nested too deep to be read.", "Flatten it.") from None


_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    list: "an array",
    dict: "a table",
    date: "a date such as 2027-01-31, without quotes",
}
