"""Delete what writers may need again: announced, deleted, and the announcement withdrawn.

A writer that needs an announced key waits until it is withdrawn, and writes the key again. So an announcement
has to end: by itself where deleting ends, also with an error; by whoever it keeps waiting, where it is not
renewed any more. What others have taken out of it meanwhile is not deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby, islice

from wheelbuilder.errors import UnreachableError, WheelbuilderError
from wheelbuilder.mirror.lease import now as clock
from wheelbuilder.mirror.marks import DEAD, Marks, read_marks, write_marks
from wheelbuilder.mirror.states import timestamp
from wheelbuilder.mirror.store import Store

MOST_TRIES = 20
AT_ONCE = 1000  # keys deleted by one request
RENEWAL = 60.0  # seconds after which an announcement is renewed before anything is deleted
ORDER = ("channels/", "states/", "files/")  # what refers goes before what is referred to

Now = Callable[[], datetime]


def running(now: datetime) -> Now:
    """Return a clock that begins at a moment."""
    begun = clock()
    return lambda: now + timedelta(seconds=clock() - begun)


def refuse_beside_another(marks: Marks, now: datetime, address: str) -> None:
    """Raise UnreachableError while somebody else is deleting, or may be."""
    if marks.deleting and not marks.is_stale(now):
        raise UnreachableError(
            f"{address}: another prune is deleting since {marks.started}, or died while it was.",
            f"Wait for it, or run again in {DEAD.total_seconds() / 60:.0f} minutes.",
        )


@dataclass(kw_only=True, slots=True)
class Removal:
    """Keys that are announced. left: those not deleted yet. sent: those of a request that is on its way.

    said, at: when the announcement was last renewed, as it is written there, and by our own clock.
    """

    store: Store
    now: Now
    left: set[str]
    said: str
    at: float
    sent: frozenset[str] = frozenset()
    gone: set[str] = field(default_factory=set)

    def delete(self, keys: Iterable[str] | None = None) -> None:
        """Delete some of the announced keys, or all that are left; UnreachableError if another took over."""
        todo = sorted(self.left if keys is None else keys, key=_rank)
        for _, kind in groupby(todo, key=_kind):
            while batch := list(islice(kind, AT_ONCE)):
                self._renew()
                self.sent = frozenset(batch) & self.left
                self.store.delete([key for key in batch if key in self.sent])
                self.gone |= self.sent
                self.left -= self.sent
                self.sent = frozenset()

    def withdraw(self) -> None:
        """Take back the announcement, but of what a request that failed may still delete."""
        for _ in range(MOST_TRIES):
            marks = read_marks(self.store)
            if marks.started != self.said:
                return  # another has taken over
            deleting = marks.deleting & self.sent
            since = {key: moment for key, moment in marks.since.items() if key not in self.gone}
            ended = replace(marks, since=since, deleting=deleting, started=self.said if deleting else "")
            if write_marks(self.store, ended):
                return

    def _renew(self) -> None:
        """Say again that we are at it, unless we just have; leave out what others have taken out."""
        while clock() - self.at > RENEWAL:
            begun, moment = clock(), timestamp(self.now())
            marks = read_marks(self.store)
            if marks.started not in ("", self.said):
                raise UnreachableError(
                    f"{self.store.address}: deleting took so long that another has taken over.", "Run again."
                )
            self.left &= marks.deleting
            if not self.left or write_marks(self.store, replace(marks, started=moment)):
                self.said, self.at = moment if self.left else self.said, begun


@contextmanager
def announced(store: Store, marks: Marks, doomed: frozenset[str], now: Now) -> Iterator[Removal | None]:
    """Announce what the caller is going to delete, until the context is left; None if it was not to be.

    marks: as they were read, with what else is to be written there; somebody may have changed them.
    """
    at, said = clock(), timestamp(now())
    if not write_marks(store, replace(marks, deleting=doomed, started=said)):
        yield None
        return
    removal = Removal(store=store, now=now, left=set(doomed), said=said, at=at)
    try:
        yield removal
    except BaseException:
        with suppress(WheelbuilderError):
            removal.withdraw()
        raise
    removal.withdraw()


def _kind(key: str) -> int:
    return next((place for place, prefix in enumerate(ORDER) if key.startswith(prefix)), len(ORDER))


def _rank(key: str) -> tuple[int, int, str]:
    """Put commits first, the newest before the others, so that what is left hangs together at any moment."""
    number = key.rpartition("/")[2].removesuffix(".json") if _kind(key) == 0 else ""
    return _kind(key), -int(number) if number.isdigit() else 0, key
