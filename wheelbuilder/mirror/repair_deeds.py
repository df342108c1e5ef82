"""What a repair does, as a list for people, and the store it does it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from wheelbuilder.mirror import settle
from wheelbuilder.mirror.repair_journal import Journal


class Deed(StrEnum):
    """What becomes of a key."""

    RESTORED = "restore"
    PUBLISHED = "publish"
    REMOVED = "remove"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Remedy:
    """What is done about one key, and from what, or why nothing can be."""

    key: str
    deed: Deed
    words: str


@dataclass(kw_only=True, slots=True)
class Repairs:
    """A repair while it is planned. cache: a folder that keeps states by digest."""

    store: Journal
    now: datetime
    cache: Path | None = None
    remedies: list[Remedy] = field(default_factory=list)

    def note(self, key: str, deed: Deed, words: str) -> None:
        """Take down what is done, once; a loss of a key once, whatever is said of it later."""
        remedy = Remedy(key=key, deed=deed, words=words)
        known = {it.key for it in self.remedies if it.deed is Deed.LOST} if deed is Deed.LOST else set()
        if remedy not in self.remedies and key not in known:
            self.remedies.append(remedy)


def write(store: Journal, key: str, data: bytes) -> None:
    """Put an object with the headers of its key over whatever is there."""
    settle.write(store, key, data)
