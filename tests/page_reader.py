"""A reader that polls every page of a channel as an installer sees them, and notices what must never be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from mirrors import listed_blobs

from wheelbuilder.mirror.channels import channel_names
from wheelbuilder.mirror.layout import View, blob_keys
from wheelbuilder.mirror.read import read_head, read_states
from wheelbuilder.mirror.store import Store

NAMES = re.compile(rb'<a href="([^"/]+)/"')


class Reader:
    """Reads root pages, the project pages that they name, and the files that those name.

    fetch: what lies at a path below the mirror's public address; None if nothing does. Files are immutable,
    so each is fetched once, when it is first seen on a page.
    """

    def __init__(self, fetch: Callable[[str], bytes | None], channel: str) -> None:
        self.fetch = fetch
        self.channel = channel
        self.listed: dict[str, frozenset[str]] = {}  # by page: what it listed when it was last read
        self.there: set[str] = set()
        self.looks = 0

    def look(self) -> None:
        """Read all there is once; AssertionError where it does not hang together."""
        for view in View:
            path = f"channels/{self.channel}/{view}/"
            for name in sorted(self._read(path, _names, missing_is_empty=True)):
                for key in self._read(f"{path}{name}/", listed_blobs) - self.there:
                    assert self.fetch(key) is not None, f"{path}{name}/ names {key}, which is not there"
                    self.there.add(key)
        self.looks += 1

    def _read(
        self, path: str, parse: Callable[[bytes], set[str]], *, missing_is_empty: bool = False
    ) -> frozenset[str]:
        page = self.fetch(path)
        before = self.listed.get(path, frozenset())
        assert page is not None or (missing_is_empty and not before), f"{path} is not there"
        now = frozenset(parse(page)) if page is not None else frozenset()
        assert before <= now, f"{path} went back in time: {sorted(before - now)} vanished"
        self.listed[path] = now
        return now


def fetch_from(store: Store) -> Callable[[str], bytes | None]:
    """Return what fetches from a store as a web server in front of it does."""

    def fetch(path: str) -> bytes | None:
        found = store.get(f"{path}index.html" if path.endswith("/") else path)
        return found.data if found else None

    return fetch


def assert_nothing_is_half_published(store: Store) -> None:
    """Each head is a commit that is there as a whole, and no page names what is not there."""
    for channel in channel_names(store):
        for state in read_states(store, read_head(store, channel).commit.projects).values():
            for file in state.files:
                assert all(map(store.exists, blob_keys(file.key)[:2])), file.key
        Reader(fetch_from(store), channel).look()


def _names(page: bytes) -> set[str]:
    if page.startswith(b"{"):
        return {project["name"] for project in json.loads(page)["projects"]}
    return {name.decode() for name in NAMES.findall(page)}
