"""What a wheel that was built elsewhere must pass beyond the checks of our own.

Ours come from a known backend and get their platform tags from the repair that looks; of others a lie
in RECORD, in METADATA or in the tags must be found here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

from installer.records import parse_record_file
from installer.sources import WheelFile
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from wheelbuilder.build import claims
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.wheelcheck import WheelFacts

SIGNATURES = ("RECORD.jws", "RECORD.p7s")  # RECORD may name them or not (PEP 427)


def check(path: Path, facts: WheelFacts, platforms: Collection[str], exclude: Collection[str]) -> None:
    """Raise StepFailedError WHEEL_CHECK if a wheel that passed `wheelcheck` lies where that does not look.

    platforms: its platform tags. exclude: patterns of libraries that its users are known to have.
    """
    problems = (*_metadata(facts), *_ghosts(path))
    if problems:
        raise StepFailedError(FailureClass.WHEEL_CHECK, problems[0], lines=problems)
    if not facts.pure:
        claims.check(path, platforms, exclude)


def _metadata(facts: WheelFacts) -> Iterator[str]:
    """Yield the fields of METADATA that some installers refuse, and others pass over."""
    if "requires-python" in facts.unread:
        yield "its METADATA has more than one Requires-Python"
    requires_python = facts.requires_python
    if requires_python is not None and not (requires_python.isprintable() and _is_specifier(requires_python)):
        yield f"its Requires-Python {requires_python!r} is not a version specifier (PEP 440)"
    for text in facts.requires_dist:
        if not (text.isprintable() and _is_requirement(text)):
            yield f"its Requires-Dist {text!r} is not a requirement (PEP 508)"


def _ghosts(path: Path) -> Iterator[str]:
    """Yield the files that RECORD names and the wheel does not hold."""
    with zipfile.ZipFile(path) as archive:
        there = set(archive.namelist())
    with WheelFile.open(path) as wheel:
        lines = wheel.read_dist_info("RECORD").splitlines()
    for name, _, _ in parse_record_file(lines):
        if name not in there and not name.endswith(SIGNATURES):
            yield f"RECORD names {name!r}, which the wheel does not hold"


def _is_specifier(text: str) -> bool:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return False
    return True


def _is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True
