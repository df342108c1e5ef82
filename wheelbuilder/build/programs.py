"""Programs that this machine makes for its builds: each in a folder of its own, which all drivers share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from wheelbuilder.build import held
from wheelbuilder.build.cache import cache_home


def ensure(name: str, make: Callable[[Path], bool]) -> Path | None:
    """Return a program's folder, making it if it is missing; nobody removes it while this process runs.

    make: lays out a folder that is not there yet, or says that it cannot: then there is none.
    """
    place = home() / name
    return place if held.ensure(place, make) else None


def others(names: Collection[str]) -> Iterator[Path]:
    """Yield the folders of programs of other names than these: of other versions, of older suites."""
    yield from (it for it in sorted(home().glob("[!.]*")) if it.name not in names)


def home() -> Path:
    """Return the folder for all of them."""
    return cache_home() / "programs"
