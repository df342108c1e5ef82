"""What a prune is about to delete, so that a writer who needs it again can say so in time.

Blobs and states are written where nothing is. A writer that finds one there already asks here: a marked one
is unmarked by a conditional write, which the prune that would delete it also has to make, and so notices.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.inputs.tables import Table
from wheelbuilder.mirror.documents import REPAIR, sealed, unsealed
from wheelbuilder.mirror.layout import MARKS_KEY, cache_control, content_type
from wheelbuilder.mirror.store import Store

PATIENCE = 60.0  # seconds that a writer waits for a prune to finish deleting
PAUSE = 0.5  # seconds between two looks


@dataclass(frozen=True, kw_only=True, slots=True)
class Marks:
    """since: when each key was first seen unreachable, RFC 3339.

    deleting: what a prune deletes just now; started: since when, "" where none does.
    """

    since: Mapping[str, str] = field(default_factory=dict)
    deleting: frozenset[str] = frozenset()
    started: str = ""
    etag: str | None = None


def read_marks(store: Store) -> Marks:
    """Read the marks; IntegrityError if their document is damaged."""
    found = store.get(MARKS_KEY)
    if found is None:
        return Marks()
    table = Table(unsealed(found.data, MARKS_KEY), MARKS_KEY)
    try:
        deleting = frozenset(table.strings("deleting"))
        started = table.get("started", str)
        return Marks(since=table.mapping("since"), deleting=deleting, started=started, etag=found.etag)
    except ConfigurationError as error:
        raise IntegrityError(f"{MARKS_KEY} is damaged: {error}", REPAIR) from None


def write_marks(store: Store, marks: Marks) -> Marks | None:
    """Replace the marks that were read; None if another writer was quicker."""
    etag = store.put(
        MARKS_KEY,
        sealed({"since": dict(marks.since), "deleting": sorted(marks.deleting), "started": marks.started}),
        content_type=content_type(MARKS_KEY),
        cache_control=cache_control(MARKS_KEY),
        if_match=marks.etag,
        if_none_match=marks.etag is None,
    )
    return replace(marks, etag=etag) if etag else None


def rescue(store: Store, keys: Collection[str]) -> bool:
    """Make sure that keys which were there already stay; False if they may be gone and must be written again.

    Waits for a prune that is deleting one of them; raises UnreachableError where it does not end.
    """
    wanted = frozenset(keys)
    patience = time.monotonic() + PATIENCE
    waited = False
    while wanted:
        marks = read_marks(store)
        if marks.deleting & wanted:
            _wait(store, marks, wanted, patience)
            waited = True
            continue
        kept = {key: moment for key, moment in marks.since.items() if key not in wanted}
        if len(kept) == len(marks.since) or write_marks(store, replace(marks, since=kept)):
            break
    return not waited


def _wait(store: Store, marks: Marks, wanted: frozenset[str], patience: float) -> None:
    if time.monotonic() > patience:
        raise UnreachableError(
            f"{store.address}: a prune is deleting {min(marks.deleting & wanted)}, or died while it was.",
            "Run 'wheelbuilder prune' to finish it, then run again.",
        )
    time.sleep(PAUSE)
