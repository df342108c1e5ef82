"""Which files would end a want, and which of the packages that have such a file is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wheelbuilder.build.missing import Kind, Missing, missing

MOST = 3  # packages that are worth showing
# Find modules of CMake whose library has another name.
LIBRARIES = {"BZip2": "bz2", "Curses": "ncurses", "ICU": "icuuc"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A package that has a file that was missing.

    dependents: how many packages depend on it. general: the package that stands for it in every
    release, which brings the release's default of several versions, "" where there is none.
    """

    package: str
    path: str
    dependents: int
    general: str = ""

    @property
    def name(self) -> str:
        """What to write into a recipe."""
        return self.general or self.package


def patterns(wanted: Missing) -> tuple[bytes, ...]:
    """Return expressions for the ends of paths, best first: what fits a later one counts if none fits before.

    They begin with literal text, so that searching millions of bytes for one is quick.
    """
    return tuple(expression.encode() for expression in _expressions(wanted))


def _expressions(wanted: Missing) -> Iterator[str]:
    name = re.escape(wanted.name)
    match wanted.kind:
        case Kind.HEADER:
            yield f"/{name}"
        case Kind.LIBRARY:
            yield rf"/lib{name}\.so"
            yield rf"/lib{name}\.a"
        case Kind.PROGRAM:
            yield f"bin/{re.escape(wanted.name.rpartition('/')[2])}"
        case Kind.PKG_CONFIG:
            yield rf"/pkgconfig/{name}\.pc"
            yield from _named_like(wanted.name)
        case Kind.CMAKE:
            yield rf"/(?:{name}C|{re.escape(wanted.name.lower())}-c)onfig\.cmake"
            yield from _named_like(LIBRARIES.get(wanted.name, wanted.name))
            if program := missing(Kind.PROGRAM, wanted.name):
                yield f"bin/{re.escape(program.name.lower())}"


def _named_like(name: str) -> Iterator[str]:
    """Yield what belongs to a library under a name that is not quite that of its files."""
    stem = re.escape(re.sub(r"^lib(?=.)|(?<=.)[-_.\d]+$", "", name.lower()))
    yield rf"/pkgconfig/(?i:(?:lib)?{stem}[-.\d]*\.pc)"
    yield rf"/(?i:{stem}-?config\.cmake)"
    yield rf"/lib(?i:{re.escape(name.lower().removeprefix('lib'))}\.so)"


def ranked(wanted: Missing, candidates: Iterable[Candidate], multiarch: str) -> tuple[Candidate, ...]:
    """Return the packages that may be meant, the likeliest first: those that have the file in the best place.

    multiarch: the Debian triplet, whose folders the compiler searches. Of several, development packages
    come first, then the release's default, then those that more packages depend on, then the shorter name.
    """

    def fit(it: Candidate) -> tuple[int, bool]:
        return min(_depth(wanted, it.path, multiarch), 1), it.package.endswith("-dev") != _wants_dev(wanted)

    def key(it: Candidate) -> tuple[tuple[int, bool], bool, int, int, str]:
        return fit(it), not it.general, -it.dependents, len(it.package), it.package

    best = sorted(candidates, key=key)
    named = {it.name: it for it in reversed(best) if fit(it) == fit(best[0])}
    return tuple(reversed(named.values()))[:MOST]


def _wants_dev(wanted: Missing) -> bool:
    return wanted.kind is not Kind.PROGRAM or wanted.name.endswith("config")


def _depth(wanted: Missing, path: str, multiarch: str) -> int:
    """Return how many folders a file lies below where tools search by themselves."""
    own = wanted.name.count("/") if wanted.kind is Kind.HEADER else 0
    return path.count("/") - _place(wanted.kind, path, multiarch).count("/") - own


def folder(wanted: Missing, path: str, multiarch: str) -> str:
    """Return the folder that a tool has to be told of to find a file, "" if it looks there by itself."""
    if _depth(wanted, path, multiarch) == 0:
        return ""
    own = wanted.name.count("/") if wanted.kind is Kind.HEADER else 0
    return f"/{path.rsplit('/', own + 1)[0]}"


def _place(kind: Kind, path: str, multiarch: str) -> str:
    """Return the folder that tools search, of those that the path lies in."""
    return next((place for place in _searched(kind, multiarch) if path.startswith(place)), "")


def _searched(kind: Kind, multiarch: str) -> tuple[str, ...]:
    libraries = (f"usr/lib/{multiarch}/", f"lib/{multiarch}/", "usr/lib/", "lib/")
    match kind:
        case Kind.HEADER:
            return f"usr/include/{multiarch}/", "usr/include/"
        case Kind.PROGRAM:
            return "usr/bin/", "bin/", "usr/sbin/", "sbin/"
        case Kind.LIBRARY:
            return libraries
        case Kind.PKG_CONFIG:
            return (*(f"{place}pkgconfig/" for place in libraries), "usr/share/pkgconfig/", *libraries)
        case Kind.CMAKE:
            return (*(f"{place}cmake/" for place in libraries), "usr/share/cmake/", *libraries, "usr/share/")
