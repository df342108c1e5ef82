"""Tells a disk that is full from a package that is broken."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from wheelbuilder.errors import UnreachableError

FULL = (errno.ENOSPC, errno.EDQUOT)
WORDS = os.strerror(errno.ENOSPC)
LEAST = 16 << 20  # bytes free: with less nothing can be built
# Where a program has said so: what it could not write whole it may have removed again.
LEAST_AFTER_WORDS = 1 << 30


def blamed(folder: Path, lines: Iterable[str] = ()) -> UnreachableError | None:
    """Return the run's trouble if the disk of a folder is full. lines: what a failed program has said."""
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    said = any(WORDS in line for line in lines)
    if free < (LEAST_AFTER_WORDS if said else LEAST) or (status.f_files and not status.f_favail):
        return trouble(folder)
    return None


def trouble(folder: Path) -> UnreachableError:
    """Return the error that ends a run on a full disk."""
    return UnreachableError(
        f"The disk of {folder} is full.",
        "Make room, or set XDG_CACHE_HOME to a folder on another disk, then run again to continue.",
    )
