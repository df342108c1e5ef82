"""Brings one file from an index to disk, digest checked."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

import requests

from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.http import may_pass
from wheelbuilder.plan.files import IndexFile

CHUNK = 1 << 20  # bytes
CONNECT_AND_READ = (15.0, 120.0)  # seconds
ATTEMPTS = 4  # for bodies that break off, which the session's own retries do not see
MOST_BYTES = 4 << 30  # of a file of which the index does not say how large it is
SHA256 = re.compile(r"[0-9a-f]{64}")
FILENAME = re.compile(r"[^./\0][^/\0]*")  # it becomes a path here
# As it is: bytes that a server calls compressed would be unpacked before they are compared with the digest.
HEADERS = {"Accept-Encoding": "identity"}


def fetch(file: IndexFile, folder: Path, session: requests.Session) -> Path:
    """Return `folder/<sha256>/<filename>`, downloading it if it is not there, digest checked.

    Raises StepFailedError: BAD_DIGEST if the bytes are not what the index says, NO_SOURCE if they
    cannot be had.
    """
    if not SHA256.fullmatch(file.sha256) or not FILENAME.fullmatch(file.filename):
        raise StepFailedError(
            FailureClass.BAD_DIGEST,
            f"{file.filename!r} with the digest {file.sha256!r} is no file name and no SHA-256.",
        )
    place = folder / file.sha256 / file.filename
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _download(file, place, session)
        except requests.RequestException as error:
            if attempt == ATTEMPTS or not _can_heal(error):
                raise StepFailedError(
                    FailureClass.NO_SOURCE,
                    f"{file.filename} cannot be fetched: {_words(error)}",
                    passing=may_pass(error),
                ) from None
    raise AssertionError("the loop returns or raises")


def _download(file: IndexFile, place: Path, session: requests.Session) -> Path:
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as partial:
        try:
            with session.get(file.url, stream=True, timeout=CONNECT_AND_READ, headers=HEADERS) as response:
                response.raise_for_status()
                for chunk in response.iter_content(CHUNK):
                    digest.update(chunk)
                    partial.write(chunk)
                    if partial.tell() > (file.size or MOST_BYTES):
                        break  # an endless body must not fill the disk; the digest will not match
            partial.close()
            if digest.hexdigest() != file.sha256:
                raise StepFailedError(
                    FailureClass.BAD_DIGEST,
                    f"{file.filename} does not match its digest: the index says {file.sha256}, "
                    f"the bytes give {digest.hexdigest()}.",
                    "Do not build it. Compare with the project's own release, and tell the index.",
                )
            Path(partial.name).chmod(0o644)
            Path(partial.name).replace(place)
        except BaseException:
            Path(partial.name).unlink(missing_ok=True)
            raise
    return place


def _can_heal(error: Exception) -> bool:
    # What a status code or a refused connection says has been repeated by the session, with pauses.
    return isinstance(error, requests.exceptions.ChunkedEncodingError)


def _words(error: Exception) -> str:
    response = getattr(error, "response", None)
    return f"the index answered {response.status_code}" if response is not None else str(error)
