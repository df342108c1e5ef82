"""Which builds of one pin wait for another target's: its wheel may serve them too."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from enum import Enum, auto

from wheelbuilder.build.outcomes import Built, Covered
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile, accepts, parse_filename

NATIVE = platform.machine()


class Reach(Enum):
    """Which other targets a wheel may serve, as far as its name tells."""

    ANY = auto()  # pure
    PLATFORM = auto()  # the stable ABI, or no extension module: other Pythons of the same machine
    NONE = auto()


def reach(filename: str) -> Reach:
    """Read a wheel's file name; one that cannot be read rules nothing out."""
    parsed = parse_filename(filename)
    tags = parsed.tags if parsed else frozenset()
    if not tags or any(tag.platform == "any" for tag in tags):
        return Reach.ANY
    return Reach.PLATFORM if any(tag.abi in ("abi3", "none") for tag in tags) else Reach.NONE


def precedence(target: Target) -> tuple[bool, str, str, tuple[int, int], tuple[int, int]]:
    """Return the sort key of one pin's targets: this machine's own, then the oldest, come first.

    They are the quickest, and what they give serves the newer ones.
    """
    return target.arch != NATIVE, target.arch, target.libc, target.python, target.libc_version


def waits_for(target: Target, targets: Iterable[Target], known: str | None) -> Target | None:
    """Return the one of a pin's targets whose wheel may serve this one too; None if it need not wait.

    known: the file name of a wheel that an earlier build of the project gave, if there was one.
    """
    found = reach(known) if known else Reach.ANY
    if found is Reach.NONE:
        return None
    peers = [
        other
        for other in targets
        if found is Reach.ANY or (other.arch, other.libc) == (target.arch, target.libc)
    ]
    first = min(peers, key=precedence, default=target)
    return first if precedence(first) < precedence(target) else None


def covered(build: Build, by: Built) -> Covered | None:
    """Return the outcome of a build that another target's wheel makes superfluous, or None."""
    wheel = IndexFile(
        filename=by.wheel.filename,
        url="",
        sha256=by.wheel.sha256,
        requires_python=by.wheel.requires_python,
    )
    if not accepts(build.target, wheel):
        return None
    return Covered(build=build, by=by.build.target, filename=by.wheel.filename)
