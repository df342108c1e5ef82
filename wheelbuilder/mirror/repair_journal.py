"""A store as it would be after a repair: holds what is to be written and deleted, and does it when told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.repair_carry import Entry, carry_out
from wheelbuilder.mirror.store import Listed, Object, Store


class Journal:
    """A `Store` over another one, which `carry_out` alone changes.

    An object is replaced only if it is still what it was when the repair was planned.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._planned: dict[str, Object | None] = {}
        # ETags by key; None where nothing was, "" where it cannot be read:
        self._before: dict[str, str | None] = {}
        self._entries: list[Entry] = []

    @property
    def address(self) -> str:
        """The address of the store below."""
        return self._store.address

    @property
    def arbitrates(self) -> bool:
        """Yes: nobody else writes to a plan."""
        return True

    @property
    def touched(self) -> frozenset[str]:
        """The keys that are to change."""
        return frozenset(self._planned)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Object | None:
        """Return what a key will hold, or None."""
        return self._planned[key] if key in self._planned else self._store.get(key)

    def exists(self, key: str) -> bool:
        """Say whether a key will hold anything."""
        return self._planned[key] is not None if key in self._planned else self._store.exists(key)

    def download(self, key: str, path: Path) -> bool:
        """Write what a key will hold into a file; False if it holds nothing."""
        if key not in self._planned:
            return self._store.download(key, path)
        planned = self._planned[key]
        if planned:
            path.write_bytes(planned.data)
        return planned is not None

    def etag_of(self, data: bytes) -> str | None:
        """Return what the store below says."""
        return self._store.etag_of(data)

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
        """Plan to write a key; None if the condition does not hold."""
        etag = self._etag(key)
        if (if_none_match and etag is not None) or (if_match is not None and etag != if_match):
            return None
        held = data if isinstance(data, bytes) else data.read_bytes()
        new = self._store.etag_of(held) or f"planned-{digest(held)}"
        self._note(
            key, Object(data=held, etag=new, content_type=content_type, cache_control=cache_control), etag
        )
        return new

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield every key that there will be below a prefix."""
        for listed in self._store.list(prefix):
            planned = self._planned.get(listed.key)
            if planned:
                yield replace(listed, size=len(planned.data))
            elif listed.key not in self._planned:
                yield listed
        for key, planned in list(self._planned.items()):
            if planned and key.startswith(prefix) and self._before.get(key) is None:
                yield Listed(key=key, size=len(planned.data), modified=0.0)

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the folders of the store below: a repair makes no new one at the top."""
        return self._store.folders(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Plan to remove keys."""
        for key in keys:
            etag = self._etag(key)
            if etag is not None:
                self._note(key, None, etag)

    def exclusive(self) -> AbstractContextManager[None]:
        """Do nothing: nothing is written before `carry_out`, which keeps other writers out."""
        return nullcontext()

    def barrier(self) -> None:
        """Do nothing: `carry_out` ends with one."""

    def carry_out(self, heads: Mapping[str, str | None], needed: Collection[str]) -> None:
        """Do in order what was planned; raises UnreachableError if another writer was there meanwhile.

        heads: the ETags of the heads that the plan was made from. needed: keys that must not be pruned.
        """
        carry_out(self._store, self._entries, {**heads, **self._before}, needed)

    def _etag(self, key: str) -> str | None:
        """Return the ETag of what a key will hold; "" where it cannot be read."""
        try:
            found = self.get(key)
        except IntegrityError:
            return ""
        return found.etag if found else None

    def _note(self, key: str, found: Object | None, etag: str | None) -> None:
        self._before.setdefault(key, etag)
        self._planned[key] = found
        self._entries.append(Entry(key=key, found=found))
