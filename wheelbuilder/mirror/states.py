"""What a channel holds of a project, as a value and as canonical JSON."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from types import NoneType
from typing import Generic, TypeVar

from packaging.tags import Tag
from packaging.utils import NormalizedName
from packaging.version import InvalidVersion, Version

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.tables import Table
from wheelbuilder.mirror.documents import REPAIR, canonical, project_name, table
from wheelbuilder.mirror.layout import SHA256, WHEEL_NAME, blob_key
from wheelbuilder.mirror.needs import Need, as_tree, of_tree
from wheelbuilder.plan.files import FileName, IndexFile, parse_filename, unservable

_FILENAME = attrgetter("filename")
BUILD_KEY = re.compile(r"[A-Za-z0-9]{1,100}", re.ASCII)
# Names that are sound beyond doubt: name, version, build tag, and tags that are identifiers.
_PLAIN_WHEEL = re.compile(
    r"(?:[A-Za-z0-9.]|_(?!_))+-([^-]+)(?:-[0-9][^-]*)?-[a-z]\w*(?:\.[a-z]\w*)*-\w+(?:\.\w+)*-\w+(?:\.\w+)*\.whl",
    re.ASCII,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MirrorFile:
    """A wheel of ours as a channel lists it.

    size: bytes. upload_time: of the first publication, RFC 3339 in UTC; it never changes.
    yanked: None if not yanked, else the reason. target: the one it was built for.
    retired: since when the gap view does not list it, because upstream has a wheel for its target.
    """

    filename: str
    sha256: str
    size: int
    metadata_sha256: str
    upload_time: str
    requires_python: str | None = None
    build_key: str | None = None
    target: str | None = None
    yanked: str | None = None
    retired: str | None = None

    @property
    def key(self) -> str:
        """Where the store keeps it."""
        return blob_key(self.sha256, self.filename)

    @property
    def tags(self) -> frozenset[Tag]:
        """The tags that its name implies."""
        parsed = parse_filename(self.filename)
        return parsed.tags if parsed else frozenset()

    def as_index_file(self) -> IndexFile:
        """Return it as the planner sees files; the URL is relative to the store's root."""
        return IndexFile(
            filename=self.filename,
            url=self.key,
            sha256=self.sha256,
            size=self.size,
            requires_python=self.requires_python,
            upload_time=self.upload_time,
            yanked=self.yanked,
            metadata_sha256=self.metadata_sha256,
        )


File = TypeVar("File", MirrorFile, IndexFile)
_Kin = tuple[Version | None, frozenset[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectState:
    """Everything a channel holds of one project.

    upstream: its files of the pinned versions. needs: who needs which of our files. unneeded: since when no
    branch needs a file that one has needed, by its name.
    """

    name: NormalizedName
    files: tuple[MirrorFile, ...] = ()
    upstream: tuple[IndexFile, ...] = ()
    needs: tuple[Need, ...] = ()
    unneeded: Mapping[str, str] = field(default_factory=dict)

    @property
    def served(self) -> tuple[MirrorFile, ...]:
        """Our files that pages list: one that upstream has taken later, with other bytes, steps back."""
        if not (self.files and self.upstream):
            return self.files
        theirs = Namesakes(self.upstream)
        return tuple(file for file in self.files if not theirs.other(file.filename, file.sha256))

    @property
    def in_gap(self) -> tuple[MirrorFile, ...]:
        """Our files that the gap view lists: those that are served and not retired."""
        return tuple(file for file in self.served if file.retired is None)

    def following(self, before: ProjectState, time: str) -> ProjectState:
        """Return it without needs of files that nobody is served; those that were needed before are noted.

        time: RFC 3339, when that is.
        """
        if not (self.needs or self.unneeded or before.needs):
            return self
        served = {file.filename for file in self.in_gap}
        needs = tuple(need for need in self.needs if need.filename in served)
        needed = {need.filename for need in needs}
        lapsed = {need.filename for need in before.needs} | self.unneeded.keys()
        gone = lapsed & {file.filename for file in self.files} - needed
        return replace(self, needs=needs, unneeded={name: self.unneeded.get(name, time) for name in gone})

    def extends(self, older: ProjectState) -> bool:
        """Say whether pages list, as it was, all that they listed of an older state."""
        return {*older.served} <= {*self.served} and {*older.upstream} <= {*self.upstream}

    def checked(self, where: str) -> ProjectState:
        """Return it; IntegrityError where a file's name, digest or address may not stand in a key or a page.

        What is published was checked before, so only a state that somebody else has written is refused.
        """
        for file in self.files:
            if reason := _unfit(file):
                raise IntegrityError(f"{where}: {file.filename!r}: {reason}.", REPAIR)
        for theirs in self.upstream:
            if reason := unservable(theirs):
                raise IntegrityError(f"{where}: {theirs.filename!r}: {reason}.", REPAIR)
        named = {need.filename for need in self.needs} | self.unneeded.keys()
        for filename in sorted(named - {file.filename for file in self.files}):
            raise IntegrityError(f"{where}: {filename!r} is said to be needed, and is not there.", REPAIR)
        return self

    def to_bytes(self) -> bytes:
        """Return the one JSON form of this state: its digest is its name in the store."""
        return canonical(
            {
                "name": self.name,
                "files": [_OURS.given(file) for file in sorted(self.files, key=_FILENAME)],
                "upstream": [_THEIRS.given(file) for file in sorted(self.upstream, key=_FILENAME)],
                **({"needs": as_tree(self.needs)} if self.needs else {}),
                **({"unneeded": dict(self.unneeded)} if self.unneeded else {}),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> ProjectState:
        """Read a state; IntegrityError names `where` if it is damaged, ConfigurationError if it is newer."""
        values = table(data, where)
        try:
            return cls(
                name=project_name(values.get("name", str), where),
                files=_OURS.read(values, "files"),
                upstream=_THEIRS.read(values, "upstream"),
                needs=_needs(values),
                unneeded=values.mapping("unneeded"),
            ).checked(where)
        except ConfigurationError as error:
            raise IntegrityError(str(error), REPAIR) from None


def _needs(values: Table) -> tuple[Need, ...]:
    try:
        return of_tree(values.get("needs", dict, {}))
    except ValueError as error:
        raise values.error("needs", str(error)) from None


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with whole seconds, which every client reads (PEP 700)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions(filenames: Iterable[str]) -> tuple[Version, ...]:
    """Return the versions that these files are of, oldest first."""
    return tuple(sorted({version for version in map(version_of, filenames) if version}))


def version_of(filename: str) -> Version | None:
    """Return the version that a file is of; None for a name that is neither a wheel's nor an sdist's."""
    plain = _PLAIN_WHEEL.fullmatch(filename)  # spares reading the tags, which takes ten times as long
    if plain:
        return _parsed_version(plain[1])
    parsed = parse_filename(filename)
    return parsed.version if parsed else None


@lru_cache(maxsize=16384)
def _parsed_version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


class Namesakes(Generic[File]):
    """Wheels by what installers compare, however it is spelled: project, version, build tag and tags.

    Only the names of a version and platforms that are asked for are read whole: a page may have thousands.
    """

    def __init__(self, files: Iterable[File]) -> None:
        self._unread: dict[_Kin, list[File]] = {}
        self._read: dict[FileName | str, list[File]] = {}
        for file in files:
            if file.filename.endswith(".whl"):
                self._unread.setdefault(_kin(file.filename), []).append(file)

    def other(self, filename: str, sha256: str) -> File | None:
        """Return a wheel that is this one to an installer, and has other bytes."""
        for file in self._unread.pop(_kin(filename), ()):
            self.add(file)
        there = self._read.get(_identity(filename), ())
        return next((file for file in there if file.sha256 != sha256), None)

    def add(self, file: File) -> None:
        """Take another wheel in."""
        self._read.setdefault(_identity(file.filename), []).append(file)


def _kin(filename: str) -> _Kin:
    """Return what namesakes have in common and is read quickly: the version, and the platforms."""
    platforms = filename.removesuffix(".whl").rpartition("-")[2]
    return version_of(filename), frozenset(platforms.lower().split("."))


def _identity(filename: str) -> FileName | str:
    return parse_filename(filename) or filename


def _unfit(file: MirrorFile) -> str | None:
    """Say why a file of ours cannot be a key, or None."""
    if not WHEEL_NAME.fullmatch(file.filename):
        return "it is not the name of a wheel"
    if not SHA256.fullmatch(file.sha256):
        return f"{file.sha256!r} is not a SHA-256 digest"
    if file.build_key is not None and not BUILD_KEY.fullmatch(file.build_key):
        return f"{file.build_key!r} is not the key of a build"
    return None


class _Form(Generic[File]):
    """How the entries of one kind are read and written, as its dataclass says: strings, but for `size`."""

    def __init__(self, kind: type[File]) -> None:
        fields = dataclasses.fields(kind)
        self._kind: Callable[..., File] = kind
        self._names = tuple(field.name for field in fields)
        self._required = frozenset(field.name for field in fields if field.default is dataclasses.MISSING)
        # Every combination of types that a sound entry can have: one look says whether it is one.
        self._sound = frozenset(itertools.product(*map(self._types, self._names)))

    def read(self, values: Table, key: str) -> tuple[File, ...]:
        """Read an array of entries; ConfigurationError names the key that is not what it should be."""
        files = [self._quickly(entry) for entry in values.get(key, list, [])]
        sound = tuple(file for file in files if file)
        return sound if len(sound) == len(files) else tuple(map(self._carefully, values.array(key)))

    def given(self, file: File) -> dict[str, object]:
        """Return the values that a file has as an entry."""
        return {name: value for name in self._names if (value := getattr(file, name)) is not None}

    def _quickly(self, entry: object) -> File | None:
        """Read an entry that is sound; None for one that has to be looked at key by key."""
        if not isinstance(entry, dict) or None in entry.values():
            return None
        values = tuple(map(entry.get, self._names))
        sound = tuple(map(type, values)) in self._sound
        return self._kind(**dict(zip(self._names, values, strict=True))) if sound else None

    def _carefully(self, entry: Table) -> File:
        values = {
            name: (entry.get if name in self._required else entry.optional)(name, _value_type(name))
            for name in self._names
        }
        return self._kind(**values)

    def _types(self, name: str) -> tuple[type, ...]:
        return (_value_type(name),) if name in self._required else (_value_type(name), NoneType)


def _value_type(name: str) -> type:
    return int if name == "size" else str


_OURS = _Form(MirrorFile)
_THEIRS = _Form(IndexFile)
