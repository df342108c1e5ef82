"""The folders in which drivers of builds work, and the modes of what they write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wheelbuilder.build import shelf, untrusted
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.owners import is_alive

UMASK = 0o022


@contextmanager
def fixed_umask() -> Iterator[None]:
    """Let modes in wheels, environments and stores be the same everywhere, and readable for others."""
    before = os.umask(UMASK)
    try:
        yield
    finally:
        os.umask(before)


def sweep() -> None:
    """Remove the folders of drivers that were killed, and what nobody has used for long."""
    shelf.sweep(cache_home())
    untrusted.remove(*(folder for folder in folders().glob("*") if not is_alive(folder.name)))


def folders() -> Path:
    """Return the folder that holds one for each driver."""
    return cache_home() / "scratch"
