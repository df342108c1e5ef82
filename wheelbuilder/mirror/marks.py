"""What a prune is about to delete, so that a writer who needs it again can say so in time.

Blobs and states are written where nothing is. A writer that finds one there already asks here: a marked one
is unmarked by a conditional write, which the prune that would delete it also has to make, and so notices.
What is being deleted is waited for, and written again. Whoever deletes renews its announcement; one that
nobody renews is of somebody who died, or cannot get through, and is taken away by whoever it keeps waiting.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.inputs.tables import Table
from wheelbuilder.mirror.documents import REPAIR, sealed, unsealed
from wheelbuilder.mirror.layout import MARKS_KEY, cache_control, content_type
from wheelbuilder.mirror.lease import now as clock
from wheelbuilder.mirror.store import Store

LOG = logging.getLogger(__name__)  # a warning goes to standard error, whoever the caller is
SILENCE = 660.0  # seconds without a renewal that are proof: longer than a request lasts with all its attempts
DEAD = timedelta(seconds=1200)  # after which the next prune goes on, by the clocks of both machines
PATIENCE = 1800.0  # seconds that a writer waits for a prune which renews its announcement
PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two looks


@dataclass(frozen=True, kw_only=True, slots=True)
class Marks:
    """since: when each key was first seen unreachable, RFC 3339.

    deleting: what is being deleted just now; started: when that was last said, "" where nothing is.
    """

    since: Mapping[str, str] = field(default_factory=dict)
    deleting: frozenset[str] = frozenset()
    started: str = ""
    etag: str | None = None

    def is_stale(self, now: datetime) -> bool:
        """Say whether nobody has renewed the announcement for so long that the next prune may go on."""
        return not self.started or datetime.fromisoformat(self.started) + DEAD <= now


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
    watch = _Watch(store)
    while True:
        marks = read_marks(store)
        doomed = marks.deleting & wanted
        if doomed and not watch.is_dead(marks):
            watch.wait(min(doomed))
            continue
        kept = {key: moment for key, moment in marks.since.items() if key not in wanted}
        spared = replace(marks, since=kept)
        if doomed:
            spared = replace(spared, deleting=frozenset(), started="")
        if spared == marks or write_marks(store, spared):
            return not watch.waited


class _Watch:
    """How long one writer has seen the same announcement: nobody compares the clocks of two machines."""

    def __init__(self, store: Store) -> None:
        self.waited = False
        self._store = store
        self._end = clock() + PATIENCE
        self._heard, self._since = "", clock()
        self._pause = PAUSE

    def is_dead(self, marks: Marks) -> bool:
        """Say whether whoever made this announcement has been silent for too long."""
        if marks.started != self._heard:
            self._heard, self._since = marks.started, clock()
        return clock() - self._since > SILENCE

    def wait(self, key: str) -> None:
        """Wait a moment; raises UnreachableError after too many of them."""
        if clock() > self._end:
            raise UnreachableError(
                f"{self._store.address}: a prune is deleting {key}, or died while it was.",
                f"Run again: one that died is not waited for longer than {SILENCE / 60:.0f} minutes.",
            )
        if not self.waited:
            LOG.warning("A prune is deleting some of what is needed here: waiting until it has ended.")
        self.waited = True
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
