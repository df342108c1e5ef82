"""Handles what foreign code left on this disk: reads without following, removes at any depth."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from wheelbuilder.build import process

REMOVAL_TIME = 600.0  # seconds


def read(path: Path, most: int) -> bytes | None:
    """Return a small regular file; None for a link, a pipe, a device, nothing, or more than `most` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return None
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def remove(*folders: Path) -> None:
    """Remove trees, also once the run is being interrupted; never raises for what is in them.

    By a program, because Python's own removal gives up where folders are nested a thousand deep.
    """
    there = [str(folder) for folder in folders if os.path.lexists(folder)]
    if there:
        argv = ("rm", "--recursive", "--force", "--one-file-system", "--", *there)
        process.run(argv, timeout=REMOVAL_TIME, tidying=True)
