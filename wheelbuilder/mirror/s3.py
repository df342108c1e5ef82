"""A store in a bucket of S3-compatible object storage."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.layout import REVALIDATE
from wheelbuilder.mirror.lease import Lease, Terms
from wheelbuilder.mirror.probe import Abilities, Form, abilities
from wheelbuilder.mirror.s3_client import Patience, Place
from wheelbuilder.mirror.s3_large import PART, upload_large
from wheelbuilder.mirror.s3_lease import BucketCell
from wheelbuilder.mirror.s3_objects import Bucket, Condition
from wheelbuilder.mirror.s3_payload import Payload, etag_of
from wheelbuilder.mirror.store import Listed, Object, check_key

LARGE = 64 << 20  # bytes from which a file is written in parts
TURNS = 64
HEAD = re.compile(r"channels/[^/]+/head\.json")
PAGES = "pages"  # in a head's own metadata: what the names of its channel's pages end in


class S3Store:
    """Objects below s3://bucket/prefix. Conditional writes are the server's, or a lease stands in.

    Everything written is durable when its request is answered, so there is nothing for `barrier` to do.
    """

    def __init__(
        self,
        address: str,
        *,
        patience: Patience | None = None,
        terms: Terms | None = None,
        large: int = LARGE,
        part: int = PART,
    ) -> None:
        self.place = Place.parse(address)
        self.bucket = Bucket(self.place, patience or Patience())
        self.terms = terms or Terms()
        self._large = large
        self._part = part
        self._guard = threading.Lock()
        self._abilities: Abilities | None = None
        self._turns = [threading.Lock() for _ in range(TURNS)]

    @property
    def address(self) -> str:
        """The address as the user wrote it."""
        return self.place.address

    @property
    def abilities(self) -> Abilities:
        """What the server honours, found out before the first conditional write."""
        with self._guard:
            if self._abilities is None:
                found = abilities(self.bucket)
                if not found.keeps_folders and not self.place.web_host:
                    raise ConfigurationError(
                        f"The store {self.address} loses objects whose names end in a slash, as pages' do.",
                        "Put a static web host in front, and write ?index=index.html behind the address.",
                    )
                self._abilities = found
            return self._abilities

    @property
    def arbitrates(self) -> bool:
        """Whether the server honours conditions; under a lease a write may come late and unconditionally."""
        return self.abilities.conditional

    @cached_property
    def lease(self) -> Lease:
        """What stands in where the server does not arbitrate."""
        return Lease(BucketCell(self.bucket, self.terms), self.terms, self.address)

    def get(self, key: str) -> Object | None:
        """Return what a key holds, or None."""
        is_head = HEAD.fullmatch(key) is not None
        found = self.bucket.get(check_key(key), *([self._check_pages] if is_head else []))
        if is_head and found is None:
            self._ask_another_channel()
        if found and found.cache_control == self._pages_kept:
            return replace(found, cache_control=REVALIDATE)
        return found

    def exists(self, key: str) -> bool:
        """Say whether a key holds anything."""
        return self.bucket.head(check_key(key)) is not None

    def download(self, key: str, path: Path) -> bool:
        """Write what a key holds into a file; False if it holds nothing."""
        return self.bucket.download(check_key(key), path)

    def etag_of(self, data: bytes) -> str | None:
        """Return the ETag of a key that holds these bytes, where the server's ETags are MD5 digests."""
        return etag_of(data) if self.abilities.etag_is_md5 else None

    def put(
        self,
        key: str,
        data: bytes | Path,
        *,
        content_type: str,
        cache_control: str,
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> str | None:
        """Write a key whole and return its ETag; None if the condition did not hold."""
        check_key(key)
        kept = self._pages_kept if cache_control == REVALIDATE else cache_control
        headers = {"ContentType": content_type, "CacheControl": kept}
        payload = Payload.of(data, **({PAGES: self.place.page_names} if HEAD.fullmatch(key) else {}))
        if if_match is None and not if_none_match:
            return self._write(key, payload, headers, {})
        if self.abilities.conditional:
            condition = {"IfNoneMatch": "*"} if if_none_match else self.abilities.matching(if_match or "")
            return self._write(key, payload, headers, condition)
        return self._write_alone(key, payload, headers, if_match)

    def _check_pages(self, notes: Mapping[str, str]) -> None:
        """Refuse an address that would give the pages of a channel, which has some, other names."""
        theirs = notes.get(PAGES, self.place.page_names)
        if theirs != self.place.page_names:
            bare = self.address.partition("?")[0]
            raise ConfigurationError(
                f"The store {self.address} has pages whose names end in {theirs}, and this address asks for"
                f" {self.place.page_names}: installers would see two trees that drift apart.",
                f"Write {bare}{'' if theirs == '/' else f'?index={theirs}'}; to change it, make a copy with"
                " 'wheelbuilder sync' at another prefix.",
            )

    def _ask_another_channel(self) -> None:
        """Have a new channel's pages named as those of a channel that is there."""
        for name in islice(self.folders("channels/"), 1):
            self.bucket.get(f"channels/{name}/head.json", self._check_pages)

    @property
    def _pages_kept(self) -> str:
        """What caches are told of pages: to revalidate, or what the address asks for."""
        age = self.place.page_max_age
        return REVALIDATE if age is None else f"public, max-age={age}"

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield every key that begins with `prefix`, in no stated order."""
        return self.bucket.list(prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly below a prefix that ends with "/"."""
        return self.bucket.folders(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; one that is not there is no error."""
        self.bucket.delete(check_key(key) for key in keys)

    def exclusive(self) -> AbstractContextManager[None]:
        """Have the lease, once it is needed, kept until the context is left.

        It is taken by the first conditional write, on servers that do not arbitrate themselves: a run
        that writes nothing neither probes nor waits.
        """
        return self.lease.kept()

    def look(self) -> str:
        """Probe anew, whatever is kept of earlier days, and say who arbitrates between writers.

        Errors: UnreachableError, ConfigurationError.
        """
        with self._guard:
            self._abilities = abilities(self.bucket, fresh=True)
        if not self._abilities.conditional:
            return f"conditional writes are not honoured: a lease of {self.terms.duration:g} s stands in"
        form = self._abilities.if_match
        return "conditional writes are honoured" + (f" with ETags {form}" if form is Form.UNQUOTED else "")

    def barrier(self) -> None:
        """Do nothing: an answered request is durable."""

    def _write(
        self,
        key: str,
        payload: Payload,
        headers: dict[str, str],
        condition: Condition,
        sure: Callable[[], None] | None = None,
    ) -> str | None:
        if isinstance(payload.source, Path) and payload.size > self._large:
            return upload_large(self.bucket, key, payload, headers, condition, part=self._part, sure=sure)
        answer = self.bucket.put(key, payload, headers, condition, sure=sure)
        return self.bucket.written(key, payload, answer, conditional=bool(condition))

    def _write_alone(
        self, key: str, payload: Payload, headers: dict[str, str], if_match: str | None
    ) -> str | None:
        """Compare, then write, while the lease keeps other processes out and a lock our own threads."""
        if if_match is None and payload.sha256.hex() in key:
            # Whoever writes this key writes these bytes: there is no race to lose.
            return None if self.bucket.head(key) else self._write(key, payload, headers, {})
        with self.lease.held(), self._turns[hash(key) % TURNS]:
            found = self.bucket.head(key)
            if (found.etag if found else None) != if_match:
                return None
            return self._write(key, payload, headers, {}, self.lease.check)
