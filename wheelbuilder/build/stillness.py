"""Says when a container hangs: it has printed nothing and computed nothing for too long.

Silence alone would not do: a compiler may work on one file for an hour without a word. What waits in
a loop, and looks up now and then, uses next to nothing of a processor. Who is held up by other builds does
not hang, and that time is not its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from wheelbuilder.build.activity import Activity

MOST_PAUSE = 15.0  # seconds between two looks
LEAST_PAUSE = 0.1
LOOKS = 10  # at least, within a time limit
IDLE = 0.01  # of one processor: what a container uses that only waits
MOST_TIMES = 10  # the time limit: what others may hold a container up for
LEAST_MOST = 600.0  # seconds; compiler.c loses its patience after that


class Stillness:
    """Looks at one container while it runs. limit: seconds of stillness. timeout: seconds that it has in all.

    activity: what it does, None where nobody can say: then it never hangs. every: seconds between two looks.
    excused: seconds until now that others have held it up for, in which it computed nothing.
    """

    def __init__(
        self,
        log: Path,
        activity: Callable[[], Activity | None],
        limit: float,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._activity, self._limit = log, activity, limit
        self._clock = clock
        self._moved = self._looked = clock()
        self._size, self._computed = 0, 0.0
        self._most = max(LEAST_MOST, MOST_TIMES * timeout)
        self.excused = 0.0
        self.every = max(LEAST_PAUSE, min(MOST_PAUSE, limit / 4, timeout / LOOKS))

    def gives_up(self) -> bool:
        """Look, and say whether nothing has moved for the limit."""
        now = self._clock()
        if self._has_moved(now - self._looked):
            self._moved = now
        self._looked = now
        return now - self._moved >= self._limit

    def _has_moved(self, seconds: float) -> bool:
        size = self._log.stat().st_size if self._log.exists() else 0
        activity = self._activity()
        if activity is None:
            return True
        # What has ended takes its time along, unless somebody waited for it: then there is less than before.
        computed = abs(activity.computed - self._computed)
        moved = size != self._size or computed > IDLE * seconds
        self._size, self._computed = size, activity.computed
        return self._is_excused(activity, seconds - computed) or moved

    def _is_excused(self, activity: Activity, idle: float) -> bool:
        """Count the seconds in which others held it up. Not for ever: they may be its own accomplices."""
        if not activity.held_up or self.excused >= self._most:
            return False
        self.excused += max(0.0, idle)
        return True
