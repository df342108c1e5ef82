"""Where this machine keeps what can always be made again: probe results, locks, roots in the making."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wheelbuilder.errors import UnreachableError


def cache_home() -> Path:
    """Return our folder below $XDG_CACHE_HOME (or ~/.cache), making it if need be.

    Raises UnreachableError where it cannot be made.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        folder = Path(base).expanduser() / "wheelbuilder"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UnreachableError(
            f"The cache {base}/wheelbuilder cannot be made: {reason}.",
            "Set XDG_CACHE_HOME to a directory that this user may write.",
        ) from None
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of this machine for the length of the context; the kernel frees it if we die."""
    folder = cache_home() / "locks"
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
