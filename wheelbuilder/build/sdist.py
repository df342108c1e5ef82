"""Brings one file from an index to disk, digest checked, and unpacks sdists that nobody vouches for."""

from __future__ import annotations

import calendar
import hashlib
import os
import posixpath
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

import requests

from wheelbuilder.build import process
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.http import may_pass
from wheelbuilder.inputs.recipes import Patch
from wheelbuilder.plan.files import IndexFile

CHUNK = 1 << 20  # bytes
CONNECT_AND_READ = (15.0, 120.0)  # seconds
ATTEMPTS = 4  # for bodies that break off, which the session's own retries do not see
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
TOP = "source"
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
EARLIEST, LATEST = (
    315_619_200,
    4_354_732_800,
)  # 1980-01-02 and 2107-12-31: what zip can hold, in every time zone
SHA256 = re.compile(r"[0-9a-f]{64}")
FILENAME = re.compile(r"[^./\0][^/\0]*")  # it becomes a path here
# As it is: bytes that a server calls compressed would be unpacked before they are compared with the digest.
HEADERS = {"Accept-Encoding": "identity"}
UNREADABLE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError),
    *(
        ValueError,
        KeyError,
        RuntimeError,
        OverflowError,
    ),  # no such link target; encrypted; compressed in an unknown way
)


def fetch(file: IndexFile, folder: Path, session: requests.Session) -> Path:
    """Return `folder/<sha256>/<filename>`, downloading it if it is not there, digest checked.

    Raises StepFailedError: BAD_DIGEST if the bytes are not what the index says, NO_SOURCE if they
    cannot be had.
    """
    if not SHA256.fullmatch(file.sha256) or not FILENAME.fullmatch(file.filename):
        raise StepFailedError(
            FailureClass.BAD_DIGEST,
            f"{file.filename!r} with the digest {file.sha256!r} is no file name and no SHA-256.",
        )
    place = folder / file.sha256 / file.filename
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _download(file, place, session)
        except requests.RequestException as error:
            if attempt == ATTEMPTS or not _can_heal(error):
                raise StepFailedError(
                    FailureClass.NO_SOURCE,
                    f"{file.filename} cannot be fetched: {_words(error)}",
                    passing=may_pass(error),
                ) from None
    raise AssertionError("the loop returns or raises")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist into `folder` and return its one top folder, renamed `source` (PEP 625, PEP 527).

    Refused, with StepFailedError UNPACK and before anything of the member is written: absolute paths,
    `..`, links that leave the folder, anything behind a link, devices, sparse files, long names, more
    than MOST_BYTES, MOST_MEMBERS or MOST_EXTENDED.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _refused_as_unpack(archive):
        if archive.name.endswith(".zip"):
            _unpack_zip(archive, folder)
        else:
            _unpack_tar(archive, folder)
    tops = sorted(folder.iterdir())
    if len(tops) != 1 or tops[0].is_symlink() or not tops[0].is_dir():
        raise StepFailedError(
            FailureClass.UNPACK, f"{archive.name} must hold one folder, not {len(tops)} entries."
        )
    return tops[0].rename(folder / TOP)  # its name is the archive's, and would get into mounts and logs


@contextmanager
def _refused_as_unpack(archive: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise StepFailedError(FailureClass.UNPACK, f"{archive.name} cannot be unpacked: {error}") from None


def remove_files(patterns: Iterable[str], source: Path) -> None:
    """Delete files of an unpacked sdist; StepFailedError PATCH for a pattern that no file has."""
    for pattern in patterns:
        files = [path for path in source.glob(pattern) if path.is_symlink() or path.is_file()]
        if not files:
            raise StepFailedError(
                FailureClass.PATCH,
                f"the sdist has no {pattern} to remove",
                "Correct `remove` of the recipe, or limit it to the versions it fits.",
            )
        for path in files:
            path.unlink()


def apply_patch(patch: Patch, source: Path, log: Path) -> None:
    """Apply a recipe's patch (unified diff, -p1); StepFailedError PATCH unless all of it fits exactly."""
    argv = ("patch", "--strip=1", "--batch", "--forward", "--fuzz=0", "--no-backup-if-mismatch")
    done = process.run((*argv, "--directory", str(source)), stdin=patch.text.encode(), timeout=60, log=log)
    if not done.ok:
        raise StepFailedError(
            FailureClass.PATCH,
            f"the patch {patch.name} does not apply",
            "Bring the patch up to date, or limit it to the versions it fits.",
            tuple(log.read_text(errors="replace").splitlines()[-5:]),
        )


def give(folder: Path, user: int) -> None:
    """Hand a tree to the build's user (where we are root) with fixed modes, following no link."""
    for place in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            os.chown(place, user, user, follow_symlinks=False)
        if not place.is_symlink():
            place.chmod(0o755 if place.is_dir() or place.stat().st_mode & 0o100 else 0o644)


def newest_time(archive: Path) -> int:
    """Return an sdist's SOURCE_DATE_EPOCH: its newest member's time in seconds, as far as zip can hold it."""
    with _refused_as_unpack(archive):
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as opened:
                times = [_zip_seconds(info) for info in opened.infolist()]
        else:
            times = [int(member.mtime) for _, member in _members(archive)]
    return min(max([*times, EARLIEST]), LATEST)


def texts(archive: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return what an sdist holds at the paths below its top folder that are wanted; writes nothing.

    Links are passed over. Raises StepFailedError UNPACK for what cannot be read.
    """
    with _refused_as_unpack(archive):
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as opened:
                files = ((info.filename, partial(opened.open, info)) for info in opened.infolist())
                return _texts(files, wanted)
        members = ((tar, member) for tar, member in _members(archive) if member.isfile())
        return _texts(((member.name, partial(tar.extractfile, member)) for tar, member in members), wanted)


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


def _zip_seconds(info: zipfile.ZipInfo) -> int:
    try:
        return calendar.timegm((*info.date_time, 0, 0, 0))
    except ValueError:  # month 0, day 0: a zip without times
        return EARLIEST


def _download(file: IndexFile, place: Path, session: requests.Session) -> Path:
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as partial:
        try:
            with session.get(file.url, stream=True, timeout=CONNECT_AND_READ, headers=HEADERS) as response:
                response.raise_for_status()
                for chunk in response.iter_content(CHUNK):
                    digest.update(chunk)
                    partial.write(chunk)
                    if partial.tell() > (file.size or MOST_BYTES):
                        break  # an endless body must not fill the disk; the digest will not match
            partial.close()
            if digest.hexdigest() != file.sha256:
                raise StepFailedError(
                    FailureClass.BAD_DIGEST,
                    f"{file.filename} does not match its digest: the index says {file.sha256}, "
                    f"the bytes give {digest.hexdigest()}.",
                    "Do not build it. Compare with the project's own release, and tell the index.",
                )
            Path(partial.name).chmod(0o644)
            Path(partial.name).replace(place)
        except BaseException:
            Path(partial.name).unlink(missing_ok=True)
            raise
    return place


def _can_heal(error: Exception) -> bool:
    # What a status code or a refused connection says has been repeated by the session, with pauses.
    return isinstance(error, requests.exceptions.ChunkedEncodingError)


def _words(error: Exception) -> str:
    response = getattr(error, "response", None)
    return f"the index answered {response.status_code}" if response is not None else str(error)


class _Header(tarfile.TarInfo):
    """Any header of a tar, refused before tarfile reads what it announces into memory."""

    def _proc_member(self, archive: _Archive) -> tarfile.TarInfo:
        archive.headers += 1
        if archive.headers > HEADERS_PER_MEMBER * MOST_MEMBERS:
            raise ValueError(f"it holds more than {MOST_MEMBERS} members")
        if self.size < 0 or self.type == tarfile.GNUTYPE_SPARSE:
            raise ValueError(f"the member {self.name!r} is sparse or has no size")
        _refuse_excess(archive.position() + self.size, 0)
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


def _members(archive: Path) -> Iterator[tuple[_Archive, tarfile.TarInfo]]:
    with _Archive.open(archive) as opened:
        count = 0
        while (member := opened.next()) is not None:
            opened.members.clear()  # type: ignore[attr-defined]  # tarfile keeps all, with their headers
            count += 1
            _refuse_excess(opened.position() + max(member.size, 0), count)
            if member.size < 0 or not abs(member.mtime) < MOST_SECONDS:  # not: NaN
                raise ValueError(f"the member {member.name!r} has an impossible size or time")
            yield opened, member


def _unpack_tar(archive: Path, folder: Path) -> None:
    # Not extractall: its filter is missing before Python 3.11.4, and has been outwitted since.
    times: dict[Path, float] = {}
    for opened, member in _members(archive):
        if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            raise ValueError(f"the member {member.name!r} is a device or a pipe")
        place = _place(folder, member.name)
        if member.isdir():
            _make_folder(place)
            times[place] = member.mtime
            continue
        _make_room(place, member)
        if member.issym():
            place.symlink_to(_target_inside(member))
        elif member.islnk():
            _link(_place(folder, member.linkname), place, member)
        else:
            _write(opened.extractfile(member), place, member.mode, member.mtime)
        if member.issym():
            os.utime(place, (member.mtime, member.mtime), follow_symlinks=False)
    for place, time in times.items():
        os.utime(place, (time, time), follow_symlinks=False)


def _place(folder: Path, name: str) -> Path:
    """Return where a member belongs; its parents are made, and all are folders and no links."""
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name):
        raise ValueError(f"the member {name!r} would leave the folder")
    parts = PurePosixPath(name).parts
    if len(os.fsencode(name)) > 1024 or any(len(os.fsencode(part)) > 255 for part in parts):
        raise ValueError(f"the member {name[:80]!r}... has too long a name")
    for part in parts[:-1]:
        folder /= part
        _make_folder(folder)
    return folder.joinpath(*parts[-1:])


def _make_folder(place: Path) -> None:
    try:
        place.mkdir(mode=0o755)
    except FileExistsError:
        # The disk is asked, not a list: a link that got there in any way is seen, and never followed.
        if not stat.S_ISDIR(place.lstat().st_mode):
            raise ValueError(f"{place.name!r} is a link or a file, and a folder in another member") from None


def _make_room(place: Path, member: tarfile.TarInfo) -> None:
    if not os.path.lexists(place):
        return
    kind = stat.S_IFMT(place.lstat().st_mode)
    if kind != stat.S_IFREG and not (member.issym() and kind == stat.S_IFLNK):
        raise ValueError(f"the member {member.name!r} lies behind a link or replaces a folder")
    place.unlink()  # tar: the later member of the same name counts


def _target_inside(member: tarfile.TarInfo) -> str:
    """Return a symbolic link's target with `..` only at its start, where no link can bend it."""
    target = posixpath.normpath(member.linkname)
    top, *rest = PurePosixPath(member.name).parts
    ups = PurePosixPath(target).parts.count("..")
    if not member.linkname or target.startswith("/") or ups > len(rest) - 1 or not top:
        raise ValueError(f"the link {member.name!r} would leave the folder")
    return target


def _link(existing: Path, place: Path, member: tarfile.TarInfo) -> None:
    # All that lies in the folder comes from this archive; what is no regular file there is no target.
    if not os.path.lexists(existing) or not stat.S_ISREG(existing.lstat().st_mode):
        raise ValueError(f"the hard link {member.name!r} does not lead to a file of this archive")
    os.link(existing, place, follow_symlinks=False)


def _write(source: IO[bytes] | None, place: Path, mode: int, time: float) -> None:
    if source is None:
        raise ValueError(f"the member {place.name!r} holds no data")
    with source, os.fdopen(os.open(place, NEW, 0o600), "wb") as sink:
        shutil.copyfileobj(source, sink, CHUNK)  # both formats stop at the declared size
        os.fchmod(sink.fileno(), 0o755 if mode & 0o100 else 0o644)
    os.utime(place, (time, time), follow_symlinks=False)


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
        _refuse_excess(sum(info.file_size for info in infos), len(infos))
        for info in infos:
            _unpack_zip_member(opened, info, folder)


def _unpack_zip_member(opened: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path) -> None:
    if "\\" in info.filename:
        raise ValueError(f"the member {info.filename!r} would leave the folder")
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"the member {info.filename!r} is a link or a device")
    place = _place(folder, info.filename)
    if info.is_dir():
        _make_folder(place)
    else:
        _write(opened.open(info), place, mode, _zip_seconds(info))


def _refuse_excess(total: int, count: int) -> None:
    if total > MOST_BYTES:
        raise ValueError(f"it holds more than {MOST_BYTES >> 30} GiB")
    if count > MOST_MEMBERS:
        raise ValueError(f"it holds more than {MOST_MEMBERS} members")
