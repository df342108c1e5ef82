"""Says when a container hangs: it has printed nothing and computed nothing for too long.

Silence alone would not do: a compiler may work on one file for an hour without a word. What waits in
a loop, and looks up now and then, uses next to nothing of a processor.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from wheelbuilder.build.slots import WAITING

MOST_PAUSE = 15.0  # seconds between two looks
IDLE = 0.01  # of one processor: what a container uses that only waits
TICKS = os.sysconf("SC_CLK_TCK")  # a second


class Stillness:
    """Looks at one container while it runs. limit: seconds.

    processor_time: the seconds that it has computed, None where nobody can say: then it never hangs.
    """

    def __init__(
        self,
        log: Path,
        processor_time: Callable[[], float | None],
        limit: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._processor_time, self._limit = log, processor_time, limit
        self._clock = clock
        self._moved = self._looked = clock()
        self._size, self._computed = 0, -1.0
        self.every = min(MOST_PAUSE, limit / 4)

    def gives_up(self) -> bool:
        """Look, and say whether nothing has moved for the limit."""
        now = self._clock()
        if self._has_moved(now - self._looked):
            self._moved = now
        self._looked = now
        return now - self._moved >= self._limit

    def _has_moved(self, seconds: float) -> bool:
        size = self._log.stat().st_size if self._log.exists() else 0
        computed = self._processor_time()
        if computed is None:
            return True
        # What has ended takes its time along, unless somebody waited for it: then there is less than before.
        moved = size != self._size or abs(computed - self._computed) > IDLE * seconds
        self._size, self._computed = size, computed
        return moved


def processor_time(pid: int) -> float | None:
    """Return the seconds that a process, its descendants and their ended children have computed.

    None if the process is not to be seen, or one of them waits for a compile slot: for other builds. What is
    left alone inside a container becomes a child of its first process, so nothing of it is missed.
    """
    used: dict[int, float | None] = {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for child, parent, name, seconds in _processes():
        used[child] = None if name == WAITING else seconds
        children[parent].append(child)
    if pid not in used:
        return None
    total, queue = 0.0, [pid]
    while queue:
        process = queue.pop()
        computed = used[process]
        if computed is None:
            return None
        total += computed
        queue += children[process]
    return total


def _processes() -> Iterator[tuple[int, int, str, float]]:
    """Yield pid, parent, name and seconds of every process (proc(5), fields 2, 4 and 14 to 17)."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text(encoding="ascii", errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        # The second field is the command in parentheses and may itself hold spaces and parentheses.
        head, _, tail = stat.rpartition(")")
        fields = tail.split()
        name = head.partition("(")[2]
        yield int(path.parent.name), int(fields[1]), name, sum(map(int, fields[11:15])) / TICKS
