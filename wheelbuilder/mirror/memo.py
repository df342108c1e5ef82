"""What is remembered of offers that changed nothing: the same one reads no state again.

Merging is a pure function of a commit and the changes: what changed nothing once changes nothing again. This
machine remembers each offer; the store remembers the last one, for machines that are made anew each night.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wheelbuilder import __version__
from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import sealed, unsealed
from wheelbuilder.mirror.layout import cache_control, content_type, offer_key
from wheelbuilder.mirror.merge import Refused
from wheelbuilder.mirror.store import Store


class Memo:
    """For one set of changes: the last commit that they did not change, and what of them was refused.

    folder: where this machine remembers; None if it does not. store: where all do; None for an offer that
    nobody makes again.
    """

    def __init__(
        self, changes: Sequence[object], channel: str, *, folder: Path | None, store: Store | None
    ) -> None:
        # A change's repr holds all of it. Another version may merge in another way.
        text = repr((__version__, list(changes)))
        self._offer = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        self._local = DirectoryStore(folder) if folder else None
        self._local_key = f"unchanged/{self._offer}.json"
        self._shared = store
        self._shared_key = offer_key(channel)

    def recall(self, commit: str) -> tuple[Refused, ...] | None:
        """Return what was refused when the changes left this commit (by digest) as it is; None if unknown."""
        for values in self._remembered():
            if (values.get("commit"), values.get("offer")) == (commit, self._offer):
                return tuple(Refused(**row) for row in values["refused"])
        return None

    def keep(self, commit: str, refused: Sequence[Refused]) -> None:
        """Have this machine remember that the changes leave this commit as it is."""
        if self._local:
            self._put(self._local, self._local_key, commit, refused)

    def share(self, commit: str, refused: Sequence[Refused]) -> None:
        """Have the store remember it."""
        if self._shared:
            self._put(self._shared, self._shared_key, commit, refused)

    def _remembered(self) -> Iterator[dict[str, Any]]:
        for store, key in ((self._local, self._local_key), (self._shared, self._shared_key)):
            found = store.get(key) if store else None
            try:
                yield unsealed(found.data, key) if found else {}
            except (ConfigurationError, IntegrityError):
                yield {}  # damaged, or of a newer version: as if nothing were known

    def _put(self, store: Store, key: str, commit: str, refused: Sequence[Refused]) -> None:
        rows = [{"filename": it.filename, "sha256": it.sha256, "reason": it.reason} for it in refused]
        data = sealed({"commit": commit, "offer": self._offer, "refused": rows})
        store.put(key, data, content_type=content_type(key), cache_control=cache_control(key))
