"""What publication needs of a wheel: its digest, and its METADATA byte for byte (PEP 427, 658)."""

from __future__ import annotations

import email.parser
import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.layout import WHEEL_NAME
from wheelbuilder.plan.files import FileName, parse_filename

MOST_METADATA = 16 << 20  # bytes; the largest real ones have a few hundred kilobytes


@dataclass(frozen=True, kw_only=True, slots=True)
class NewWheel:
    """A wheel to publish. `path` is None where a worker has put the file into the store already."""

    filename: str
    sha256: str
    size: int
    metadata: bytes
    path: Path | None = None
    requires_python: str | None = None
    build_key: str | None = None
    target: str | None = None


def read_wheel(path: Path, *, build_key: str | None = None, target: str | None = None) -> NewWheel:
    """Read what publication needs of a wheel; IntegrityError if it is not one or lies about its name."""
    name = wheel_name(path.name)
    metadata = read_metadata(path)
    fields = email.parser.BytesHeaderParser().parsebytes(metadata)
    _check_identity(path, name, str(fields["Name"] or ""), str(fields["Version"] or ""))
    return NewWheel(
        filename=path.name,
        sha256=file_digest(path),
        size=path.stat().st_size,
        metadata=metadata,
        path=path,
        requires_python=str(fields["Requires-Python"] or "").strip() or None,
        build_key=build_key,
        target=target,
    )


def wheel_name(filename: str) -> FileName:
    """Read a wheel's file name; IntegrityError for one that must not be published."""
    parsed = parse_filename(filename) if WHEEL_NAME.fullmatch(filename) else None
    if parsed is None:
        raise IntegrityError(f"{filename!r} is not the name of a wheel.", "Build the wheel again.")
    if any(tag.platform.startswith("linux_") for tag in parsed.tags):
        raise IntegrityError(
            f"{filename} has a bare linux tag, which says nothing of what it needs.", "Repair it first."
        )
    return parsed


def read_metadata(path: Path) -> bytes:
    """Return the top-level `<name>-<version>.dist-info/METADATA` of a wheel as it is in the archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = _metadata_entry(archive, path)
            if entry.file_size > MOST_METADATA:
                raise IntegrityError(
                    f"{path.name}: its METADATA has {entry.file_size} bytes.", "It is no wheel."
                )
            return archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise IntegrityError(f"{path.name} is not a zip archive that can be read: {error}.", AGAIN) from None
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}.", AGAIN) from None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


AGAIN = "Build the wheel again."


def _metadata_entry(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    name, version = path.name.split("-")[:2]
    wanted = (canonicalize_name(name), _version(version))
    found = []
    for entry in archive.infolist():
        folder, _, rest = entry.filename.partition("/")
        owner, _, number = folder.removesuffix(".dist-info").rpartition("-")
        if rest == "METADATA" and folder.endswith(".dist-info"):
            found.append(((canonicalize_name(owner), _version(number)), entry))
    if len(found) != 1 or found[0][0] != wanted:
        there = repr(found[0][1].filename) if len(found) == 1 else str(len(found))
        raise IntegrityError(
            f"{path.name} must have one {name}-{version}.dist-info/METADATA; it has {there}.", AGAIN
        )
    return found[0][1]


def _check_identity(path: Path, named: FileName, name: str, version: str) -> None:
    said: tuple[NormalizedName, Version | str] = (canonicalize_name(name), _version(version))
    if said != (named.project, named.version):
        raise IntegrityError(f"{path.name}: its METADATA says {name!r} {version!r}.", AGAIN)


def _version(text: str) -> Version | str:
    try:
        return Version(text)
    except InvalidVersion:
        return text
