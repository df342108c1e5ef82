"""Distribution files as an index lists them, and which of them a target accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from wheelbuilder.inputs.targets import Target

# What pip unpacks and compiles, whatever PEP 625 says; only the first two are built here.
SDISTS = (".tar.gz", ".zip")
SOURCES = (
    *SDISTS,
    *(".tgz", ".tar", ".tar.bz2", ".tbz"),
    *(".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma"),
)
# An absolute URL and a file name as an index may give them: printable, and with nothing that leaves a folder.
URL = re.compile(r"https?://[^\s<>\"\\^`{|}\x00-\x20\x7f\ud800-\udfff]+")
FILENAME = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f\ud800-\udfff]+")
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


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
        if filename.endswith(SDISTS):
            name, version = parse_sdist_filename(filename)
            return FileName(project=name, version=version, tags=frozenset())
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return None


@lru_cache(maxsize=16384)
def source_version(filename: str, project: NormalizedName) -> Version | None:
    """Return the version that pip reads in the name of a project's source archive, or None.

    pip takes more than PEP 625 allows: `.tar.bz2` and others, and `foo-1.0-1.tar.gz` for 1.0.post1.
    """
    stem = next((filename[: -len(end)] for end in SOURCES if filename.lower().endswith(end)), "")
    for dash in re.finditer("-", stem):
        if canonicalize_name(stem[: dash.start()]) == project:
            try:
                return Version(stem[dash.end() :])
            except InvalidVersion:
                return None
    return None


def unservable(file: IndexFile) -> str | None:
    """Say why a file of upstream's cannot stand on a page, or None; one such would cost uv the whole page."""
    if not FILENAME.fullmatch(file.filename):
        return "upstream's file name is not one"
    if not URL.fullmatch(file.url):
        return "upstream's URL is not an absolute http(s) one"
    if not SHA256.fullmatch(file.sha256):
        return "upstream gives no SHA-256 for it"
    return None


def accepts(target: Target, file: IndexFile) -> bool:
    """Say whether an installer on this target would take this wheel: its tags and Requires-Python.

    A Requires-Python that cannot be read counts as absent, as pip has it.
    """
    parsed = parse_filename(file.filename)
    if parsed is None or not file.is_wheel or target.tags.isdisjoint(parsed.tags):
        return False
    return requires_python_accepts(file.requires_python, target)


def newest_wheel(files: Iterable[IndexFile]) -> str | None:
    """Return the file name of a wheel of the highest version; None if there is no wheel."""
    named = [
        (parsed.version, it.filename)
        for it in files
        if it.is_wheel and (parsed := parse_filename(it.filename))
    ]
    return max(named)[1] if named else None


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
