"""Finds out by trying whether a bucket honours conditional writes, and keeps the answer for a day."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from wheelbuilder.build.cache import cache_home
from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror.s3_client import INDEX
from wheelbuilder.mirror.s3_errors import status_of
from wheelbuilder.mirror.s3_objects import Bucket, Condition
from wheelbuilder.mirror.s3_payload import Payload
from wheelbuilder.mirror.store import HIDDEN

KEPT = 86400.0  # seconds
NOT_IMPLEMENTED = (400, 405, 501)  # statuses by which servers say that they know no such condition
HEADERS = {"ContentType": "text/plain", "CacheControl": "no-store"}


class Form(StrEnum):
    """How a server wants the ETag of If-Match (RFC 9110, section 13.1.1: quoted)."""

    QUOTED = "quoted"
    UNQUOTED = "unquoted"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Abilities:
    """What a bucket honours. if_match: NONE means that a lease has to stand in for all conditional writes.

    create_only: If-None-Match was honoured one after another, which by itself does not prove that it is
    atomic: it is relied on only beside a working If-Match. etag_is_md5: of an object written in one request.
    keeps_folders: whether an object whose name ends in a slash is kept, with its content.
    """

    if_match: Form
    create_only: bool
    etag_is_md5: bool
    keeps_folders: bool

    @property
    def conditional(self) -> bool:
        """Whether the bucket itself arbitrates between writers."""
        return self.if_match is not Form.NONE and self.create_only

    def matching(self, etag: str) -> Condition:
        """Return the condition "only over this ETag" as the server understands it."""
        return {"IfMatch": etag.strip('"') if self.if_match is Form.UNQUOTED else etag}


def abilities(bucket: Bucket, *, fresh: bool = False) -> Abilities:
    """Return what a bucket honours: as found within the last day by this machine, or by trying now.

    Errors: UnreachableError, ConfigurationError (the bucket cannot be written).
    """
    path = _kept_at(bucket)
    if not fresh and (kept := _kept(path)):
        return kept
    found = probe(bucket)
    with suppress(OSError):  # a machine that can keep nothing probes each time
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(f".{secrets.token_hex(4)}")
        temporary.write_text(json.dumps(asdict(found)), encoding="utf-8")
        temporary.replace(path)
    return found


def probe(bucket: Bucket) -> Abilities:
    """Try every kind of conditional write on a key of our own."""
    with _scratch(bucket) as (key, other, folder):
        first = _put(bucket, key, IfNoneMatch="*")
        plain = first or _Try(bucket, key)
        create_only = first is not None and _put(bucket, key, IfNoneMatch="*") is None
        etag = plain.etag if create_only else _Try(bucket, key).etag
        return Abilities(
            if_match=_form(bucket, key, other, etag),
            create_only=create_only,
            etag_is_md5=plain.etag == plain.payload.etag,
            keeps_folders=_keeps(bucket, folder),
        )


def _keeps(bucket: Bucket, folder: str) -> bool:
    tried = _Try(bucket, folder)
    found = bucket.get(folder)
    return found is not None and found.data == tried.payload.source


class _Try:
    """One write of bytes that nobody else writes; `etag` is None where it was refused."""

    def __init__(self, bucket: Bucket, key: str, **condition: str) -> None:
        self.payload = Payload.of(secrets.token_hex(16).encode())
        answer = bucket.put(key, self.payload, HEADERS, condition)
        if condition and answer.error and status_of(answer.error) in NOT_IMPLEMENTED:
            self.etag = None
        else:
            self.etag = bucket.written(key, self.payload, answer, conditional=bool(condition))


def _put(bucket: Bucket, key: str, **condition: str) -> _Try | None:
    tried = _Try(bucket, key, **condition)
    return tried if tried.etag else None


def _form(bucket: Bucket, key: str, other: str, etag: str | None) -> Form:
    """Try a stale ETag, the right one, and one for a key that is not there, in both forms."""
    stale = hashlib.md5(b"stale", usedforsecurity=False).hexdigest()
    for form, quote in ((Form.QUOTED, '"{}"'), (Form.UNQUOTED, "{}")):
        bare = (etag or "").strip('"')
        if _put(bucket, key, IfMatch=quote.format(stale)) or _put(bucket, other, IfMatch=quote.format(bare)):
            return Form.NONE  # the condition is ignored
        if _put(bucket, key, IfMatch=quote.format(bare)):
            return form
    return Form.NONE


@contextmanager
def _scratch(bucket: Bucket) -> Iterator[tuple[str, str, str]]:
    folder = f"{HIDDEN}/probe/{secrets.token_hex(8)}"
    keys = (f"{folder}/key", f"{folder}/missing", f"{folder}/page/{INDEX}")
    try:
        yield keys
    except WheelbuilderError:
        with suppress(WheelbuilderError):  # what cannot be written cannot be deleted: the first word counts
            bucket.delete(keys)
        raise
    bucket.delete(keys)


def _kept_at(bucket: Bucket) -> Path:
    place = bucket.requests.place
    name = "\n".join((bucket.requests.endpoint, place.bucket, place.prefix))
    return cache_home() / "stores" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def _kept(path: Path) -> Abilities | None:
    """Return what was kept, None where it is too old or not of this version."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if 0 <= time.time() - path.stat().st_mtime < KEPT:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return Abilities(**(fields | {"if_match": Form(fields["if_match"])}))
    return None
