"""Carry out a repair beside writers who may be at work: nothing is replaced that is not as it was planned."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.mirror.documents import NORMALIZED
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import MARKS_KEY, View, head_key
from wheelbuilder.mirror.marks import rescue
from wheelbuilder.mirror.read import read_head
from wheelbuilder.mirror.settle import look_again, write_head
from wheelbuilder.mirror.store import Object, Store
from wheelbuilder.mirror.trail import with_lost

PAGE = re.compile(rf"channels/([^/]+)/(?:{'|'.join(View)})/(?:([^/]+)/)?index\.html", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One deed: what to put under a key, None to delete it."""

    key: str
    found: Object | None


def carry_out(
    store: Store, entries: Iterable[Entry], etags: Mapping[str, str | None], needed: Collection[str]
) -> None:
    """Do in order what was planned; raises UnreachableError if another writer was there meanwhile.

    etags: of what the plan replaces, and of the heads that it was made from; None where nothing was, "" where
    it could not be read. needed: keys that must not be pruned.
    """
    carrier = _Carrier(store=store, entries=tuple(entries), etags=dict(etags))
    with store.exclusive():
        carrier.rescue(needed)
        for entry in carrier.entries:
            carrier.do(entry)
        carrier.look_again()
        store.barrier()


@dataclass(kw_only=True, slots=True)
class _Carrier:
    """What is known while a repair is carried out. warned: channels whose heads say which pages go."""

    store: Store
    entries: tuple[Entry, ...]
    etags: dict[str, str | None]
    warned: set[str] = field(default_factory=set)

    def rescue(self, needed: Collection[str]) -> None:
        """Keep what the repair relies on from being pruned; marks that are damaged go first."""
        for entry in self.entries:
            if entry.key == MARKS_KEY and entry.found is None:
                self._delete(entry.key)
        if not rescue(self.store, needed):
            raise self._moved("what is needed")

    def do(self, entry: Entry) -> None:
        """Do one deed. Marks are not written as planned, for what they are to say is said already."""
        if entry.key == MARKS_KEY:
            return
        if entry.found is None:
            self._warn(entry.key)
            self._delete(entry.key)
        else:
            self._write(entry.key, entry.found)
            self.warned -= {channel for channel in self.warned if entry.key == head_key(channel)}

    def look_again(self) -> None:
        """Look at the pages that were changed, where a publisher has moved the head beside us."""
        for channel, names in self._pages(self.entries).items():
            if self._head(channel).etag != self.etags.get(head_key(channel)):
                look_again(self.store, channel, names)

    def _warn(self, key: str) -> None:
        """Before the first page of a channel is deleted, have its head say which ones will be.

        A publisher may make one of them anew at that very moment: then the runs after it look at it.
        """
        match = PAGE.fullmatch(key)
        if not match or match[1] in self.warned:
            return
        channel, head = match[1], self._head(match[1])
        if head.etag != self.etags.get(head_key(channel)):
            raise self._moved(head_key(channel))
        doomed = self._pages(entry for entry in self.entries if entry.found is None)[channel]
        names = {name for name in doomed if NORMALIZED.fullmatch(name)}
        trail = with_lost(head.trail, names, datetime.now(UTC))
        etag = write_head(self.store, channel, replace(head, trail=trail), head) if names else head.etag
        if etag is None:
            raise self._moved(head_key(channel))
        self.etags[head_key(channel)] = etag
        self.warned.add(channel)

    def _delete(self, key: str) -> None:
        """Delete what was planned, looking once more right before: no store deletes under conditions."""
        if key in self.etags and self._etag(key) not in (None, self.etags[key]):
            raise self._moved(key)
        self.store.delete([key])
        self.etags[key] = None

    def _write(self, key: str, new: Object) -> None:
        etag = self.etags.get(key)
        if etag == "" and self._etag(key) != "":
            raise self._moved(key)
        written = self.store.put(
            key,
            new.data,
            content_type=new.content_type or "",
            cache_control=new.cache_control or "",
            if_match=etag or None,
            if_none_match=etag is None,
        )
        if written is None:
            raise self._moved(key)
        self.etags[key] = written

    def _etag(self, key: str) -> str | None:
        try:
            found = self.store.get(key)
        except IntegrityError:
            return ""
        return found.etag if found else None

    def _head(self, channel: str) -> Head:
        return read_head(self.store, channel)

    def _pages(self, entries: Iterable[Entry]) -> dict[str, frozenset[str]]:
        """Return the projects, and ROOT, whose pages are among some entries, by channel."""
        found: dict[str, frozenset[str]] = {}
        for entry in entries:
            if match := PAGE.fullmatch(entry.key):
                found[match[1]] = found.get(match[1], frozenset()) | {match[2] or ""}
        return found

    def _moved(self, what: str) -> UnreachableError:
        return UnreachableError(
            f"{self.store.address}: {what} was written by somebody else meanwhile.", "Run the repair again."
        )
