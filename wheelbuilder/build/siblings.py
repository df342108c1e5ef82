"""Which builds of one pin wait for another target's: its wheel may serve them too."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from enum import Enum, auto

from wheelbuilder.build.outcomes import Built, FailureClass, StepFailedError
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import accepts, parse_filename

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


def waits_for(target: Target, targets: Iterable[Target], known: str | None) -> tuple[Target, ...]:
    """Return those of a pin's targets whose wheels may serve this one too, so that it waits for their ends.

    The first of all, and the first of the same platform, in case that one gives nothing that serves it.
    known: the file name of a wheel that an earlier build of the project gave, if there was one.
    """
    found = reach(known) if known else Reach.ANY
    if found is Reach.NONE:
        return ()
    before = sorted((it for it in targets if precedence(it) < precedence(target)), key=precedence)
    near = [it for it in before if (it.arch, it.libc) == (target.arch, target.libc)]
    return tuple(dict.fromkeys((*(before[:1] if found is Reach.ANY else ()), *near[:1])))


def serves(build: Build, by: Built) -> bool:
    """Say whether the target of a build accepts another target's wheel, by its name and what it requires."""
    return accepts(build.target, by.wheel.as_index_file())


def refuse_namesake(filename: str, declined: str) -> None:
    """Raise StepFailedError for a wheel with the name of another target's, which was declined.

    They cannot both be published, and installers would take the one for the other.
    """
    if declined and parse_filename(filename) == parse_filename(declined):
        raise StepFailedError(
            FailureClass.IMPORT_FAILED,
            f"{declined}, built for another target, cannot be imported here, and the build for this one has "
            "the same name",
            "A wheel that differs from target to target must say so in its tags.",
        )
