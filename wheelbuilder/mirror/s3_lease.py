"""The object in a bucket by which writers keep each other out."""

from __future__ import annotations

from functools import cached_property

from wheelbuilder.mirror.lease import Terms
from wheelbuilder.mirror.s3_objects import Bucket
from wheelbuilder.mirror.s3_payload import Payload
from wheelbuilder.mirror.store import HIDDEN

KEY = f"{HIDDEN}/lease.json"
HEADERS = {"ContentType": "application/json", "CacheControl": "no-store"}


class BucketCell:
    """The lease's object, read and written without patience: the lease itself tries again."""

    def __init__(self, bucket: Bucket, terms: Terms) -> None:
        self._patient = bucket
        self._hurry = terms.hurry

    @cached_property
    def _bucket(self) -> Bucket:
        return self._patient.hurried(attempts=1, connect=self._hurry, read=self._hurry)

    def read(self) -> bytes | None:
        """Return what the object holds; None if it is not there."""
        found = self._bucket.get(KEY)
        return found.data if found else None

    def write(self, data: bytes) -> None:
        """Replace the object."""
        payload = Payload.of(data)
        answer = self._bucket.put(KEY, payload, HEADERS)
        self._bucket.written(KEY, payload, answer, conditional=False)
