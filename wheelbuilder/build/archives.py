"""Reads the archives of sdists that nobody vouches for, within bounds, and unpacks nothing."""

from __future__ import annotations

import calendar
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from lzma import LZMAError
from pathlib import Path
from typing import IO

from wheelbuilder.build.outcomes import FailureClass, StepFailedError

MOST_BYTES = 4 << 30  # what an sdist may hold when unpacked
MOST_MEMBERS = 200_000
MOST_TEXT = 16 << 20  # bytes of the files that describe an sdist
MOST_EXTENDED = 16 << 10  # bytes a member; tarfile's search in them is quadratic before Python 3.11.10
HEADERS_PER_MEMBER = 4
MOST_SECONDS = 1 << 40
EXTENDED = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
# 1980-01-02 and 2107-12-31: what zip can hold, in every time zone
EARLIEST, LATEST = 315_619_200, 4_354_732_800
UNREADABLE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError),
    # no such link target; encrypted; compressed in an unknown way
    *(ValueError, KeyError, RuntimeError, OverflowError),
)


def newest_time(archive: Path) -> int:
    """Return an sdist's SOURCE_DATE_EPOCH: its newest member's time in seconds, as far as zip can hold it."""
    with refused_as_unpack(archive):
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as opened:
                times = [zip_seconds(info) for info in opened.infolist()]
        else:
            times = [int(member.mtime) for _, member in members(archive)]
    return min(max([*times, EARLIEST]), LATEST)


def texts(archive: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return what an sdist holds at the paths below its top folder that are wanted; writes nothing.

    Links are passed over. Raises StepFailedError UNPACK for what cannot be read.
    """
    with refused_as_unpack(archive):
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as opened:
                files = ((info.filename, partial(opened.open, info)) for info in opened.infolist())
                return _texts(files, wanted)
        held = ((tar, member) for tar, member in members(archive) if member.isfile())
        return _texts(((member.name, partial(tar.extractfile, member)) for tar, member in held), wanted)


def _texts(
    files: Iterable[tuple[str, Callable[[], IO[bytes] | None]]], wanted: Callable[[str], bool]
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = MOST_TEXT
    for name, opened in files:
        path = name.removeprefix("./").partition("/")[2]
        source = opened() if wanted(path) else None
        if source is None:
            continue
        with source:
            found[path] = source.read(left + 1)
        left -= len(found[path])
        if left < 0:
            raise ValueError(f"what describes it has more than {MOST_TEXT >> 20} MiB")
    return found


@contextmanager
def refused_as_unpack(archive: Path) -> Iterator[None]:
    """Turn what reading a bad archive raises into StepFailedError UNPACK."""
    try:
        yield
    except UNREADABLE as error:
        raise StepFailedError(FailureClass.UNPACK, f"{archive.name} cannot be unpacked: {error}") from None


def members(archive: Path) -> Iterator[tuple[_Archive, tarfile.TarInfo]]:
    """Yield the members of a tar, each with the archive that it can be read from until the next one comes.

    Raises what `refused_as_unpack` takes: ValueError for too many, too large, or impossible ones.
    """
    with _Archive.open(archive) as opened:
        count = 0
        while (member := opened.next()) is not None:
            opened.members.clear()  # type: ignore[attr-defined]  # tarfile keeps all, with their headers
            count += 1
            refuse_excess(opened.position() + max(member.size, 0), count)
            if member.size < 0 or not abs(member.mtime) < MOST_SECONDS:  # not: NaN
                raise ValueError(f"the member {member.name!r} has an impossible size or time")
            yield opened, member


def zip_seconds(info: zipfile.ZipInfo) -> int:
    """Return a zip member's time, in seconds."""
    try:
        return calendar.timegm((*info.date_time, 0, 0, 0))
    except ValueError:  # month 0, day 0: a zip without times
        return EARLIEST


def refuse_excess(total: int, count: int) -> None:
    """Raise ValueError for more bytes or members than an sdist has."""
    if total > MOST_BYTES:
        raise ValueError(f"it holds more than {MOST_BYTES >> 30} GiB")
    if count > MOST_MEMBERS:
        raise ValueError(f"it holds more than {MOST_MEMBERS} members")


class _Header(tarfile.TarInfo):
    """Any header of a tar, refused before tarfile reads what it announces into memory."""

    def _proc_member(self, archive: _Archive) -> tarfile.TarInfo:
        archive.headers += 1
        if archive.headers > HEADERS_PER_MEMBER * MOST_MEMBERS:
            raise ValueError(f"it holds more than {MOST_MEMBERS} members")
        if self.size < 0 or self.type == tarfile.GNUTYPE_SPARSE:
            raise ValueError(f"the member {self.name!r} is sparse or has no size")
        refuse_excess(archive.position() + self.size, 0)
        archive.count_extended(self)
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]

    def _refuse_sparse(self, following: tarfile.TarInfo, *_: object) -> None:
        raise ValueError(
            f"the member {following.name!r} is sparse"
        )  # its map has no bounds, its holes no size

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


class _Archive(tarfile.TarFile):
    """A tar whose headers are bounded, in number and in size."""

    tarinfo = _Header
    headers = 0
    extended = 0  # bytes: of the extended headers since the last member
    lasting = 0  # bytes: of those that hold for all members

    def position(self) -> int:
        """Return how many bytes were read, decompressed."""
        return self.fileobj.tell() if self.fileobj else 0

    def count_extended(self, header: tarfile.TarInfo) -> None:
        """Refuse what makes the extended headers of one member larger than MOST_EXTENDED."""
        if header.type not in EXTENDED:
            self.extended = self.lasting
            return
        self.extended += tarfile.BLOCKSIZE + header.size
        if header.type == tarfile.XGLTYPE:
            self.lasting += tarfile.BLOCKSIZE + header.size
        if self.extended > MOST_EXTENDED:
            raise ValueError(f"a member has more than {MOST_EXTENDED >> 10} KiB of extended headers")
