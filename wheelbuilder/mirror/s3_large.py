"""Files that are written to a bucket in parts, a few at a time, and appear whole or not at all."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror.s3_client import Answer
from wheelbuilder.mirror.s3_errors import code_of
from wheelbuilder.mirror.s3_objects import Bucket, Condition
from wheelbuilder.mirror.s3_payload import Payload, opened
from wheelbuilder.mirror.s3_replies import quoted, told
from wheelbuilder.mirror.store import each

PART = 8 << 20  # bytes; as many parts as WORKERS are in memory at a time
MOST_PARTS = 10_000  # the protocol's limit


def upload_large(
    bucket: Bucket,
    key: str,
    payload: Payload,
    headers: dict[str, str],
    condition: Condition,
    *,
    part: int = PART,
    sure: Callable[[], None] | None = None,
) -> str | None:
    """Write a file in parts and return its ETag; None if the condition did not hold.

    Some servers (radosgw 16) ignore the condition of the request that completes, so it is also looked at
    before; only there a key that is created twice at once has two winners.
    """
    if condition and not _may_hold(bucket, key, condition):
        return None
    with _upload(bucket, key, payload, headers) as upload:
        size = max(part, -(-payload.size // MOST_PARTS))
        starts = range(0, payload.size, size)
        parts = each(lambda number: _send(bucket, upload, payload, number, size), range(1, len(starts) + 1))
        answer = _complete(bucket, upload, parts, condition, sure)
        if answer.error and code_of(answer.error) == "NoSuchUpload" and answer.doubtful:
            etag = bucket.ours(key, payload)  # completed by the attempt whose answer was lost
        else:
            etag = bucket.written(key, payload, answer, conditional=bool(condition))
        if etag is None:
            _give_up(bucket, upload)
        return etag


def _may_hold(bucket: Bucket, key: str, condition: Condition) -> bool:
    found = bucket.head(key)
    if "IfNoneMatch" in condition:
        return found is None
    return found is not None and found.etag.strip('"') == condition["IfMatch"].strip('"')


@contextmanager
def _upload(bucket: Bucket, key: str, payload: Payload, headers: dict[str, str]) -> Iterator[dict[str, str]]:
    """Begin an upload; one that is not completed is given up, so that its parts cost nothing."""
    where, client = bucket.requests.where(key), bucket.requests.client

    def begin() -> str:
        return told(client.create_multipart_upload(**where, **headers, Metadata=payload.metadata), "UploadId")

    upload = where | {"UploadId": bucket.requests.value(f"writing {key}", begin)}
    try:
        yield upload
    except BaseException:
        _give_up(bucket, upload)
        raise


def _give_up(bucket: Bucket, upload: dict[str, str]) -> None:
    with suppress(WheelbuilderError):
        client = bucket.requests.client
        bucket.requests.answer("giving up", lambda: client.abort_multipart_upload(**upload))


def _send(bucket: Bucket, upload: dict[str, str], payload: Payload, number: int, size: int) -> dict[str, Any]:
    assert isinstance(payload.source, Path)
    block = _block(payload.source, (number - 1) * size, size)
    md5 = base64.b64encode(hashlib.md5(block, usedforsecurity=False).digest()).decode()

    def send() -> str:
        client = bucket.requests.client
        return told(client.upload_part(**upload, PartNumber=number, Body=block, ContentMD5=md5), "ETag")

    return {"PartNumber": number, "ETag": bucket.requests.value(f"writing part {number}", send)}


def _complete(
    bucket: Bucket,
    upload: dict[str, str],
    parts: list[dict[str, Any]],
    condition: Condition,
    sure: Callable[[], None] | None,
) -> Answer[str]:
    def send() -> str:
        client = bucket.requests.client
        listed = {"Parts": parts}
        answer = client.complete_multipart_upload(**upload, **condition, MultipartUpload=listed)
        return quoted(told(answer, "ETag"))

    return bucket.requests.answer("completing a large file", send, sure=sure)


def _block(path: Path, start: int, size: int) -> bytes:
    with opened(path) as file:
        file.seek(start)
        return file.read(size)
