"""A root page never names a project whose page is not there yet, whoever else is at work."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mirrors import NOW, Interfering, in_child, nothing_at_all, wheel_change
from page_reader import Reader

from wheelbuilder.mirror.amend import Published
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.store import Store

CHANNEL = "stable"


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


def put(store: Store, *changes: Any) -> Published:
    return publish(store, CHANNEL, changes, run="", now=NOW)


class Watched(Interfering):
    """A store whose reader looks after each write. wait: seconds that writing a project's page takes."""

    wait = 0.0

    def __init__(self, store: DirectoryStore, at: int = 0, action: Any = nothing_at_all) -> None:
        super().__init__(store, at, action)
        self.reader = Reader(partial(read, store.path), CHANNEL)

    def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
        parts = key.split("/")
        if len(parts) == 5 and parts[-1] == "index.html":
            time.sleep(self.wait)
        etag = super().put(key, data, **options)
        if key.startswith("channels/"):
            self.reader.look()
        return etag


def read(root: Path, path: str) -> bytes | None:
    file = root / path / "index.html" if path.endswith("/") else root / path
    return file.read_bytes() if file.exists() else None


def test_pages_that_are_written_side_by_side(tmp_path: Path) -> None:
    store = Watched(DirectoryStore(tmp_path / "store"))
    put(store, wheel_change(tmp_path, "a"))
    store.wait = 0.05
    put(store, *(wheel_change(tmp_path, name) for name in "bcd"))
    assert store.reader.looks > 10


class Mortal(Interfering):
    """A store whose writer dies as soon as it has moved the head."""

    def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
        etag = super().put(key, data, **options)
        if key.endswith("head.json") and etag:
            os._exit(9)
        return etag


@pytest.mark.integration
def test_another_writer_that_has_moved_the_head_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wheelbuilder.mirror.store.WORKERS", 1)
    mine, theirs = wheel_change(tmp_path, "mine"), wheel_change(tmp_path, "theirs")
    counting = Watched(DirectoryStore(tmp_path / "counted"))
    put(counting, mine)
    for at in range(1, counting.count + 1):
        store = DirectoryStore(tmp_path / f"store-{at}")
        die = partial(put, Mortal(store, 0, nothing_at_all), theirs)
        put(Watched(store, at, partial(in_child, die)), mine)
        put(store)
        assert is_clean(audit(store, deep=True))
