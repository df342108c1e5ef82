"""Says what builds have cost: processor seconds of everything they started, and which programs took them.

The totals are the kernel's own (getrusage): containers run below the engine's monitor, which would be
lost to us when its parent ends, so this process adopts it (PR_SET_CHILD_SUBREAPER, prctl(2)) and waits for
it. The programs are told apart by a process of its own that looks at /proc a few times a second: what
started and ended between two looks is known only in sum.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
EVERY = 0.2  # seconds between two looks
PATIENCE = 5.0  # seconds until an adopted process that does not end is left alone
TICKS = os.sysconf("SC_CLK_TCK")  # a second


class Usage:
    """What this process and all that it has started have used; no container may run when it is asked."""

    def __init__(self) -> None:
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        argv = (sys.executable, __file__, str(os.getpid()))
        self._sampler = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self) -> float:
        """Return processor seconds until now, the sampler apart."""
        self._reap()
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    def programs(self) -> dict[str, float]:
        """Return processor seconds by program since the last call."""
        assert self._sampler.stdin and self._sampler.stdout
        self._sampler.stdin.write("\n")
        self._sampler.stdin.flush()
        told: dict[str, float] = json.loads(self._sampler.stdout.readline())
        return told

    def _reap(self) -> None:
        end = time.monotonic() + PATIENCE
        while (left := self._adopted()) and time.monotonic() < end:
            for pid in left:
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.01)

    def _adopted(self) -> list[int]:
        return [
            pid for pid, parent, _, _ in processes() if parent == os.getpid() and pid != self._sampler.pid
        ]


def processes() -> Iterator[tuple[int, int, float, int]]:
    """Yield pid, parent, own processor seconds and start of every process (proc(5), stat)."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        fields = stat.rpartition(b")")[2].split()
        yield (
            int(path.parent.name),
            int(fields[1]),
            (int(fields[11]) + int(fields[12])) / TICKS,
            int(fields[19]),
        )


def program(pid: int) -> str:
    """Name what a process runs: `cc1`, `emulated cc1`, `emulated python cython`."""
    try:
        real = Path("/proc", str(pid), "exe").readlink().name
        words = [Path(word).name for word in Path("/proc", str(pid), "cmdline").read_text().split("\0")]
    except (OSError, UnicodeDecodeError):
        return "unknown"
    emulated = real.startswith("qemu-") or "binfmt" in real
    name = words[1] if emulated and len(words) > 1 else real  # the first word is the emulator's name
    if name.startswith("python"):
        # Also its own name again, where binfmt_misc passes that on, and `-m`.
        scripts = [it for it in words[1:] if it and not it.startswith(("-", "python"))]
        name = " ".join(["python", *scripts[:1]])
    return f"emulated {name}" if emulated else name


class Sampler:
    """Adds up what the descendants of a process use, by program."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._before: dict[tuple[int, int], float] = {}  # by pid and start
        self._names: dict[tuple[int, int], str] = {}
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def look(self) -> None:
        """Add what was used since the last look."""
        table = {pid: (parent, seconds, start) for pid, parent, seconds, start in processes()}
        for pid, (_, used, start) in table.items():
            if self._is_below(pid, table):
                # A program may replace itself by another: the name is asked for as long as it computes.
                key, before = (pid, start), self._before.get((pid, start), 0.0)
                if used > before or key not in self._names:
                    self._names[key] = program(pid)
                self.seconds[self._names[key]] += used - before
                self._before[key] = used

    def _is_below(self, pid: int, table: dict[int, tuple[int, float, int]]) -> bool:
        if pid == os.getpid():
            return False
        above = pid
        while above in table and above != self._root:
            above = table[above][0]
        return above == self._root


def main(root: int) -> None:
    """Look until standard input ends; answer each line of it with what was used since the last one."""
    sampler = Sampler(root)
    while True:
        sampler.look()
        if select.select([0], [], [], EVERY)[0]:
            if not os.read(0, 64):
                return
            used = {name: round(seconds, 2) for name, seconds in sampler.seconds.items() if seconds}
            print(json.dumps(used), flush=True)
            sampler.seconds.clear()


if __name__ == "__main__":
    main(int(sys.argv[1]))
