"""What a mirror is kept in: keys with bytes, conditional writes, and nothing else."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from wheelbuilder.errors import ConfigurationError, UnreachableError

T = TypeVar("T")
R = TypeVar("R")
WORKERS = 8  # requests at a time
HIDDEN = ".wheelbuilder"  # in a directory store: temporary files and the lock
STALE = 86400.0  # seconds after which a temporary file belongs to a writer that died


@dataclass(frozen=True, kw_only=True, slots=True)
class Object:
    """What a key holds. `etag` is opaque: only good for `if_match`."""

    data: bytes
    etag: str


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

    def get(self, key: str) -> Object | None:
        """Return what a key holds, or None."""

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

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield every key that begins with `prefix`, in no stated order."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; one that is not there is no error."""


def open_store(address: str) -> Store:
    """Open a store by its address: the path of a directory, which need not exist yet."""
    if address.startswith("s3://"):
        raise ConfigurationError(
            f"{address}: object storage is not supported yet.", "Give a directory, and copy it for now."
        )
    if "://" in address or not address.strip() or "\0" in address:
        raise ConfigurationError(
            f"{address!r} is not the address of a store.", "Give the path of a directory."
        )
    return DirectoryStore(Path(address))


def check_key(key: str) -> str:
    """Return the key, or raise ConfigurationError where it would leave the store or name no object."""
    parts = key.split("/")
    bad = any(part in ("", ".", "..", HIDDEN) for part in parts)
    if bad or "\\" in key or any(ord(char) < 32 for char in key):
        raise ConfigurationError(f"{key!r} cannot be a key of a store.", "This is a bug: please report it.")
    return key


def each(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Apply a function that waits for the store to each item, several at a time, keeping the order."""
    todo = list(items)
    if len(todo) < 2:
        return [function(item) for item in todo]
    with ThreadPoolExecutor(min(WORKERS, len(todo))) as pool:
        return list(pool.map(function, todo))


class DirectoryStore:
    """A store in a directory: objects appear whole by a rename or a link, and are on disk before they do."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._hidden = self.path / HIDDEN
        if path.exists() and not path.is_dir():
            raise ConfigurationError(f"{path} is a file, not a store.", "Give the path of a directory.")

    @property
    def address(self) -> str:
        """The directory's path."""
        return str(self.path)

    def get(self, key: str) -> Object | None:
        """Return what a key holds, or None."""
        with self._reporting(key):
            try:
                data = self._path(key).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
        return Object(data=data, etag=hashlib.sha256(data).hexdigest())

    def put(
        self,
        key: str,
        data: bytes | Path,
        *,
        content_type: str,  # noqa: ARG002  (a directory keeps none; `serve` knows them by key)
        cache_control: str,  # noqa: ARG002
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> str | None:
        """Write a key whole and return its ETag; None if the condition did not hold."""
        target = self._path(key)
        with self._reporting(key):
            if if_none_match and target.exists():
                return None  # spares the copy; the link below decides
            with self._temporary(target, data) as (temporary, etag):
                if if_none_match:
                    written = _link(temporary, target)
                elif if_match is not None:
                    written = self._replace_if(temporary, target, key, if_match)
                else:
                    temporary.replace(target)
                    written = True
                if written:
                    _sync_folder(target.parent)
        return etag if written else None

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield every key that begins with `prefix`, in no stated order."""
        top = self.path / prefix.rpartition("/")[0]
        with self._reporting(prefix):
            for folder, folders, names in os.walk(top, onerror=_raise_unless_absent):
                folders[:] = [name for name in folders if name != HIDDEN]
                for name in names:
                    path = Path(folder, name)
                    key = path.relative_to(self.path).as_posix()
                    if key.startswith(prefix):
                        with suppress(FileNotFoundError):
                            status = path.stat()
                            yield Listed(key=key, size=status.st_size, modified=status.st_mtime)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; one that is not there is no error."""
        for key in keys:
            with self._reporting(key):
                self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.path / check_key(key)

    @contextmanager
    def _temporary(self, target: Path, data: bytes | Path) -> Iterator[tuple[Path, str]]:
        """Write the bytes beside the store's objects, on disk, under a name that nobody reads."""
        if not self._hidden.is_dir():
            self._hidden.mkdir(parents=True, exist_ok=True)
        temporary = self._hidden / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            etag = _write(temporary, data)
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary, etag
        finally:
            temporary.unlink(missing_ok=True)

    def _replace_if(self, temporary: Path, target: Path, key: str, etag: str) -> bool:
        with self._locked():
            current = self.get(key)
            if current is None or current.etag != etag:
                return False
            temporary.replace(target)
            return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store's lock; the kernel lets go of it when its holder dies."""
        descriptor = os.open(self._hidden / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._sweep()
            yield
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        for path in self._hidden.iterdir():
            with suppress(FileNotFoundError):
                if path.name != "lock" and time.time() - path.stat().st_mtime > STALE:
                    path.unlink()

    @contextmanager
    def _reporting(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hints = {
                errno.ENOSPC: "The file system is full: make room, then run again; nothing is half-written.",
                errno.EACCES: "Give this user the right to write there.",
                errno.EROFS: "The file system is read-only: give another directory.",
            }
            raise UnreachableError(
                f"The store {self.path} does not work: {error.strerror or error} at {key}.",
                hints.get(error.errno or 0, "Check the directory, then run again."),
            ) from error


def _write(path: Path, data: bytes | Path) -> str:
    digest = hashlib.sha256()
    with path.open("xb") as sink:
        for block in [data] if isinstance(data, bytes) else _blocks(data):
            digest.update(block)
            sink.write(block)
        sink.flush()
        os.fsync(sink.fileno())
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while block := source.read(1 << 20):
            yield block


def _link(temporary: Path, target: Path) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
