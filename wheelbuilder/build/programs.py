"""Programs that this machine makes for its builds: each in a folder of its own, which all drivers share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from wheelbuilder.build import held
from wheelbuilder.build.cache import cache_home, locked
from wheelbuilder.build.unpacking import discard


def ensure(name: str, make: Callable[[Path], bool]) -> Path | None:
    """Return a program's folder, making it if it is missing; nobody removes it while this process runs.

    make: lays out a folder that is not there yet, or says that it cannot: then there is none.
    """
    place = home() / name
    while not held.hold(place):
        with locked(name):
            if not place.is_dir() and not _made(place, make):
                return None
    return place


def others(names: Collection[str]) -> Iterator[Path]:
    """Yield the folders of programs of other names than these: of other versions, of older suites."""
    yield from (it for it in sorted(home().glob("[!.]*")) if it.name not in names)


def home() -> Path:
    """Return the folder for all of them."""
    return cache_home() / "programs"


def _made(place: Path, make: Callable[[Path], bool]) -> bool:
    place.parent.mkdir(exist_ok=True)
    partial = held.partial(place)
    try:
        if not make(partial):
            return False
        partial.rename(place)
        return True
    finally:
        discard(partial)
