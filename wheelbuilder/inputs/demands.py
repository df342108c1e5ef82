"""Requirement files: what a project asks for, line by line, with what cannot be honoured set aside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath
from urllib.parse import urljoin

from packaging.requirements import InvalidRequirement, Requirement

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.http import is_address, shown
from wheelbuilder.inputs.pins import Origin, Quarantined, can_be_evaluated

# pip's own rules, "Requirements File Format": comments, continued lines, variables, options
COMMENT = re.compile(r"(?:^|\s+)#.*$")
VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
INCLUDE = re.compile(
    r"(?:-(?P<short>[rc])\s*|--(?P<long>requirement|constraint)(?:\s*=\s*|\s+))(?P<file>\S.*)"
)
OPTIONS = re.compile(r"\s+(?=--?[a-z])")
HASH = re.compile(r"--hash[=\s]\s*\w+:[0-9a-fA-F]+")
DEEPEST = 20  # files that include one another
NO_NAME = re.compile(r"[./~]|\S+://|\S+\.(?:whl|zip|tar\.\w+|tgz)$")

Read = Callable[[str], str]  # the text at a path or URL


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """A requirement with the place where it stands. words: the line, without its comment."""

    origin: Origin
    words: str
    requirement: Requirement

    def __str__(self) -> str:
        return f"{self.origin}: {self.words!r}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Demands:
    """What the requirement files of a branch say.

    bounds: what `-c` brings, which asks for nothing by itself. refused: lines that a closure cannot
    honour. warnings: what does no harm.
    """

    wanted: tuple[Demand, ...] = ()
    bounds: tuple[Demand, ...] = ()
    refused: tuple[Quarantined, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: Demands) -> Demands:
        return Demands(
            wanted=self.wanted + other.wanted,
            bounds=self.bounds + other.bounds,
            refused=self.refused + other.refused,
            warnings=self.warnings + other.warnings,
        )


class _RefusedError(ValueError):
    """Why a line is not honoured, as the end of a sentence."""


def parse_demands(text: str, branch: str, *, place: str, base: str, read: Read) -> Demands:
    """Read a requirement file and those that it includes.

    place: its name for messages. base: the path or URL that included files are relative to. read:
    reads those; its UnreachableError ends the reading, a file that is not there refuses the line.
    """
    reader = _Reader(branch=branch, read=read)
    reader.file(text, place, (base,), bound=False)
    return Demands(
        wanted=tuple(reader.wanted),
        bounds=tuple(reader.bounds),
        refused=tuple(reader.refused),
        warnings=tuple(reader.warnings),
    )


@dataclass(kw_only=True)
class _Reader:
    """Collects the lines of a file and of all that it includes."""

    branch: str
    read: Read
    wanted: list[Demand] = field(default_factory=list)
    bounds: list[Demand] = field(default_factory=list)
    refused: list[Quarantined] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def file(self, text: str, place: str, bases: tuple[str, ...], *, bound: bool) -> None:
        """Read one file. bases: its own path or URL, after those of the files that include it."""
        for number, words in _lines(text):
            origin = Origin(branch=self.branch, file=place, line=number)
            try:
                self._line(words, origin, bases, bound=bound)
            except _RefusedError as complaint:
                self.refused.append(Quarantined(origin=origin, words=words, complaint=str(complaint)))

    def _line(self, words: str, origin: Origin, bases: tuple[str, ...], *, bound: bool) -> None:
        if VARIABLE.search(words):
            raise _RefusedError("depends on the environment, which differs from machine to machine")
        if words.startswith("-"):
            return self._option(words, bases, bound=bound)
        requirement = _requirement(self._without_hashes(words, origin))
        if bound and requirement.extras:
            raise _RefusedError("has extras, which a constraint cannot have")
        kept = self.bounds if bound else self.wanted
        return kept.append(Demand(origin=origin, words=words, requirement=requirement))

    def _option(self, words: str, bases: tuple[str, ...], *, bound: bool) -> None:
        include = INCLUDE.fullmatch(words)
        if not include:
            editable = words.startswith(("-e", "--editable"))
            raise _RefusedError(
                "is editable, and a folder of sources is no pin"
                if editable
                else "is an option of pip, and the list says where files come from"
            )
        if "://" in include["file"] and not is_address(include["file"]):
            raise _RefusedError("includes what is neither a path nor an address of the web")
        there = _joined(bases[-1], include["file"])
        if there in bases or len(bases) > DEEPEST:
            raise _RefusedError("includes a file that includes it, or too many in a row")
        try:
            text = self.read(there)
        except ConfigurationError as error:
            raise _RefusedError(f"names a file, but {error.message.rstrip('.')}") from None
        shown_as = shown(there) if is_address(there) else there
        is_constraint = include["short"] == "c" or include["long"] == "constraint"
        self.file(text, shown_as, (*bases, there), bound=bound or is_constraint)

    def _without_hashes(self, words: str, origin: Origin) -> str:
        requirement, *options = OPTIONS.split(words)
        if not options:
            return words
        if not all(HASH.fullmatch(option) for option in options):
            raise _RefusedError("has options of an installer; what a build needs is said by a recipe")
        self.warnings.append(
            f"{origin}: the hashes of {requirement!r} are not compared: wheels built here have their own."
        )
        return requirement


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each logical line with the number of its first physical one, comments and blanks left out."""
    for number, line in _joined_lines(enumerate(text.removeprefix("\ufeff").splitlines(), start=1)):
        words = COMMENT.sub("", line).strip()
        if words:
            yield number, words


def _joined_lines(numbered: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Join lines that end in a backslash with the next; a comment ends such a row, as pip has it."""
    first, parts = 0, list[str]()
    for number, line in numbered:
        comment = COMMENT.match(line) is not None
        first = first if parts else number
        parts.append(f" {line}" if comment else line.removesuffix("\\"))
        if comment or not line.endswith("\\"):
            yield first, "".join(parts)
            parts = []
    if parts:
        yield first, "".join(parts)


def _requirement(text: str) -> Requirement:
    if NO_NAME.match(text):
        raise _RefusedError("is a path or a URL, where a pin has a project's name")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise _RefusedError(f"is not a requirement (PEP 508): {str(error).splitlines()[0]}") from None
    if requirement.url:
        raise _RefusedError("names a URL, which no pin can satisfy")
    if requirement.marker and not can_be_evaluated(requirement.marker):
        raise _RefusedError("has a marker that compares what cannot be compared")
    return requirement


def _joined(base: str, file: str) -> str:
    if is_address(file):
        return file
    return urljoin(base, file) if is_address(base) else normpath(join(dirname(base), file))
