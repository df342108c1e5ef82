"""Index pages kept on this machine. None is used before the index has said that it is still current."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelbuilder.plan.pages import Page

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedPage:
    """A page with what its server gave to ask about it again (RFC 9110, section 8.8: validators)."""

    page: Page
    etag: str | None
    last_modified: str | None

    @property
    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the page only if it has changed (RFC 9110, section 13.1)."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


class PageCache:
    """A folder of pages by the address they were asked for. Entries that cannot be read count as missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, url: str) -> CachedPage | None:
        """Return what is kept of a page, if anything."""
        try:
            head, _, body = self._path(url).read_bytes().partition(b"\n")
            return _parsed(json.loads(head), body)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, url: str, entry: CachedPage) -> None:
        """Keep a page for later, if its server gave anything to ask about it again."""
        if not entry.conditions:
            return
        path = self._path(url)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        data = json.dumps(_head(entry)).encode() + b"\n" + entry.page.body
        try:
            temporary.write_bytes(data)
        except FileNotFoundError:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
        # A rename over a file makes ext4 write it out at once; over nothing it is free, and a reader
        # in between finds no entry, which is a miss.
        path.unlink(missing_ok=True)
        temporary.rename(path)

    def _path(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()
        return self._folder / name[:2] / name


def _head(entry: CachedPage) -> dict[str, Any]:
    page = entry.page
    return {
        "format": FORMAT,
        "url": page.url,
        "content-type": page.content_type,
        "charset": page.charset,
        "etag": entry.etag,
        "last-modified": entry.last_modified,
        "crc32": zlib.crc32(page.body),
    }


def _parsed(head: dict[str, Any], body: bytes) -> CachedPage | None:
    if head["format"] != FORMAT or head["crc32"] != zlib.crc32(body):
        return None
    page = Page(url=head["url"], content_type=head["content-type"], charset=head["charset"], body=body)
    return CachedPage(page=page, etag=head["etag"], last_modified=head["last-modified"])
