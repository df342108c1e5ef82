"""A store in a directory."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.mirror import reach
from wheelbuilder.mirror.store import HIDDEN, Listed, Object, check_key, is_key

STALE = 86400.0  # seconds after which a temporary file belongs to a writer that died
MANY = 64  # files from which on one call that writes back the whole file system is quicker than one each
BLOCK = 1 << 20  # bytes
LOCK = "lock"
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class DirectoryStore:
    """Objects appear whole, by a rename or a link; `barrier` has them on disk. ETags are SHA-256 digests.

    The directory may be a link; what is one below it is damage, and nothing is read or written through it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._unsynced: set[str] = set()
        self._guard = threading.Lock()
        if self.is_there and not path.is_dir():
            raise ConfigurationError(f"{path} is a file, not a store.", "Give the path of a directory.")

    @property
    def is_there(self) -> bool:
        """Whether anything lies at its path; raises UnreachableError where that cannot be seen."""
        try:
            return self.path.exists()
        except OSError as error:
            raise UnreachableError(
                f"The store {self.path} cannot be looked at: {error.strerror}.",
                "Check the path, and this user's right to enter the directories above it.",
            ) from None

    @property
    def address(self) -> str:
        """The directory's path."""
        return str(self.path)

    @property
    def arbitrates(self) -> bool:
        """Yes: by the directory's lock."""
        return True

    def get(self, key: str) -> Object | None:
        """Return what a key holds, or None."""
        with self._reporting(key):
            file = reach.opened(self.path, check_key(key))
            if file is None:
                return None
            with file:
                data = file.read()
        return Object(data=data, etag=self.etag_of(data))

    def exists(self, key: str) -> bool:
        """Say whether a key holds anything."""
        with self._reporting(key):
            found = reach.status(self.path, check_key(key))
        return found is not None and stat.S_ISREG(found.st_mode)

    def download(self, key: str, path: Path) -> bool:
        """Copy what a key holds into a file; False if it holds nothing."""
        with self._reporting(key):
            file = reach.opened(self.path, check_key(key))
            if file is None:
                return False
            with file, path.open("wb") as sink:
                shutil.copyfileobj(file, sink, BLOCK)
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
        check_key(key)
        if if_none_match and isinstance(data, Path) and self.exists(key):
            return None  # spares the copy; the link below decides
        with self._reporting(key), self._temporary(data) as new:
            if if_none_match:
                written = self._create(new, key)
            elif if_match is not None:
                written = self._replace_if(new, key, if_match)
            else:
                written = self._replace(new, key)
        if written:
            with self._guard:
                self._unsynced.add(key)
        return new.etag if written else None

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield every key that begins with `prefix`, in no stated order."""
        top = prefix.rpartition("/")[0]
        names = top.split("/") if top else []
        with self._reporting(prefix), suppress(FileNotFoundError), reach.folder(self.path, names) as here:
            for key, entry in reach.entries(here, f"{top}/" if top else ""):
                if key.startswith(prefix) and is_key(key):
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        yield Listed(key=key, size=status.st_size, modified=status.st_mtime)

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly below a prefix that ends with "/"."""
        names = prefix.split("/")[:-1]
        with self._reporting(prefix), suppress(FileNotFoundError), reach.folder(self.path, names) as here:
            yield from sorted(self._folders(here, prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; one that is not there is no error."""
        for key in keys:
            check_key(key)
            with (
                self._reporting(key),
                suppress(FileNotFoundError),
                reach.beside(self.path, key) as (here, name),
            ):
                os.unlink(name, dir_fd=here)

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
                for key in written:
                    self._sync(key)

    def _folders(self, here: int, prefix: str) -> Iterator[str]:
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise reach.DetourError(f"{prefix}{entry.name}", "a symbolic link")
                if entry.is_dir(follow_symlinks=False) and entry.name != HIDDEN:
                    yield entry.name

    @contextmanager
    def _temporary(self, data: bytes | Path) -> Iterator[_New]:
        """Write the bytes beside the store's objects, under a name that nobody reads."""
        name = f"{os.getpid()}-{secrets.token_hex(8)}"
        with reach.folder(self.path, [HIDDEN], make=True) as hidden:
            try:
                with os.fdopen(reach.open_file(hidden, name, HIDDEN, NEW), "wb") as sink:
                    etag = _copy(data, sink)
                yield _New(folder=hidden, name=name, etag=etag)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=hidden)

    def _create(self, new: _New, key: str) -> bool:
        with reach.beside(self.path, key, make=True) as (here, name):
            try:
                os.link(new.name, name, src_dir_fd=new.folder, dst_dir_fd=here, follow_symlinks=False)
            except FileExistsError:
                reach.status(self.path, key)  # a link there is no object that was there first
                return False
        return True

    def _replace(self, new: _New, key: str) -> bool:
        with reach.beside(self.path, key, make=True) as (here, name):
            os.replace(new.name, name, src_dir_fd=new.folder, dst_dir_fd=here)
        return True

    def _replace_if(self, new: _New, key: str, etag: str) -> bool:
        with _locked(new.folder):
            current = self.get(key)
            return current is not None and current.etag == etag and self._replace(new, key)

    def _sync(self, key: str) -> None:
        """Have an object on disk, and its name in its folder."""
        # What is not there was replaced or removed since, by whoever syncs it then.
        with suppress(FileNotFoundError), reach.beside(self.path, key) as (here, name):
            descriptor = reach.open_file(here, name, key)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.fsync(here)

    @contextmanager
    def _reporting(self, key: str) -> Iterator[None]:
        try:
            yield
        except reach.DetourError as detour:
            raise IntegrityError(
                f"The store {self.path} is damaged: {detour}.",
                "Remove it, or put the files themselves there: a store is not read or written through links.",
            ) from None
        except OSError as error:
            hints = {
                errno.ENOSPC: "The file system is full: make room, then run again; nothing is half-written.",
                errno.EACCES: "Give this user the right to read, or to write, what is there.",
                errno.EROFS: "The file system is read-only: give another directory.",
            }
            raise UnreachableError(
                f"The store {self.path} does not work: {error.strerror or error} at {key}.",
                hints.get(error.errno or 0, "Check the directory, then run again."),
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class _New:
    """Bytes that are written and have no key yet: a file in an open folder."""

    folder: int
    name: str
    etag: str


@contextmanager
def _locked(hidden: int) -> Iterator[None]:
    """Hold the store's lock; the kernel lets go of it when its holder dies."""
    descriptor = reach.open_file(hidden, LOCK, f"{HIDDEN}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _sweep(hidden)
        yield
    finally:
        os.close(descriptor)


def _sweep(hidden: int) -> None:
    for name in os.listdir(hidden):
        with suppress(FileNotFoundError):
            written = os.stat(name, dir_fd=hidden, follow_symlinks=False).st_mtime
            if name != LOCK and time.time() - written > STALE:
                os.unlink(name, dir_fd=hidden)


def _copy(data: bytes | Path, sink: BinaryIO) -> str:
    digest = hashlib.sha256()
    for block in [data] if isinstance(data, bytes) else _blocks(data):
        digest.update(block)
        sink.write(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while block := source.read(BLOCK):
            yield block


def _sync_file_system(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
