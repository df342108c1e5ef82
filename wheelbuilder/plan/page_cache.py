"""Index pages kept on this machine. None is used before the index has said that it is still current.

Beside a page lies what was read from it for the versions that were wanted last: as long as it stays current,
nobody has to read its megabytes again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from wheelbuilder import __version__
from wheelbuilder.plan.files import IndexFile
from wheelbuilder.plan.pages import Page

FORMAT = 2
FIELDS = tuple(field.name for field in fields(IndexFile))


@dataclass(frozen=True, kw_only=True, slots=True)
class Validators:
    """What a server gave to ask about a page again (RFC 9110, section 8.8)."""

    etag: str | None
    last_modified: str | None

    @property
    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the page only if it has changed (RFC 9110, section 13.1)."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedPage:
    """A page with its validators."""

    page: Page
    validators: Validators


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """A page's files of some versions, with the page's validators."""

    files: tuple[IndexFile, ...]
    validators: Validators


class PageCache:
    """A folder of pages by the address they were asked for. Entries that cannot be read count as missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, url: str) -> CachedPage | None:
        """Return what is kept of a page, if anything."""
        try:
            head, body = _opened(self._path(url))
            page = Page(
                url=head["url"], content_type=head["content-type"], charset=head["charset"], body=body
            )
            return CachedPage(page=page, validators=Validators(**head["validators"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, url: str, entry: CachedPage) -> None:
        """Keep a page for later, if its server gave anything to ask about it again."""
        page = entry.page
        head = {"url": page.url, "content-type": page.content_type, "charset": page.charset}
        self._write(self._path(url), entry.validators, head, page.body)

    def extract(self, url: str, versions: Sequence[str]) -> Extract | None:
        """Return what was read from a page for these versions, if they are those that were wanted last."""
        try:
            head, body = _opened(self._beside(url))
            if head["program"] != __version__ or head["versions"] != list(versions):
                return None
            files = tuple(IndexFile(**dict(zip(FIELDS, row, strict=True))) for row in json.loads(body))
            return Extract(files=files, validators=Validators(**head["validators"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put_extract(self, url: str, versions: Sequence[str], extract: Extract) -> None:
        """Keep what was read from a page."""
        rows = [[getattr(file, name) for name in FIELDS] for file in extract.files]
        head = {"program": __version__, "versions": list(versions)}
        self._write(self._beside(url), extract.validators, head, json.dumps(rows).encode())

    def _write(self, path: Path, validators: Validators, head: dict[str, Any], body: bytes) -> None:
        if not validators.conditions:
            return
        known = {"format": FORMAT, "validators": asdict(validators), "crc32": zlib.crc32(body)}
        _replace(path, json.dumps(known | head).encode() + b"\n" + body)

    def _path(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()
        return self._folder / name[:2] / name

    def _beside(self, url: str) -> Path:
        return self._path(url).with_suffix(".files")


def _opened(path: Path) -> tuple[dict[str, Any], bytes]:
    """Read an entry; raises OSError or ValueError, or KeyError or TypeError for what is none."""
    line, _, body = path.read_bytes().partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    if head["format"] != FORMAT or head["crc32"] != zlib.crc32(body):
        raise ValueError("it is damaged")
    return head, body


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        temporary.write_bytes(data)
    except FileNotFoundError:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
    # A rename over a file makes ext4 write it out at once; over nothing it is free, and a reader in
    # between finds no entry, which is a miss.
    path.unlink(missing_ok=True)
    temporary.rename(path)
