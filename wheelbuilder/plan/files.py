"""Distribution files as an index lists them, and which of them a target accepts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from wheelbuilder.inputs.targets import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexFile:
    """One file of a project page (PEP 503, 592, 658, 691, 700).

    url: absolute for upstream's files; relative to the store's root for ours.
    yanked: None if not yanked, else the reason, which may be empty.
    metadata_sha256: of the PEP 658 file; "" where one is served without a digest, None where none is.
    """

    filename: str
    url: str
    sha256: str
    size: int | None = None
    requires_python: str | None = None
    upload_time: str | None = None  # RFC 3339 in UTC, ending in Z
    yanked: str | None = None
    metadata_sha256: str | None = None

    @property
    def is_wheel(self) -> bool:
        """Whether the name says that it is a wheel."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileName:
    """What a distribution's file name says."""

    project: NormalizedName
    version: Version
    tags: frozenset[Tag]  # empty for an sdist
    build: tuple[int, str] | None = None


@lru_cache(maxsize=16384)  # a name is read twice: to find its version, then to compare its tags
def parse_filename(filename: str) -> FileName | None:
    """Read the name of a wheel or an sdist; None for anything else (eggs, installers, bad names)."""
    try:
        if filename.endswith(".whl"):
            name, version, build, tags = parse_wheel_filename(filename)
            return FileName(project=name, version=version, tags=tags, build=build or None)
        if filename.endswith((".tar.gz", ".zip")):
            name, version = parse_sdist_filename(filename)
            return FileName(project=name, version=version, tags=frozenset())
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return None


def accepts(target: Target, file: IndexFile) -> bool:
    """Say whether an installer on this target would take this wheel: its tags and Requires-Python.

    A Requires-Python that cannot be read counts as absent, as pip has it.
    """
    parsed = parse_filename(file.filename)
    if parsed is None or not file.is_wheel or target.tags.isdisjoint(parsed.tags):
        return False
    return requires_python_accepts(file.requires_python, target)


def requires_python_accepts(requires_python: str | None, target: Target) -> bool:
    """Say whether a Requires-Python admits the target's Python."""
    if not requires_python:
        return True
    try:
        return specifiers(requires_python).contains(target.full_version, prereleases=True)
    except InvalidSpecifier:
        return True


@lru_cache(maxsize=1024)
def specifiers(text: str) -> SpecifierSet:
    """Read a specifier set; the same few hundred occur on every page."""
    return SpecifierSet(text)
