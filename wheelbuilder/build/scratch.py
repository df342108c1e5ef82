"""The folders in which this machine's processes work, and the modes of what they write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wheelbuilder.build import held, object_cache, programs, shelf, untrusted
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.owners import is_alive, our_mark

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
    """Remove the folders of processes that were killed, and what nobody has used for long."""
    shelf.sweep(cache_home())
    object_cache.sweep()
    held.sweep(cache_home() / "compilers", shelf.KEPT)
    held.sweep(programs.home(), shelf.KEPT)
    _sweep_folders()


def folders() -> Path:
    """Return the folder that holds those of each process, by its mark."""
    return cache_home() / "scratch"


@contextmanager
def temporary(purpose: str) -> Iterator[Path]:
    """Make a folder for a while; where this process is killed meanwhile, the next one removes it."""
    _sweep_folders()
    folders().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{our_mark()}.{purpose}-", dir=folders()) as folder:
        yield Path(folder)


def _sweep_folders() -> None:
    dead = (folder for folder in folders().glob("*") if not is_alive(folder.name.partition(".")[0]))
    untrusted.remove(*dead)
