"""What a mirror is kept in: keys with bytes, conditional writes, and nothing else."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from wheelbuilder.errors import ConfigurationError

T = TypeVar("T")
R = TypeVar("R")
WORKERS = 8  # requests at a time
QUICK = 0.005  # seconds: a store that takes longer is worth waiting for in several threads
NEVER_IN_KEYS = re.compile(r"[\x00-\x1f\\]")
HIDDEN = ".wheelbuilder"  # what a store keeps for itself lies below this name: locks, temporary files
NO_PARTS = frozenset({"", ".", "..", HIDDEN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Object:
    """What a key holds. `etag` is opaque: only good for `if_match`.

    content_type, cache_control: as the store keeps them; None where it keeps none (a directory).
    """

    data: bytes
    etag: str
    content_type: str | None = None
    cache_control: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One line of a listing. `modified` is in seconds since the epoch."""

    key: str
    size: int
    modified: float


class Store(Protocol):
    """A directory or a bucket. Every method raises UnreachableError when the store does not work."""

    @property
    def address(self) -> str:
        """What the user calls the store."""

    @property
    def arbitrates(self) -> bool:
        """Whether the store itself decides between writers, at the moment when it carries a write out."""

    def get(self, key: str) -> Object | None:
        """Return what a key holds, or None."""

    def exists(self, key: str) -> bool:
        """Say whether a key holds anything, without reading it."""

    def download(self, key: str, path: Path) -> bool:
        """Write what a key holds into a file, however large; False if it holds nothing."""

    def put(
        self,
        key: str,
        data: bytes | Path,
        *,
        content_type: str,
        cache_control: str,
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> str | None:
        """Write a key whole and return its ETag; None if the condition did not hold (the race is lost).

        if_match: write only over this ETag. if_none_match: write only where nothing is.
        """

    def etag_of(self, data: bytes) -> str | None:
        """Return the ETag that a key holding these bytes has, or None where only the store can tell."""

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield every key that begins with `prefix`, in no stated order."""

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly below a prefix that ends with "/", not their contents."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; one that is not there is no error."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other writers out where the store itself cannot arbitrate between them.

        Does nothing where conditional writes are honoured. May be entered again by its holder.
        """

    def barrier(self) -> None:
        """Return once everything written before survives a power failure."""


def is_key(key: str) -> bool:
    """Say whether a store may keep something under a key: it names an object, and one inside the store."""
    return not NEVER_IN_KEYS.search(key) and NO_PARTS.isdisjoint(key.split("/"))


def check_key(key: str) -> str:
    """Return the key, or raise ConfigurationError where it would leave the store or name no object."""
    if not is_key(key):
        raise ConfigurationError(f"{key!r} cannot be a key of a store.", "This is a bug: please report it.")
    return key


def each(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Apply a function that may wait for the store to each item, several at a time, keeping the order.

    One at a time as long as each is quick: where nothing waits, as in a directory, threads double the cost.
    """
    todo = deque(items)
    done: list[R] = []
    quick = True
    while todo and (quick or len(todo) == 1):
        started = time.monotonic()
        done.append(function(todo.popleft()))
        quick = time.monotonic() - started < QUICK
    if todo:
        with ThreadPoolExecutor(min(WORKERS, len(todo))) as pool:
            done += pool.map(function, todo)
    return done
