"""Requests on the objects of a bucket: each is repeated until it is answered, and says what is known."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from wheelbuilder.errors import UnreachableError
from wheelbuilder.mirror.s3_client import Answer, Patience, Place, Requests
from wheelbuilder.mirror.s3_errors import GarbledError, code_of, status_of
from wheelbuilder.mirror.s3_payload import BLOCK, DIGEST, Payload
from wheelbuilder.mirror.s3_replies import Digesting, is_refusal, quoted, told
from wheelbuilder.mirror.store import HIDDEN, Listed, Object, is_key

BATCH = 1000  # keys in one request to delete
PASSING = ("InternalError", "SlowDown", "ServiceUnavailable")  # of one key among many
Look = Callable[[Mapping[str, str]], None]
Condition = dict[str, str]  # IfMatch or IfNoneMatch, as boto3 calls them


@dataclass(frozen=True, kw_only=True, slots=True)
class Headed:
    """What an object's headers say. sha256: hexadecimal, "" where whoever wrote it left none."""

    etag: str
    size: int
    sha256: str


class Bucket:
    """The objects of one place."""

    def __init__(self, place: Place, patience: Patience, requests: Requests | None = None) -> None:
        self.requests = requests or Requests(place, patience)
        self.address = place.address
        self._seen = False  # whether any answer has shown that the bucket is there

    def hurried(self, **times: Any) -> Bucket:
        """Return the same place with another patience."""
        requests = self.requests.hurried(**times)
        return Bucket(requests.place, requests.patience, requests)

    def head(self, key: str) -> Headed | None:
        """Return what the headers of an object say; None if it is not there."""
        where = self.requests.where(key)
        deed = f"reading {key}"

        def send() -> Headed:
            found = self.requests.client.head_object(**where)
            kept = found.get("Metadata", {}).get(DIGEST, "")
            return Headed(etag=quoted(told(found, "ETag")), size=int(found["ContentLength"]), sha256=kept)

        answer = self.requests.answer(deed, send)
        if answer.error and status_of(answer.error) == 404:
            self._check_bucket()
            return None
        headed: Headed = self._known(answer, deed)
        return headed

    def get(self, key: str, look: Look = lambda _notes: None) -> Object | None:
        """Return what an object holds; None if it is not there. look: sees the object's own metadata."""
        blocks: list[bytes] = []

        def collect(found: dict[str, Any]) -> None:
            blocks[:] = [found["Body"].read()]

        found = self._read(key, collect)
        if found is None:
            return None
        look(found.get("Metadata", {}))
        kept = {"content_type": found.get("ContentType"), "cache_control": found.get("CacheControl")}
        return Object(data=blocks[0], etag=quoted(found["ETag"]), **kept)

    def download(self, key: str, path: Path) -> bool:
        """Write what an object holds into a file; False if it is not there."""

        def stream(found: dict[str, Any]) -> None:
            with path.open("wb") as sink:
                for block in found["Body"].iter_chunks(BLOCK):
                    sink.write(block)

        try:
            return self._read(key, stream) is not None
        except OSError as error:
            raise UnreachableError(
                f"{path} cannot be written: {error.strerror or error}.", "Make room, then run again."
            ) from None

    def put(
        self,
        key: str,
        payload: Payload,
        headers: dict[str, str],
        condition: Condition | None = None,
        *,
        sure: Callable[[], None] | None = None,
    ) -> Answer[str]:
        """Write an object in one request; the answer is its ETag or the server's refusal."""

        def send() -> str:
            with payload.open() as body:
                answer = self.requests.client.put_object(
                    **self.requests.where(key),
                    **headers,
                    **(condition or {}),
                    Body=body,
                    ContentLength=payload.size,
                    ContentMD5=payload.content_md5,
                    ChecksumSHA256=_base64(payload.sha256),
                    Metadata=payload.metadata,
                )
            return quoted(told(answer, "ETag"))

        return self.requests.answer(f"writing {key}", send, sure=sure)

    def written(self, key: str, payload: Payload, answer: Answer[str], *, conditional: bool) -> str | None:
        """Return the ETag that a write gave, or None if its condition did not hold.

        A refusal after an attempt whose answer was lost may be that attempt's own success: then the
        object holds our bytes. If yet another writer has replaced them meanwhile, the answer is None
        although they were there for a moment: whoever merges and tries again finds them in what it merges.
        """
        refusal = answer.error
        if conditional and refusal and is_refusal(refusal):
            return self.ours(key, payload) if answer.doubtful else None
        etag: str = self._known(answer, f"writing {key}")
        return etag

    def ours(self, key: str, payload: Payload) -> str | None:
        """Return the ETag of an object if it holds these bytes."""
        if isinstance(payload.source, bytes):
            found = self.get(key)
            return found.etag if found and found.data == payload.source else None
        headed = self.head(key)
        same = headed and (headed.size, headed.sha256) == (payload.size, payload.sha256.hex())
        return headed.etag if headed and same else None

    def list(self, prefix: str) -> Iterator[Listed]:
        """Yield every key below a prefix, whatever the size of the server's pages."""
        place = self.requests.place
        for page in self._pages(place.names_from(prefix), prefix):
            for entry in page.get("Contents", ()):
                key = place.key(entry["Key"])
                if key.startswith(prefix) and is_key(key):
                    yield Listed(key=key, size=entry["Size"], modified=entry["LastModified"].timestamp())

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly below a prefix that ends with "/", or is empty."""
        whole = self.requests.place.prefix + prefix
        for page in self._pages(whole, prefix, Delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                name = entry["Prefix"].removeprefix(whole).rstrip("/")
                if name and name != HIDDEN:
                    yield name

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, many at a time; one that is not there is no error."""
        todo = iter(keys)
        while batch := tuple(islice(todo, BATCH)):
            self._delete(batch)

    def _delete(self, keys: tuple[str, ...]) -> None:
        place = self.requests.place
        objects = {"Objects": [{"Key": place.name(key)} for key in keys], "Quiet": True}
        deed = f"deleting {keys[0]}" + (f" and {len(keys) - 1} more" if keys[1:] else "")

        def send() -> tuple[dict[str, str], ...]:
            answer = self.requests.client.delete_objects(Bucket=place.bucket, Delete=objects)
            errors = tuple(error for error in answer.get("Errors", ()) if error.get("Code") != "NoSuchKey")
            if any(error.get("Code") in PASSING for error in errors):
                raise GarbledError(f"{errors[0].get('Code')} for {errors[0].get('Key')}")
            return errors

        for error in self.requests.value(deed, send):
            raise UnreachableError(
                f"The store {self.address} refused deleting {error.get('Key')}: "
                f"{error.get('Code')}: {error.get('Message')}.",
                "Give these credentials the right to delete objects, then run again.",
            )

    def _pages(self, names: str, what: str, **options: str) -> Iterator[dict[str, Any]]:
        place, token = self.requests.place, dict[str, str]()

        def send() -> dict[str, Any]:
            answer = self.requests.client.list_objects_v2(
                Bucket=place.bucket, Prefix=names, **options, **token
            )
            if told(answer, "IsTruncated") == "True":
                told(answer, "NextContinuationToken")
            return dict(answer)

        while True:
            page = self.requests.value(f"listing {what or 'it'}", send)
            self._seen = True
            yield page
            if not page["IsTruncated"]:
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _read(self, key: str, take: Callable[[dict[str, Any]], None]) -> dict[str, Any] | None:
        """Have the body of an object taken; its parameters, or None if it is not there.

        What arrives altered is read again. The same wrong bytes twice are what is stored: to name that
        damage is the audit's work, not ours.
        """
        wrong: list[str] = []

        def send() -> dict[str, Any]:
            found = dict(self.requests.client.get_object(**self.requests.where(key)))
            told(found, "ETag")
            found["Body"] = body = Digesting(found["Body"])
            try:
                take(found)
            finally:
                body.close()
            if not body.is_as_told(found) and body.sha256.hexdigest() not in wrong:
                wrong.append(body.sha256.hexdigest())
                raise GarbledError("the bytes are not those of the object's digest")
            return found

        deed = f"reading {key}"
        answer = self.requests.answer(deed, send)
        if answer.error and code_of(answer.error) == "NoSuchKey":
            self._seen = True
            return None
        found: dict[str, Any] = self._known(answer, deed)
        return found

    def _known(self, answer: Answer[Any], deed: str) -> Any:
        if answer.error:
            raise self.requests.explained(answer.error, deed) from None
        self._seen = True
        return answer.value

    def _check_bucket(self) -> None:
        """Tell an object that is not there from a bucket that is not there; HEAD has no words for it."""
        if not self._seen:
            place = self.requests.place
            one = {"Bucket": place.bucket, "Prefix": place.prefix, "MaxKeys": 1}
            self.requests.value("listing it", lambda: self.requests.client.list_objects_v2(**one))
            self._seen = True


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
