"""Says what a container does, as the host's kernel sees it: how much it computes, and whether it only waits.

What foreign code says of itself counts for nothing: a build waits for a compile slot if one of its processes
stands in the queue for one, by the kernel's own list of locks, and others hold the queue or the slots.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import slots

TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """computed: seconds of all processors until now.

    held_up: it stands in the queue for a compile slot, has none, and others are why.
    """

    computed: float
    held_up: bool = False


@dataclass
class Container:
    """A container to look at while it runs.

    first: asks for the pid of its first process, None before it has one. places: the folder of the machine's
    compile slots; None where it has none.
    """

    first: Callable[[], int | None]
    places: Path | None = None
    _pid: int | None = None

    def activity(self) -> Activity | None:
        """Look; None where nobody can say, such as with an engine on another machine."""
        self._pid = self._pid or self.first()
        tree = _tree(self._pid) if self._pid else {}
        if not tree:
            return None
        held_up = self.places is not None and slots.are_others_to_blame(self.places, tree.keys())
        return Activity(computed=sum(tree.values()), held_up=held_up)


def _tree(first: int) -> dict[int, float]:
    """Return the seconds that a process, its descendants and their ended children have computed, by pid.

    Empty if it is not to be seen. What is left alone inside a container becomes a child of its first process,
    so nothing of it is missed.
    """
    used: dict[int, float] = {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for child, parent, seconds in _processes():
        used[child] = seconds
        children[parent].append(child)
    if first not in used:
        return {}
    found: dict[int, float] = {}
    queue = [first]
    while queue:
        pid = queue.pop()
        found[pid] = used[pid]
        queue += children[pid]
    return found


def _processes() -> Iterator[tuple[int, int, float]]:
    """Yield pid, parent and seconds of every process (proc(5), fields 4 and 14 to 17)."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text(encoding="ascii", errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        # The second field is the command in parentheses and may itself hold spaces and parentheses.
        fields = stat.rpartition(")")[2].split()
        yield int(path.parent.name), int(fields[1]), sum(map(int, fields[11:15])) / TICKS
