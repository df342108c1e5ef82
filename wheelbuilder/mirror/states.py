"""What a channel holds of a project, as a value and as canonical JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from packaging.tags import Tag
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.tables import Table
from wheelbuilder.mirror.documents import REPAIR, canonical, project_name, table
from wheelbuilder.mirror.layout import blob_key
from wheelbuilder.plan.files import IndexFile, parse_filename


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

    @property
    def in_gap(self) -> tuple[MirrorFile, ...]:
        """Our files that the gap view lists: those that are served and not retired."""
        return tuple(file for file in self.served if file.retired is None)

    def to_bytes(self) -> bytes:
        """Return the one JSON form of this state: its digest is its name in the store."""
        return canonical(
            {
                "name": self.name,
                "files": [_given(file) for file in sorted(self.files, key=lambda file: file.filename)],
                "upstream": [_given(file) for file in sorted(self.upstream, key=lambda file: file.filename)],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> ProjectState:
        """Read a state; IntegrityError names `where` if it is damaged, ConfigurationError if it is newer."""
        values = table(data, where)
        try:
            return cls(
                name=project_name(values.get("name", str), where),
                files=tuple(_mirror_file(entry) for entry in values.array("files")),
                upstream=tuple(_index_file(entry) for entry in values.array("upstream")),
            )
        except ConfigurationError as error:
            raise IntegrityError(str(error), REPAIR) from None


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with whole seconds, which every client reads (PEP 700)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions(filenames: Iterable[str]) -> tuple[Version, ...]:
    """Return the versions that these files are of, oldest first."""
    return tuple(sorted({parsed.version for parsed in map(parse_filename, filenames) if parsed}))


def _given(file: MirrorFile | IndexFile) -> dict[str, object]:
    values = ((entry.name, getattr(file, entry.name)) for entry in dataclasses.fields(file))
    return {name: value for name, value in values if value is not None}


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
        retired=table.optional("retired", str),
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
