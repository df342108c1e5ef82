"""What a version of a project requires, read from what its files say without running anything of theirs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from enum import StrEnum
from functools import lru_cache
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelbuilder.inputs.pins import Pin, can_be_evaluated
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import SDISTS, IndexFile, accepts, parse_filename, source_version, unservable

STATIC_SINCE = Version(
    "2.2"
)  # of core metadata: from then on fields of an sdist hold for its wheels (PEP 643)
DEPENDENCY_FIELDS = {"requires-dist", "provides-extra"}
DEPENDENCY_KEYS = {"dependencies", "optional-dependencies"}  # of [project] (PEP 621)
LEADING_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?")
SECTION = re.compile(r"\[([^:\]]*)(?::(.*))?\]")


class Certainty(StrEnum):
    """How far it is known what a version requires."""

    WHEEL = "what a wheel says"
    STATIC = "what the sdist says for all its wheels"
    RECORDED = "those its sdist recorded"
    UNKNOWN = "not known before it is built"


DOUBTFUL = (Certainty.RECORDED, Certainty.UNKNOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependencies:
    """What one version requires. requires: requirement strings (PEP 508). file: the one that was read."""

    requires: tuple[str, ...]
    certainty: Certainty
    file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One requirement of a version. marker: normalized, or None. readable: whether all was understood."""

    words: str
    name: NormalizedName
    extras: frozenset[str]
    specifier: SpecifierSet
    marker: str | None
    url: str | None = None
    readable: bool = True


def nothing_known(file: str) -> Dependencies:
    """Return what is known of a version whose files say nothing."""
    return Dependencies(requires=(), certainty=Certainty.UNKNOWN, file=file)


def telling_file(pin: Pin, target: Target, files: Iterable[IndexFile]) -> IndexFile | None:
    """Return the file of a version that tells best what it requires on a target.

    A wheel that the target takes; any other wheel, since wheels of one version seldom differ in this;
    an sdist. files: of the pin's project.
    """
    told = [file for file in files if _version(pin, file) == pin.version and not unservable(file)]
    return max(told, key=lambda file: (*_telling(file, target), file.filename), default=None)


def telling_wheel(pin: Pin, target: Target, published: Iterable[IndexFile]) -> IndexFile | None:
    """Return the wheel of a version that tells best, of those that we publish with their METADATA.

    The newest build of the best kind, since it is the one that installers take.
    """
    told = [
        file
        for file in published
        if file.is_wheel and file.metadata_sha256 and _version(pin, file) == pin.version
    ]
    return max(told, key=lambda file: (*_telling(file, target), *_build(file)), default=None)


def of_wheel(metadata: bytes, file: str) -> Dependencies:
    """Read the METADATA of a wheel."""
    requires = _all(BytesHeaderParser().parsebytes(metadata), "Requires-Dist")
    return Dependencies(requires=requires, certainty=Certainty.WHEEL, file=file)


def of_sdist(texts: Mapping[str, bytes], file: str) -> Dependencies:
    """Read what an sdist says. texts: by path below its top folder, those for which `tells` holds."""
    info = BytesHeaderParser().parsebytes(texts.get("PKG-INFO", b""))
    recorded = _all(info, "Requires-Dist")
    if _is_static(info):
        return Dependencies(requires=recorded, certainty=Certainty.STATIC, file=file)
    project = _static_project(texts.get("pyproject.toml", b""))
    if project is not None:
        return Dependencies(requires=project, certainty=Certainty.STATIC, file=file)
    from_egg = _recorded_by_setuptools(texts)
    if from_egg is None and not recorded:
        return nothing_known(file)
    requires = recorded if from_egg is None else from_egg
    return Dependencies(requires=requires, certainty=Certainty.RECORDED, file=file)


def tells(path: str) -> bool:
    """Say whether a file of an sdist is one that `of_sdist` reads. path: below the top folder."""
    folder, _, name = path.rpartition("/")
    if name in ("requires.txt", "SOURCES.txt"):
        return folder.endswith(".egg-info") and folder.count("/") <= 1  # beside the sources, or in src/
    return path in ("PKG-INFO", "pyproject.toml")


@lru_cache(maxsize=32768)
def need(words: str) -> Need | None:
    """Read a requirement string; None without a name, and without bounds where only that can be read."""
    try:
        requirement = Requirement(words)
    except InvalidRequirement:
        return _named(words)
    marker = requirement.marker
    evaluated = marker is None or can_be_evaluated(marker)
    return Need(
        words=words,
        name=canonicalize_name(requirement.name),
        extras=frozenset(map(canonicalize_name, requirement.extras)),
        specifier=requirement.specifier,
        marker=str(marker) if marker and evaluated else None,
        url=requirement.url,
        readable=evaluated,
    )


def _named(words: str) -> Need | None:
    named = LEADING_NAME.match(words)
    if not named:
        return None
    marker = _marker(words.partition(";")[2])
    return Need(
        words=words,
        name=canonicalize_name(named[1]),
        extras=frozenset(),
        specifier=SpecifierSet(),
        marker=marker,
        readable=False,
    )


def _marker(text: str) -> str | None:
    try:
        marker = Marker(text)
    except ValueError:
        return None
    return str(marker) if can_be_evaluated(marker) else None


def _version(pin: Pin, file: IndexFile) -> Version | None:
    if not file.is_wheel:
        return source_version(file.filename, pin.name)
    parsed = parse_filename(file.filename)
    return parsed.version if parsed and parsed.project == pin.name else None


def _build(file: IndexFile) -> tuple[tuple[int, str], str]:
    parsed = parse_filename(file.filename)
    return (parsed and parsed.build) or (0, ""), file.filename


def _telling(file: IndexFile, target: Target) -> tuple[bool, bool, bool, bool]:
    readable = file.is_wheel or file.filename.endswith(SDISTS)
    return readable, file.is_wheel, accepts(target, file), file.yanked is None


def _all(fields: Message, name: str) -> tuple[str, ...]:
    return tuple(" ".join(str(value).split()) for value in fields.get_all(name, []))


def _is_static(info: Message) -> bool:
    try:
        version = Version(str(info["Metadata-Version"] or "0"))
    except ValueError:
        return False
    dynamic = {field.lower() for field in _all(info, "Dynamic")}
    return version >= STATIC_SINCE and not dynamic & DEPENDENCY_FIELDS


def _static_project(pyproject: bytes) -> tuple[str, ...] | None:
    """Return the requirements of a [project] table that leaves none of them to the backend."""
    try:
        project = tomllib.loads(pyproject.decode()).get("project")
    except (ValueError, RecursionError):
        return None
    if not isinstance(project, dict) or DEPENDENCY_KEYS & set(_strings(project.get("dynamic"))):
        return None
    optional = project.get("optional-dependencies")
    extras = optional if isinstance(optional, dict) else {}
    return (
        *_strings(project.get("dependencies")),
        *(_marked(text, f"extra == '{extra}'") for extra in extras for text in _strings(extras[extra])),
    )


def _strings(value: Any) -> Sequence[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _recorded_by_setuptools(texts: Mapping[str, bytes]) -> tuple[str, ...] | None:
    """Return what `requires.txt` holds; setuptools writes none where there is nothing to hold."""
    folders = sorted({path.rpartition("/")[0] for path in texts if "/" in path})
    if not folders:
        return None
    text = texts.get(f"{folders[0]}/requires.txt", b"").decode(errors="replace")
    return tuple(_requires_txt(text))


def _requires_txt(text: str) -> Iterator[str]:
    """Yield requirement strings. The sections of the file are `[extra]`, `[:marker]` and `[extra:marker]`."""
    condition = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        section = SECTION.fullmatch(line)
        if section:
            extra, marker = section[1], section[2]
            parts = [f"extra == '{extra}'"] if extra else []
            condition = " and ".join([*parts, *([f"({marker})"] if marker else [])])
        else:
            yield _marked(line, condition)


def _marked(text: str, condition: str) -> str:
    words, _, marker = text.partition(";")
    both = " and ".join(filter(None, (f"({marker.strip()})" if marker.strip() else "", condition)))
    return f"{words.strip()} ; {both}" if both else words.strip()
