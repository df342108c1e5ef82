"""What is written to a bucket: bytes, or a file that is never read whole, with the digests of both kinds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from wheelbuilder.errors import ConfigurationError

BLOCK = 1 << 20  # bytes
DIGEST = "sha256"  # the name of the digest in an object's own metadata


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """Bytes on their way. md5 is what Content-MD5 and most ETags are made of; digests are bytes.

    notes: what is kept in the object's own metadata besides the digest.
    """

    source: bytes | Path
    size: int
    md5: bytes
    sha256: bytes
    notes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, source: bytes | Path, **notes: str) -> Payload:
        """Digest what is to be written. Errors: ConfigurationError where a file cannot be read."""
        md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
        for block in _blocks(source):
            md5.update(block)
            sha256.update(block)
            size += len(block)
        return cls(source=source, size=size, md5=md5.digest(), sha256=sha256.digest(), notes=notes)

    @property
    def etag(self) -> str:
        """The ETag that most servers give an object that was written in one request."""
        return quoted_md5(self.md5)

    @property
    def content_md5(self) -> str:
        """The header by which a server refuses what arrives altered (RFC 1864)."""
        return base64.b64encode(self.md5).decode()

    @property
    def metadata(self) -> dict[str, str]:
        """What is kept with the object, so that a reader can tell whether it got what was written."""
        return {DIGEST: self.sha256.hex(), **self.notes}

    @contextmanager
    def open(self) -> Iterator[bytes | IO[bytes]]:
        """Yield what one attempt sends."""
        if isinstance(self.source, bytes):
            yield self.source
        else:
            with opened(self.source) as file:
                yield file


def quoted_md5(digest: bytes) -> str:
    """Return an MD5 digest as an ETag."""
    return f'"{digest.hex()}"'


def etag_of(data: bytes) -> str:
    """Return the ETag that most servers give these bytes when they are written in one request."""
    return quoted_md5(hashlib.md5(data, usedforsecurity=False).digest())


def opened(path: Path) -> IO[bytes]:
    """Open a file to be written to a bucket; raises ConfigurationError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.", "Check the file, then run again."
        ) from None


def _blocks(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with opened(source) as file:
        while block := file.read(BLOCK):
            yield block
