"""Reads bindep files: which system packages a project wants on which platform, for which purpose.

The grammar and its meaning are those of OpenStack's bindep 2.14 (docs.opendev.org/opendev/bindep).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from wheelbuilder.errors import ConfigurationError

DEFAULT = "default"  # the profile of a reader who names none
PLATFORM = "platform:"
VERSION = r"(?:<=|>=|==|!=|<|>)[A-Za-z0-9.+~:-]+"
LINE = re.compile(
    r"(?P<name>[A-Za-z0-9/][A-Za-z0-9.+_/-]+)"
    r"(?:[ \t]+\[(?P<selectors>[^\[\]#]*)\])?"
    rf"(?:[ \t]+(?P<versions>{VERSION}(?:,{VERSION})*))?"
    r"[ \t]*(?:#.*)?"
)
SELECTOR = re.compile(r"!?[a-z0-9:.-]+")
# What bindep calls the package managers and families of a distribution.
FAMILIES = {
    "debian": ("dpkg",),
    "ubuntu": ("dpkg",),
    "almalinux": ("rpm", "redhat"),
    "centos": ("rpm", "redhat"),
    "fedora": ("rpm", "redhat"),
    "rhel": ("rpm", "redhat"),
    "rocky": ("rpm", "redhat"),
    "opensuse": ("rpm", "suse"),
    "alpine": ("apk",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """One word in brackets: a profile, or a platform, that shall be active or (`!`) shall not."""

    name: str
    wanted: bool

    def holds(self, active: Collection[str]) -> bool:
        """Whether it is as wanted."""
        return (self.name in active) == self.wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A package and when it is wanted. groups: the selectors in parentheses, which must all hold.

    versions: what it shall be compared with, as written; a root has the one version of its archive.
    """

    name: str
    number: int
    selectors: tuple[Selector, ...] = ()
    groups: tuple[tuple[Selector, ...], ...] = ()
    versions: tuple[str, ...] = ()

    def applies(self, active: Collection[str]) -> bool:
        """Whether it is wanted where these profiles and platforms are active.

        Platforms and profiles are asked apart, and both must agree; a group counts as a profile.
        """
        platforms = [it for it in self.selectors if it.name.startswith(PLATFORM)]
        profiles = [it for it in self.selectors if not it.name.startswith(PLATFORM)]
        return _agrees(platforms, (), active) and _agrees(profiles, self.groups, active)


def _agrees(
    selectors: Iterable[Selector], groups: Collection[tuple[Selector, ...]], active: Collection[str]
) -> bool:
    positive = [it for it in selectors if it.wanted]
    if any(not it.wanted and it.name in active for it in selectors):
        return False
    met = any(it.name in active for it in positive)
    return met or any(_all_hold(group, active) for group in groups) or not (positive or groups)


def _all_hold(group: Iterable[Selector], active: Collection[str]) -> bool:
    return all(it.holds(active) for it in group)


def parse_bindep(text: str, where: str) -> tuple[Line, ...]:
    """Read a bindep file. Raises ConfigurationError naming file (`where`) and line."""
    return tuple(_lines(text, where))


def _lines(text: str, where: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if words and not words.startswith("#"):
            match = LINE.fullmatch(words)
            if not match:
                raise ConfigurationError(
                    f"{where}:{number}: {words!r:.100} is no line of a bindep file.",
                    "Write: package [platform:dpkg profile] >=1.0  # comment",
                )
            selectors, groups = _selectors(match["selectors"] or "", f"{where}:{number}")
            versions = tuple(filter(None, (match["versions"] or "").split(",")))
            yield Line(
                name=match["name"], number=number, selectors=selectors, groups=groups, versions=versions
            )


def _selectors(text: str, where: str) -> tuple[tuple[Selector, ...], tuple[tuple[Selector, ...], ...]]:
    selectors: list[Selector] = []
    groups: list[tuple[Selector, ...]] = []
    group: list[Selector] | None = None
    for word in text.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(" and group is None:
            group = []
        elif word == ")" and group is not None:
            groups.append(tuple(group))
            group = None
        elif SELECTOR.fullmatch(word):
            read = Selector(name=word.removeprefix("!"), wanted=not word.startswith("!"))
            (selectors if group is None else group).append(read)
        else:
            raise ConfigurationError(f"{where}: {word!r:.50} is no selector.", "Write [platform:dpkg test].")
    if group is not None:
        raise ConfigurationError(f"{where}: a parenthesis is not closed.")
    return tuple(selectors), tuple(groups)


def wanted(lines: Iterable[Line], active: Collection[str]) -> tuple[Line, ...]:
    """Return the lines that apply, the first of each package."""
    found: dict[str, Line] = {}
    for line in lines:
        if line.applies(active):
            found.setdefault(line.name, line)
    return tuple(found.values())


def active(distribution: str, suite: str = "", profiles: Collection[str] = ()) -> frozenset[str]:
    """Return what is active on a distribution (`debian-12`, suite `bookworm`) under some profiles."""
    name, _, version = distribution.partition("-")
    bits = version.split(".") if version else []
    releases = (f"{name}-{'.'.join(bits[:count])}" for count in range(1, len(bits) + 1))
    platforms = {
        name,
        *releases,
        *FAMILIES.get(name, ()),
        "base-py3",
        *([f"{name}-{suite}"] if suite else []),
    }
    return frozenset(f"{PLATFORM}{it}" for it in platforms) | frozenset(profiles or {DEFAULT})
