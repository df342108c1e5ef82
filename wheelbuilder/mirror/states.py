"""What a channel holds: project states and commits, as values and as canonical JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from packaging.tags import Tag
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.tables import Table
from wheelbuilder.mirror.layout import SHA256, blob_key
from wheelbuilder.plan.files import IndexFile, parse_filename

SCHEMA = 1
NORMALIZED = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9]))*", re.ASCII)  # PEP 503


@dataclass(frozen=True, kw_only=True, slots=True)
class MirrorFile:
    """A wheel of ours as a channel lists it.

    size: bytes. upload_time: of the first publication, RFC 3339 in UTC; it never changes.
    yanked: None if not yanked, else the reason. target: the one it was built for.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectState:
    """Everything a channel holds of one project; `upstream` are upstream's files of the pinned versions."""

    name: NormalizedName
    files: tuple[MirrorFile, ...] = ()
    upstream: tuple[IndexFile, ...] = ()

    @property
    def served(self) -> tuple[MirrorFile, ...]:
        """Our files that pages list: one whose name upstream took later, with other bytes, steps back."""
        theirs = {file.filename: file.sha256 for file in self.upstream}
        return tuple(file for file in self.files if theirs.get(file.filename, file.sha256) == file.sha256)

    def to_bytes(self) -> bytes:
        """Return the one JSON form of this state: its digest is its name in the store."""
        return _canonical(
            {
                "schema": SCHEMA,
                "name": self.name,
                "files": [_given(file) for file in sorted(self.files, key=lambda file: file.filename)],
                "upstream": [_given(file) for file in sorted(self.upstream, key=lambda file: file.filename)],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> ProjectState:
        """Read a state; IntegrityError names `where` if it is damaged, ConfigurationError if it is newer."""
        table = _table(data, where)
        try:
            return cls(
                name=_project(table.get("name", str), where),
                files=tuple(_mirror_file(entry) for entry in table.array("files")),
                upstream=tuple(_index_file(entry) for entry in table.array("upstream")),
            )
        except ConfigurationError as error:
            raise IntegrityError(str(error), REPAIR) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """What a channel holds as a whole.

    parent: digest of the commit before, "" for the first. projects: digest of each project's state.
    gap: the projects of which the channel has files of ours. time: RFC 3339. run: who published.
    """

    number: int
    parent: str = ""
    projects: Mapping[NormalizedName, str] = field(default_factory=dict)
    gap: frozenset[NormalizedName] = frozenset()
    time: str = ""
    run: str = ""

    def to_bytes(self) -> bytes:
        """Return the one JSON form of this commit."""
        values = {name: getattr(self, name) for name in ("number", "parent", "time", "run")}
        projects = dict(self.projects)
        return _canonical({"schema": SCHEMA, **values, "projects": projects, "gap": sorted(self.gap)})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Commit:
        """Read a commit; errors as for a state."""
        table = _table(data, where)
        try:
            projects = {_project(name, where): value for name, value in table.mapping("projects").items()}
            commit = cls(
                number=table.get("number", int),
                parent=table.get("parent", str),
                projects=projects,
                gap=frozenset(_project(name, where) for name in table.strings("gap")),
                time=table.get("time", str),
                run=table.get("run", str),
            )
        except ConfigurationError as error:
            raise IntegrityError(str(error), REPAIR) from None
        if not commit.gap <= projects.keys() or not all(map(SHA256.fullmatch, projects.values())):
            raise IntegrityError(f"{where} does not hang together.", REPAIR)
        return commit


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with whole seconds, which every client reads (PEP 700)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions(filenames: Iterable[str]) -> tuple[Version, ...]:
    """Return the versions that these files are of, oldest first."""
    return tuple(sorted({parsed.version for parsed in map(parse_filename, filenames) if parsed}))


REPAIR = "Run 'wheelbuilder audit' on the store; an earlier commit of the channel is kept beside its head."


def _canonical(values: Mapping[str, object]) -> bytes:
    # ASCII only, so that no string of upstream's, however odd, fails to encode.
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def _given(file: MirrorFile | IndexFile) -> dict[str, object]:
    values = ((entry.name, getattr(file, entry.name)) for entry in dataclasses.fields(file))
    return {name: value for name, value in values if value is not None}


def _table(data: bytes, where: str) -> Table:
    try:
        values = json.loads(data)
    except ValueError:  # UnicodeDecodeError and JSONDecodeError are such
        values = None
    if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
        raise IntegrityError(f"{where} is damaged: it is not what wheelbuilder writes.", REPAIR)
    if values["schema"] > SCHEMA:
        raise ConfigurationError(
            f"{where} has schema {values['schema']}, and this wheelbuilder knows none after {SCHEMA}.",
            "A newer wheelbuilder wrote it: use that one.",
        )
    return Table(values, where)


def _project(name: str, where: str) -> NormalizedName:
    if not NORMALIZED.fullmatch(name):
        raise IntegrityError(f"{where}: {name!r} is not a normalized project name.", REPAIR)
    return canonicalize_name(name)


def _mirror_file(table: Table) -> MirrorFile:
    return MirrorFile(
        filename=table.get("filename", str),
        sha256=table.get("sha256", str),
        size=table.get("size", int),
        metadata_sha256=table.get("metadata_sha256", str),
        upload_time=table.get("upload_time", str),
        requires_python=table.optional("requires_python", str),
        build_key=table.optional("build_key", str),
        target=table.optional("target", str),
        yanked=table.optional("yanked", str),
    )


def _index_file(table: Table) -> IndexFile:
    return IndexFile(
        filename=table.get("filename", str),
        url=table.get("url", str),
        sha256=table.get("sha256", str),
        size=table.optional("size", int),
        requires_python=table.optional("requires_python", str),
        upload_time=table.optional("upload_time", str),
        yanked=table.optional("yanked", str),
        metadata_sha256=table.optional("metadata_sha256", str),
    )
