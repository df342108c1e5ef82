"""What several tests of the mirror share: small changes, a look at every link, stores that interfere."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name
from tinywheel import make_wheel

from wheelbuilder.mirror.publish import Change
from wheelbuilder.mirror.store import Listed, Object, Store
from wheelbuilder.mirror.wheels import read_wheel
from wheelbuilder.plan.files import IndexFile

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
OURS = re.compile(rb"\.\./\.\./\.\./\.\./(files/[^\"#]+)")


def wheel_change(folder: Path, name: str = "foo", version: str = "1.0", **options: Any) -> Change:
    """A change that adds one tiny wheel."""
    path = make_wheel(folder, name, version, **options)
    return Change(project=canonicalize_name(name), wheels=(read_wheel(path, build_key="k", target="t"),))


def upstream_file(filename: str = "foo-1.0.tar.gz", **values: Any) -> IndexFile:
    """A file of upstream's."""
    usual = {"url": f"https://up.example.org/{filename}", "sha256": "c" * 64}
    return IndexFile(filename=filename, **(usual | values))


def listed_blobs(page: bytes) -> set[str]:
    """The keys of the blobs that a page of either form links to, with the metadata that it promises."""
    keys = {unquote(match.decode()) for match in OURS.findall(page)}
    return keys | {f"{key}.metadata" for key in keys}


def pages(root: Path) -> Iterator[Path]:
    """Every page of every channel, as they appear."""
    yield from root.glob("channels/*/*/*/index.html")


def dangling(root: Path) -> list[str]:
    """The links on any page to blobs that are not there."""
    return [
        key for page in pages(root) for key in listed_blobs(page.read_bytes()) if not (root / key).exists()
    ]


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and times of every file."""
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


class Interfering:
    """A store that counts its operations and does something before, or after, one of them."""

    def __init__(self, store: Store, at: int, action: Callable[[], object], *, after: bool = False) -> None:
        self.store = store
        self.at = at
        self.action = action
        self.after = after
        self.count = 0
        self.calls: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return self.store.address

    @property
    def arbitrates(self) -> bool:
        return self.store.arbitrates

    def get(self, key: str) -> Object | None:
        now = self._enter("get", key)
        found = self.store.get(key)
        self._leave(now)
        return found

    def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
        now = self._enter("put", key)
        etag = self.store.put(key, data, **options)
        self._leave(now)
        return etag

    def exists(self, key: str) -> bool:
        now = self._enter("exists", key)
        found = self.store.exists(key)
        self._leave(now)
        return found

    def download(self, key: str, path: Path) -> bool:
        now = self._enter("download", key)
        found = self.store.download(key, path)
        self._leave(now)
        return found

    def folders(self, prefix: str) -> Iterator[str]:
        now = self._enter("folders", prefix)
        found = list(self.store.folders(prefix))
        self._leave(now)
        return iter(found)

    def etag_of(self, data: bytes) -> str | None:
        return self.store.etag_of(data)

    def exclusive(self) -> AbstractContextManager[None]:
        return self.store.exclusive()

    def barrier(self) -> None:
        self.store.barrier()

    def list(self, prefix: str = "") -> Iterator[Listed]:
        now = self._enter("list", prefix)
        found = list(self.store.list(prefix))
        self._leave(now)
        return iter(found)

    def delete(self, keys: Iterable[str]) -> None:
        wanted = list(keys)
        now = self._enter("delete", ",".join(wanted))
        self.store.delete(wanted)
        self._leave(now)

    def _enter(self, name: str, key: str) -> bool:
        self.count += 1
        self.calls.append((name, key))
        now = self.count == self.at
        if now and not self.after:
            self.action()
        return now

    def _leave(self, now: bool) -> None:
        if now and self.after:
            self.action()


def nothing_at_all() -> None:
    """Do not interfere."""


def in_child(action: Callable[[], object]) -> int:
    """Run something in a forked child and return how it ended; only its files survive it."""
    child = start_child(action)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def start_child(action: Callable[[], object]) -> int:
    """Fork a child that does something, and return its process number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        action()
        status = 0
    finally:
        os._exit(status)
