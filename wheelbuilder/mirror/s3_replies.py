"""What S3 servers reply, read with care: bodies are digested, and what is always said must be there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from botocore import exceptions as aws

from wheelbuilder.mirror.s3_errors import StrangeError, code_of, status_of
from wheelbuilder.mirror.s3_payload import BLOCK, DIGEST

MD5_ETAG = re.compile(r'"[0-9a-f]{32}"', re.ASCII)
REFUSED = (404, 409, 412)  # statuses by which servers say that a condition does not hold


class Digesting:
    """A body that is digested on its way."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256()

    def read(self) -> bytes:
        """Return all of it."""
        return b"".join(self.iter_chunks(BLOCK))

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        """Yield it in blocks of at most so many bytes."""
        for block in self._body.iter_chunks(size):
            self.md5.update(block)
            self.sha256.update(block)
            yield block

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()

    def is_as_told(self, found: dict[str, Any]) -> bool:
        """Say whether the bytes are those of the digest that was kept, or else of the ETag."""
        if kept := found.get("Metadata", {}).get(DIGEST):
            return bool(kept == self.sha256.hexdigest())
        etag = str(found.get("ETag", ""))
        encrypted = found.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in found
        return encrypted or not MD5_ETAG.fullmatch(etag) or etag == f'"{self.md5.hexdigest()}"'


def is_refusal(error: aws.ClientError) -> bool:
    """Say whether a server refuses because a condition does not hold."""
    return status_of(error) in REFUSED and code_of(error) not in ("NoSuchBucket", "NoSuchUpload")


def told(answer: dict[str, Any], name: str) -> str:
    """Return what an answer always has to say; raises StrangeError, which has the request sent again."""
    if answer.get(name) in (None, ""):
        raise StrangeError(f"its answers have no {name}")
    return str(answer[name])


def quoted(etag: str) -> str:
    """Return an ETag as RFC 9110 writes it: some servers leave the quotes out in places."""
    return etag if not etag or etag.endswith('"') else f'"{etag}"'
