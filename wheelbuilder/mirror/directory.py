"""A store in a directory."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.mirror.store import HIDDEN, Listed, Object, check_key

T = TypeVar("T")
STALE = 86400.0  # seconds after which a temporary file belongs to a writer that died
MANY = 64  # files from which on one call that writes back the whole file system is quicker than one each


class DirectoryStore:
    """Objects appear whole, by a rename or a link; `barrier` has them on disk. ETags are SHA-256 digests."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._hidden = self.path / HIDDEN
        self._unsynced: set[str] = set()
        self._guard = threading.Lock()
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
        return Object(data=data, etag=self.etag_of(data))

    def exists(self, key: str) -> bool:
        """Say whether a key holds anything."""
        with self._reporting(key):
            return self._path(key).is_file()

    def download(self, key: str, path: Path) -> bool:
        """Copy what a key holds into a file; False if it holds nothing."""
        with self._reporting(key):
            try:
                shutil.copyfile(self._path(key), path)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return False
        return True

    def etag_of(self, data: bytes) -> str:
        """Return the digest of bytes, which is the ETag of every key that holds them."""
        return hashlib.sha256(data).hexdigest()

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
            if if_none_match and isinstance(data, Path) and target.exists():
                return None  # spares the copy; the link below decides
            with self._temporary(data) as (temporary, etag):
                if if_none_match:
                    written = _into(target, partial(_link, temporary))
                elif if_match is not None:
                    written = self._replace_if(temporary, target, key, if_match)
                else:
                    written = bool(_into(target, temporary.replace))
        if written:
            with self._guard:
                self._unsynced.add(str(target))
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

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly below a prefix that ends with "/"."""
        with self._reporting(prefix), suppress(FileNotFoundError), os.scandir(self.path / prefix) as entries:
            yield from sorted(entry.name for entry in entries if entry.is_dir() and entry.name != HIDDEN)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; one that is not there is no error."""
        for key in keys:
            with self._reporting(key):
                self._path(key).unlink(missing_ok=True)

    def exclusive(self) -> AbstractContextManager[None]:
        """Do nothing: conditional writes hold the directory's lock one by one."""
        return nullcontext()

    def barrier(self) -> None:
        """Return once everything written before is on disk."""
        with self._guard:
            written, self._unsynced = self._unsynced, set()
        with self._reporting(""):
            if len(written) > MANY:
                _sync_file_system(self.path)
            else:
                for path in (*written, *{str(Path(path).parent) for path in written}):
                    _sync(path)

    def _path(self, key: str) -> Path:
        return self.path / check_key(key)

    @contextmanager
    def _temporary(self, data: bytes | Path) -> Iterator[tuple[Path, str]]:
        """Write the bytes beside the store's objects, under a name that nobody reads."""
        temporary = self._hidden / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with _into(temporary, _created) as sink:
                etag = _copy(data, sink)
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


def _into(path: Path, write: Callable[[Path], T]) -> T:
    """Do what puts something at a path, making its folder where that is what it takes."""
    try:
        return write(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write(path)


def _created(path: Path) -> BinaryIO:
    return path.open("xb")


def _copy(data: bytes | Path, sink: BinaryIO) -> str:
    digest = hashlib.sha256()
    for block in [data] if isinstance(data, bytes) else _blocks(data):
        digest.update(block)
        sink.write(block)
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


def _sync(path: str) -> None:
    with suppress(FileNotFoundError):  # replaced or removed since, by whoever syncs it then
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_file_system(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
