"""Folders that all drivers of this machine share, and that one may want to remove while another uses them.

Who makes a folder gives it its name when it is whole. Who uses one holds a shared lock on it as long as its
process runs; the kernel lets go of it then. Who removes one must have it alone, and gives it another name
first.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wheelbuilder.build import untrusted
from wheelbuilder.build.cache import locked
from wheelbuilder.build.owners import is_alive, our_mark
from wheelbuilder.build.unpacking import discard

GONE = ".gone-"
PARTIAL = ".partial-"


def ensure(folder: Path, make: Callable[[Path], bool]) -> bool:
    """Hold a folder, making it if it is missing; say whether it is there.

    make: lays out a folder that is not there yet, or says that it cannot.
    """
    while not hold(folder):
        with locked(f"{folder.parent.name}-{folder.name}"):
            if not folder.is_dir() and not _made(folder, make):
                return False
    return True


def _made(folder: Path, make: Callable[[Path], bool]) -> bool:
    folder.parent.mkdir(exist_ok=True)
    making = partial(folder)
    try:
        if not make(making):
            return False
        making.rename(folder)
        return True
    finally:
        discard(making)


def hold(folder: Path) -> bool:
    """Let nobody remove a folder while this process runs, and say whether it is there."""
    with _guard:
        before = _held.pop(folder, None)
        held = lock(folder, fcntl.LOCK_SH)
        if before is not None:
            os.close(before)
        if held is None:
            return False
        _held[folder] = held
        os.utime(folder)
        return True


def remove(folder: Path, *, dry_run: bool = False) -> bool:
    """Remove a folder that nobody uses, with what a killed process has left, and say whether it could be.

    dry_run: only say it.
    """
    held = lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if held is None:
        return False
    if not dry_run:
        folder.rename(folder.with_name(f"{GONE}{secrets.token_hex(8)}"))
    os.close(held)
    for gone in () if dry_run else folder.parent.glob(f"{GONE}*"):
        shutil.rmtree(gone, ignore_errors=True)
    return True


def partial(folder: Path) -> Path:
    """Return where this process makes a folder that gets its name when it is whole."""
    return folder.with_name(f"{PARTIAL}{our_mark()}.{folder.name}")


def sweep(home: Path, seconds: float) -> None:
    """Remove the folders below that nobody has used for so long, and what killed processes were making."""
    old = time.time() - seconds
    partials = set(home.glob(f"{PARTIAL}*"))
    # By what passes over mounts: a process that was unpacking packages may have left some.
    untrusted.remove(*(it for it in partials if not is_alive(_maker(it))))
    for folder in set(home.glob("*")) - partials:
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < old:
                remove(folder)


def _maker(folder: Path) -> str:
    return folder.name.removeprefix(PARTIAL).partition(".")[0]


def lock(folder: Path, how: int) -> int | None:
    """Lock a folder and return the descriptor that holds it.

    how: as in flock(2). None if it is not there, or if it is used and `how` says not to wait.
    """
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(held, how)
        if os.path.samestat(os.fstat(held), folder.stat()):
            return held
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(held)  # it is used, or was removed while we waited
    return None


_guard = threading.Lock()
_held: dict[Path, int] = {}
