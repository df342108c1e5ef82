"""Reach what lies below a folder by descriptors, one folder after the other, and never through a link.

Whoever may write below the folder leads nobody out of it, not even by putting a link in a folder's place
at the wrong moment. The way to the folder itself may go through links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not make us wait
DEEPEST = 20  # folders below one another: each holds a descriptor while a tree is walked


class DetourError(Exception):
    """What is neither a file nor a folder: a symbolic link, or a pipe, a device, a socket; and where."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{what} at {where}")
        self.where = where
        self.what = what


@contextmanager
def folder(root: Path, names: Sequence[str] = (), *, make: bool = False) -> Iterator[int]:
    """Open a folder below a root. make: make it where it is missing.

    Errors: FileNotFoundError, NotADirectoryError, DetourError.
    """
    here = _root(root, make=make)
    try:
        for depth, name in enumerate(names):
            deeper = _enter(here, name, "/".join(names[: depth + 1]), make=make)
            os.close(here)
            here = deeper
        yield here
    finally:
        os.close(here)


@contextmanager
def beside(root: Path, key: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Open the folder that an object of a key lies in, and give the object's name there."""
    *names, name = key.split("/")
    with folder(root, names, make=make) as here:
        yield here, name


def opened(root: Path, key: str) -> BinaryIO | None:
    """Open a file below a root for reading; None where there is none, or a folder. Errors: DetourError."""
    try:
        with beside(root, key) as (here, name):
            descriptor = open_file(here, name, key)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def status(root: Path, key: str) -> os.stat_result | None:
    """Return what is known of a file or folder; None where there is none. Errors: DetourError."""
    try:
        with beside(root, key) as (here, name):
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    _require_plain(found, key)
    return found


def open_file(here: int, name: str, where: str, flags: int = FILE) -> int:
    """Open a file or folder that lies in a folder, and return its descriptor. where: its name in an error."""
    try:
        descriptor = os.open(name, flags | os.O_NOFOLLOW, 0o666, dir_fd=here)
    except OSError:
        _tell_detour(here, name, where)
        raise
    try:
        _require_plain(os.fstat(descriptor), where)
    except DetourError:
        os.close(descriptor)
        raise
    return descriptor


def entries(here: int, prefix: str, depth: int = 0) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what lies below a folder and is no folder, with its way from there; links as they are.

    Errors: DetourError where folders are nested too deep.
    """
    if depth > DEEPEST:
        raise DetourError(prefix, f"folders {DEEPEST} deep")
    with os.scandir(here) as found:
        for entry in found:
            if not entry.is_dir(follow_symlinks=False):
                yield f"{prefix}{entry.name}", entry
                continue
            with suppress(FileNotFoundError):
                deeper = _enter(here, entry.name, f"{prefix}{entry.name}", make=False)
                try:
                    yield from entries(deeper, f"{prefix}{entry.name}/", depth + 1)
                finally:
                    os.close(deeper)


def _root(root: Path, *, make: bool) -> int:
    try:
        return os.open(root, FOLDER)
    except FileNotFoundError:
        if not make:
            raise
    root.mkdir(parents=True, exist_ok=True)
    return os.open(root, FOLDER)


def _enter(here: int, name: str, where: str, *, make: bool) -> int:
    try:
        return os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=here)
    except FileNotFoundError:
        if not make:
            raise
    except OSError:
        _tell_detour(here, name, where)
        raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=here)
    return _enter(here, name, where, make=False)


def _tell_detour(here: int, name: str, where: str) -> None:
    """Raise DetourError where a name did not open because it is one."""
    with suppress(OSError):
        _require_plain(os.stat(name, dir_fd=here, follow_symlinks=False), where)


def _require_plain(found: os.stat_result, where: str) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise DetourError(where, "a symbolic link")
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise DetourError(where, "something that is no file")
