"""Unpacks sdists that nobody vouches for: nothing is written outside the folder, and no link is followed."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from wheelbuilder.build.archives import members, refuse_excess, refused_as_unpack, zip_seconds
from wheelbuilder.build.outcomes import FailureClass, StepFailedError

CHUNK = 1 << 20  # bytes
TOP = "source"
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist into `folder` and return its one top folder, renamed `source` (PEP 625, PEP 527).

    Refused, with StepFailedError UNPACK and before anything of the member is written: absolute paths,
    `..`, links that leave the folder, anything behind a link, devices, sparse files, long names, more
    than MOST_BYTES, MOST_MEMBERS or MOST_EXTENDED.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with refused_as_unpack(archive):
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


def _unpack_tar(archive: Path, folder: Path) -> None:
    # Not extractall: its filter is missing before Python 3.11.4, and has been outwitted since.
    times: dict[Path, float] = {}
    for opened, member in members(archive):
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
        refuse_excess(sum(info.file_size for info in infos), len(infos))
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
        _write(opened.open(info), place, mode, zip_seconds(info))
