"""Pins: the lines of a constraints file read into values, with what could not be read set aside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.targets import Target

SOME_TARGET = Target.parse("cp311-manylinux_2_28_x86_64")  # which one does not matter: types are compared
LONGEST = 200  # characters of a line that messages show; who gets a page of HTML shall see that it is one
TRAILING_COMMENT = re.compile(r"\s+#.*$")  # pip's own rule; PEP 508 knows no comments


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Origin:
    """Where a line stands. file: a path or URL, as the list gives it; line: counted from 1."""

    branch: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One project at one version, wanted by one or more branches.

    version_text: as written, because `===` compares strings. marker: its normalized text, or None.
    arbitrary: whether the pin says `===` (PEP 440, "Arbitrary equality") and not `==`.
    """

    name: NormalizedName
    raw_name: str
    version: Version
    version_text: str
    marker: str | None
    origin: Origin
    branches: tuple[str, ...]
    arbitrary: bool = True

    def __str__(self) -> str:
        return f"{self.name}{'===' if self.arbitrary else '=='}{self.version_text}"

    @property
    def identity(self) -> tuple[NormalizedName, str]:
        """What makes it one pin with others: `===` compares text, and no file serves both 1.0 and 1.0.0."""
        return self.name, self.version_text.lower() if self.arbitrary else str(self.version)

    def accepts(self, version: Version) -> bool:
        """Say whether an installer takes a file of this version for the pin (PEP 440, "Version matching").

        `===1.0` refuses 1.0.0: its text is compared with the normalized version. `==1.0` accepts
        that, and 1.0+local as well.
        """
        if self.arbitrary:
            return str(version) == self.version_text.lower()
        if version.local and not self.version.local:
            return Version(version.public) == self.version
        return version == self.version

    @property
    def unmatchable(self) -> str | None:
        """Why no file can ever serve the pin, or None: `===2013.06`, where the version is 2013.6."""
        if self.accepts(self.version):
            return None
        return (
            f"installers compare the text of {self} with normalized versions and find nothing: "
            f"write it as ==={self.version}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantined:
    """A line that cannot be read: it pins nothing, and the plan reports it."""

    origin: Origin
    words: str
    complaint: str

    def __str__(self) -> str:
        words = self.words if len(self.words) <= LONGEST else f"{self.words[:LONGEST]}..."
        return f"{self.origin}: {words!r} {self.complaint}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Untold:
    """A pin of which nothing says what it requires. file: the one that was read, or why there is none."""

    pin: Pin
    file: str

    def __str__(self) -> str:
        return f"dependencies of {self.pin} are not known before it is built ({self.file})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraints:
    """One branch as read. warnings: oddities that do no harm, such as a line that occurs twice."""

    branch: str
    file: str
    pins: tuple[Pin, ...]
    quarantined: tuple[Quarantined, ...]
    warnings: tuple[str, ...]


class _UnreadableError(ValueError):
    """What is wrong with a line, as the end of a sentence."""


def parse_constraints(
    text: str, branch: str, *, file: str | None = None, strict: bool = False, allow_empty: bool = False
) -> Constraints:
    """Read upper-constraints syntax; a line that cannot be read is quarantined.

    file: the name for messages, else the branch's. Raises ConfigurationError for a file without
    pins unless `allow_empty`, and for the first unreadable line if `strict`.
    """
    where = file or branch
    pins: dict[tuple[NormalizedName, str, str | None], Pin] = {}
    quarantined: list[Quarantined] = []
    warnings: list[str] = []
    for origin, words in _lines(text, branch, where):
        try:
            pin = _pin(words, origin)
        except _UnreadableError as complaint:
            quarantined.append(Quarantined(origin=origin, words=words, complaint=str(complaint)))
            continue
        first = pins.setdefault((pin.name, pin.version_text, pin.marker), pin)
        if first is not pin:
            warnings.append(f"{origin}: {words!r} repeats line {first.origin.line}; it is read once.")
    if strict and quarantined:
        raise ConfigurationError(f"{quarantined[0]}.", "Correct the line, or leave out --strict.")
    if not pins and not allow_empty:
        raise _empty(where, quarantined)
    return Constraints(
        branch=branch,
        file=where,
        pins=tuple(pins.values()),
        quarantined=tuple(quarantined),
        warnings=tuple(warnings),
    )


def _empty(where: str, quarantined: Sequence[Quarantined]) -> ConfigurationError:
    if not quarantined:
        hint = "Check the path or URL, or set allow-empty = true for this branch."
        return ConfigurationError(f"{where} has no pins.", hint)
    count = len(quarantined)
    first = f"none of its {count} lines is one, the first" if count > 1 else "its one line is none"
    return ConfigurationError(
        f"{where} has no pins: {first}: {quarantined[0]}.",
        "Check that the path or URL is one of constraints.",
    )


def _lines(text: str, branch: str, file: str) -> Iterator[tuple[Origin, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        words = line.strip()
        if words and not words.startswith("#"):
            yield Origin(branch=branch, file=file, line=number), words


def _pin(words: str, origin: Origin) -> Pin:
    requirement = _requirement(TRAILING_COMMENT.sub("", words))
    operator, version_text = _one_version(requirement)
    try:
        version = Version(version_text)
    except InvalidVersion:
        raise _UnreadableError(f"has {version_text!r}, which is not a version (PEP 440)") from None
    except ValueError:
        raise _UnreadableError("has a number with too many digits") from None
    return Pin(
        name=canonicalize_name(requirement.name),
        raw_name=requirement.name,
        version=version,
        version_text=version_text,
        marker=str(requirement.marker) if requirement.marker else None,
        origin=origin,
        branches=(origin.branch,),
        arbitrary=operator == "===",
    )


def _requirement(text: str) -> Requirement:
    if text.startswith("-"):
        raise _UnreadableError("is an option of pip, not a pin")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise _UnreadableError(f"is not a requirement (PEP 508): {_first_sentence(error)}") from None
    if requirement.marker and not can_be_evaluated(requirement.marker):
        raise _UnreadableError("has a marker that compares what cannot be compared")
    if requirement.url:
        raise _UnreadableError("names a URL, where a pin names a version")
    if requirement.extras:
        raise _UnreadableError("has extras, which a constraint cannot have")
    return requirement


def can_be_evaluated(marker: Marker) -> bool:
    """Say whether a marker compares what can be compared; one that cannot stops installers."""
    try:
        marker.evaluate(SOME_TARGET.marker_environment())
    except (UndefinedComparison, UndefinedEnvironmentName):
        return False
    return True


def _one_version(requirement: Requirement) -> tuple[str, str]:
    specifiers = tuple(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator not in ("===", "=="):
        raise _UnreadableError("does not pin one version with === or ==")
    if specifiers[0].version.endswith(".*"):
        raise _UnreadableError("has a wildcard, where a pin names one version")
    return specifiers[0].operator, specifiers[0].version


def _first_sentence(error: Exception) -> str:
    return str(error).splitlines()[0]
