"""The package index of a Debian archive's suite: fetched when a failure asks for it, and kept small.

It comes from where the roots come from, so that what it says is what a root can get.
"""

from __future__ import annotations

import gzip
import re
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wheelbuilder.build.archive_lists import ArchiveLists
from wheelbuilder.build.cache import cache_home, locked
from wheelbuilder.build.contents import blocks, write_files, write_packages
from wheelbuilder.build.missing import Missing
from wheelbuilder.build.providers import Candidate, patterns, ranked
from wheelbuilder.errors import UnreachableError, WheelbuilderError
from wheelbuilder.inputs.images import Architecture, Root

FORMAT = 1  # raised when what is kept of an archive's lists changes
MOST_AGE = 7 * 86400.0  # seconds; a suite is changed by its updates
ALL = "all"  # the packages that are the same for all architectures, which have a list of their own
_Rows = list[tuple[str, list[str]]]  # paths and the packages that have them


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageIndex:
    """What the suite of an archive has for one architecture, in files of this machine."""

    files: tuple[Path, ...]
    packages: Path
    arch: Architecture

    def providers(self, wanted: Sequence[Missing]) -> tuple[tuple[Candidate, ...], ...]:
        """Return for each missing thing the packages that have it, the likeliest first, at most three."""
        found = self._paths(wanted)
        asked = {name for rows in found for _, names in rows for name in names}
        packages = {row.name: row for row in self._packages() if row.name in asked}
        return tuple(
            ranked(
                each,
                (
                    Candidate(package=name, path=path, dependents=row.dependents, general=row.general)
                    for path, names in rows
                    for name in names
                    if (row := packages.get(name))
                ),
                self.arch.multiarch,
            )
            for each, rows in zip(wanted, found, strict=True)
        )

    def _paths(self, wanted: Sequence[Missing]) -> list[_Rows]:
        """Return for each thing the paths and their packages, by the first of its patterns that fits any."""
        ladders = [
            [re.compile(expression + rb"\t([^\n]+)") for expression in patterns(each)] for each in wanted
        ]
        found: list[list[_Rows]] = [[[] for _ in ladder] for ladder in ladders]
        for block in self._blocks():
            for ladder, rows in zip(ladders, found, strict=True):
                for pattern, row in zip(ladder, rows, strict=True):
                    row += _matches(pattern, block)
        return [next((row for row in rows if row), []) for rows in found]

    def _blocks(self) -> Iterator[bytes]:
        for path in self.files:
            with gzip.open(path, "rb") as text:
                yield from blocks(text)

    def names(self) -> frozenset[str]:
        """Return the names of all packages, and those they provide."""
        return frozenset(row.name for row in self._packages())

    def _packages(self) -> Iterator[_Package]:
        with gzip.open(self.packages, "rt", encoding="utf-8") as lines:
            for line in lines:
                name, dependents, general = line.rstrip("\n").split("\t")
                yield _Package(name, int(dependents), general)


class _Package(NamedTuple):
    name: str
    dependents: int
    general: str


def _matches(pattern: re.Pattern[bytes], block: bytes) -> Iterator[tuple[str, list[str]]]:
    for match in pattern.finditer(block):
        start = block.rfind(b"\n", 0, match.start()) + 1
        path = block[start : match.start(1) - 1].decode(errors="replace")
        yield path, match[1].decode(errors="replace").split(",")


_unreachable: set[Path] = set()  # by this process: the next failure need not wait for it again


def package_index(root: Root, *, files: bool = True) -> PackageIndex:
    """Return the package index of an archive root, fetching what is missing or old.

    files: what is in the packages too, which takes ten times as long to fetch as their names. Raises
    UnreachableError if it cannot be had; an old one serves all the same.
    """
    suite = cache_home() / "packages" / f"{root.archive}-{FORMAT}"
    arch = root.arch.debian
    lists = {each: suite / f"{each}.files.gz" for each in (arch, ALL)} if files else {}
    index = PackageIndex(files=tuple(lists.values()), packages=suite / f"{arch}.packages.gz", arch=root.arch)
    parts = (*index.files, index.packages)
    if not all(map(_is_fresh, parts)):
        with locked(f"packages-{suite.name}"):
            if index.packages not in _unreachable and not all(map(_is_fresh, parts)):
                _renew(root, index.packages, lists)
    if not all(part.exists() for part in parts):
        raise UnreachableError(f"The package index of {root.suite} for {arch} cannot be had.")
    return index


def _is_fresh(path: Path) -> bool:
    return path.exists() and time.time() - path.stat().st_mtime < MOST_AGE


def _renew(root: Root, packages: Path, files: Mapping[str, Path]) -> None:
    making = packages.parent / "making"  # we hold the lock
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    lists = ArchiveLists(root=root, folder=making / "root")
    try:
        write_packages(lists.packages(), making / "part")
        (making / "part").rename(packages)
        for arch, target in files.items():
            if not _is_fresh(target):
                write_files(lists.files(arch), making / "part")
                (making / "part").rename(target)
    except (WheelbuilderError, OSError, EOFError, zlib.error):
        _unreachable.add(packages)
    finally:
        shutil.rmtree(making, ignore_errors=True)
