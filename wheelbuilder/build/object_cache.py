"""What the compiler cache keeps on this machine: a folder for each sdist in each root, the oldest go first.

Foreign code writes into such a folder, so nobody else may ever read from it: it belongs to the digest of one
sdist, and to what compiles there. What says whose it is lies beside what is mounted, not in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import process, untrusted
from wheelbuilder.build.cache import cache_home, locked
from wheelbuilder.build.held import GONE, lock
from wheelbuilder.build.shelf import KEPT

ABOUT = "about.json"
OBJECTS = "objects"
LOCK = "object-cache"
MEASURING_TIME = 600.0  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What is kept of one sdist in one root. words: which. size: bytes. used: seconds since the epoch."""

    folder: Path
    words: str
    size: int
    used: float


@contextmanager
def borrowed(identity: Sequence[str], words: str, limit: int) -> Iterator[Path]:
    """Yield the folder of objects for an identity; nobody removes it meanwhile, and afterwards there is room.

    words: for people, what it is about. limit: bytes that all folders together may have.
    """
    name = hashlib.sha256("\n".join(identity).encode()).hexdigest()
    folder = _home() / name
    with locked(LOCK):
        (folder / OBJECTS).mkdir(parents=True, exist_ok=True)
        held = lock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    try:
        yield folder / OBJECTS
    finally:
        used = _is_used(folder)
        if used:
            _note(folder, words)
        if held is not None:
            os.close(held)
    if used:
        trim(limit)
    else:
        remove(folder)  # most builds compile nothing


def kept() -> tuple[Kept, ...]:
    """Return all there is, what was not used for longest first."""
    found = (_read(folder) for folder in _home().iterdir() if not folder.name.startswith(GONE))
    return tuple(sorted(found, key=lambda it: it.used))


def trim(limit: int, *, dry_run: bool = False) -> tuple[Kept, ...]:
    """Remove what was not used for longest until the rest is within a limit in bytes, and return it.

    What a build uses at the moment stays.
    """
    there = kept()
    left = sum(it.size for it in there)
    gone: list[Kept] = []
    for it in there:
        if left <= limit:
            break
        if remove(it.folder, dry_run=dry_run):
            gone.append(it)
            left -= it.size
    return tuple(gone)


def sweep() -> None:
    """Remove what nobody has used for long, and what a driver that was killed was about to remove."""
    old = time.time() - KEPT
    for it in kept():
        if it.used < old:
            remove(it.folder)
    untrusted.remove(*_home().glob(f"{GONE}*"))


def _is_used(folder: Path) -> bool:
    try:
        return any((folder / OBJECTS).iterdir())
    except FileNotFoundError:  # somebody has emptied the cache by hand, which is no trouble of the build
        return False


def _home() -> Path:
    folder = cache_home() / "objects"
    folder.mkdir(exist_ok=True)
    return folder


def remove(folder: Path, *, dry_run: bool = False) -> bool:
    """Remove one folder, and say whether it could be: what a build uses at the moment stays.

    dry_run: only say it.
    """
    gone = folder.with_name(f"{GONE}{secrets.token_hex(8)}")
    with locked(LOCK):
        held = lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if held is None:
            return False
        if not dry_run:
            folder.rename(gone)
        os.close(held)
    untrusted.remove(gone)
    return True


def _note(folder: Path, words: str) -> None:
    partial = folder / f".{secrets.token_hex(4)}"
    partial.write_text(json.dumps({"words": words, "size": _size(folder / OBJECTS)}))
    partial.replace(folder / ABOUT)


def _size(folder: Path) -> int:
    """Return the bytes that a tree takes on disk, by a program: Python's own walk ends where it is deep."""
    argv = ("du", "--summarize", "--block-size=1", "--one-file-system", "--", str(folder))
    done = process.run(argv, timeout=MEASURING_TIME, tidying=True)
    words = done.stdout.split()
    return int(words[0]) if words and words[0].isdigit() else 0


def _read(folder: Path) -> Kept:
    """Return what a folder's note says; one without a note is in use for the first time, or was left so."""
    try:
        about = json.loads((folder / ABOUT).read_text())
        used = (folder / ABOUT).stat().st_mtime
        return Kept(folder=folder, words=str(about["words"]), size=int(about["size"]), used=used)
    except (OSError, ValueError, KeyError, TypeError):
        return Kept(folder=folder, words="?", size=_size(folder), used=_used(folder))


def _used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # another driver has removed it meanwhile
        return 0.0
