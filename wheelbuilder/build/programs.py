"""Programs that this machine makes for its builds: each in a folder of its own, which all drivers share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from wheelbuilder.build import held, untrusted
from wheelbuilder.build.cache import cache_home, locked
from wheelbuilder.build.owners import is_alive, our_mark
from wheelbuilder.build.shelf import KEPT
from wheelbuilder.build.unpacking import discard

PARTIAL = ".partial-"


def ensure(name: str, make: Callable[[Path], bool]) -> Path | None:
    """Return a program's folder, making it if it is missing; nobody removes it while this process runs.

    make: lays out a folder that is not there yet, or says that it cannot: then there is none.
    """
    place = _home() / name
    while not held.hold(place):
        with locked(name):
            if not place.is_dir() and not _made(place, make):
                return None
    return place


def sweep() -> None:
    """Remove what killed processes were making, and what nobody has used for long."""
    partials = _home().glob(f"{PARTIAL}*")
    untrusted.remove(
        *(it for it in partials if not is_alive(it.name.removeprefix(PARTIAL).partition(".")[0]))
    )
    held.sweep(_home(), KEPT)


def others(names: Collection[str]) -> Iterator[Path]:
    """Yield the folders of programs of other names than these: of other versions, of older suites."""
    yield from (it for it in sorted(_home().glob("[!.]*")) if it.name not in names)


def _home() -> Path:
    return cache_home() / "programs"


def _made(place: Path, make: Callable[[Path], bool]) -> bool:
    place.parent.mkdir(exist_ok=True)
    partial = place.with_name(f"{PARTIAL}{our_mark()}.{place.name}")
    try:
        if not make(partial):
            return False
        partial.rename(place)
        return True
    finally:
        discard(partial)
