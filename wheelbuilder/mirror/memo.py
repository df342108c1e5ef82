"""What this machine remembers of publications that changed nothing: the same one reads no state again.

Merging is a pure function of a commit and the changes: what changed nothing once changes nothing again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from wheelbuilder import __version__
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.merge import Refused


class Memo:
    """For one set of changes: the last commit that they did not change, and what of them was refused."""

    def __init__(self, folder: Path, changes: Sequence[object]) -> None:
        self._store = DirectoryStore(folder)
        # A change's repr holds all of it. Another version may merge in another way.
        text = repr((__version__, list(changes)))
        self._key = f"unchanged/{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}.json"

    def recall(self, commit: str) -> tuple[Refused, ...] | None:
        """Return what was refused when the changes left this commit (by digest) as it is; None if unknown."""
        found = self._store.get(self._key)
        try:
            values = json.loads(found.data) if found else {}
            if values.get("commit") != commit:
                return None
            return tuple(Refused(**row) for row in values["refused"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def keep(self, commit: str, refused: Sequence[Refused]) -> None:
        """Remember that the changes leave this commit as it is."""
        rows = [{"filename": it.filename, "sha256": it.sha256, "reason": it.reason} for it in refused]
        data = json.dumps({"commit": commit, "refused": rows}).encode()
        self._store.put(self._key, data, content_type="", cache_control="")
