"""Brings one file from an index to disk, digest checked, and unpacks sdists that nobody vouches for."""

from __future__ import annotations

import calendar
import hashlib
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath

import requests

from wheelbuilder.build import process
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.recipes import Patch
from wheelbuilder.plan.files import IndexFile

CHUNK = 1 << 20  # bytes
CONNECT_AND_READ = (15.0, 120.0)  # seconds
ATTEMPTS = 4  # for bodies that break off, which the session's own retries do not see
MOST_BYTES = 4 << 30  # what an sdist may hold when unpacked
MOST_MEMBERS = 200_000
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
    *(ValueError, KeyError, RuntimeError),  # no such link target; encrypted; compressed in an unknown way
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
        except (requests.RequestException, OSError) as error:
            if attempt == ATTEMPTS or not _can_heal(error):
                raise StepFailedError(
                    FailureClass.NO_SOURCE, f"{file.filename} cannot be fetched: {_words(error)}"
                ) from None
    raise AssertionError("the loop returns or raises")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist into `folder` and return its one top folder (PEP 625, PEP 527 for zip).

    Refused, with StepFailedError UNPACK and before anything of the member is written: absolute paths,
    `..`, links that leave the folder, devices, more than MOST_BYTES or MOST_MEMBERS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if archive.name.endswith(".zip"):
            _unpack_zip(archive, folder)
        else:
            _unpack_tar(archive, folder)
    except UNREADABLE as error:
        raise StepFailedError(FailureClass.UNPACK, f"{archive.name} cannot be unpacked: {error}") from None
    tops = sorted(folder.iterdir())
    if len(tops) != 1 or tops[0].is_symlink() or not tops[0].is_dir():
        raise StepFailedError(
            FailureClass.UNPACK, f"{archive.name} must hold one folder, not {len(tops)} entries."
        )
    return tops[0]


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
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            times = [_zip_seconds(info) for info in opened.infolist()]
    else:
        with tarfile.open(archive) as opened_tar:
            times = [int(member.mtime) for member in opened_tar]
    return min(max([*times, EARLIEST]), LATEST)


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


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(folder, members=_limited(opened), filter=_safe_member)  # noqa: S202


def _limited(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    total = 0
    links: set[PurePosixPath] = set()
    for count, member in enumerate(opened, 1):
        total += member.size
        _refuse_excess(total, count)
        path = PurePosixPath(member.name)
        # Checks of where a link leads have been outwitted before; nothing honest is packed through one.
        if not links.isdisjoint(path.parents) or (path in links and not member.issym()):
            raise ValueError(f"the member {member.name!r} lies behind a link")
        if member.issym():
            links.add(path)
        yield member


def _safe_member(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    if member.name.startswith("/") or ".." in PurePosixPath(member.name).parts:
        raise ValueError(f"the member {member.name!r} would leave the folder")
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise ValueError(f"the member {member.name!r} is a device or a pipe")
    kept = tarfile.data_filter(member, path)  # PEP 706: links that leave, modes, owners
    return kept.replace(mtime=member.mtime, deep=False)


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
        _refuse_excess(sum(info.file_size for info in infos), len(infos))
        for info in infos:
            _unpack_zip_member(opened, info, folder)


def _unpack_zip_member(opened: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path) -> None:
    parts = PurePosixPath(info.filename).parts
    if info.filename.startswith("/") or ".." in parts or "\\" in info.filename:
        raise ValueError(f"the member {info.filename!r} would leave the folder")
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"the member {info.filename!r} is a link or a device")
    place = folder.joinpath(*parts)
    if info.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(info) as source, place.open("xb") as sink:
        shutil.copyfileobj(source, sink, CHUNK)  # zipfile stops at the declared size
    place.chmod(0o755 if mode & 0o100 else 0o644)
    seconds = _zip_seconds(info)
    os.utime(place, (seconds, seconds))


def _refuse_excess(total: int, count: int) -> None:
    if total > MOST_BYTES:
        raise ValueError(f"it holds more than {MOST_BYTES >> 30} GiB")
    if count > MOST_MEMBERS:
        raise ValueError(f"it holds more than {MOST_MEMBERS} members")
