"""Says what builds have cost: processor seconds of everything they started, and which programs took them.

The totals are the kernel's own: what a process has used is in its own counters while it is there, and in
those of its parent once that has waited for it. Containers run below the engine's monitor, which would be
lost to us when its parent ends, so this process adopts it (PR_SET_CHILD_SUBREAPER, prctl(2)). The programs
are told apart by a process of its own that looks at /proc a few times a second: what started and ended
between two looks is known only in sum. An engine with a daemon, such as docker, is not covered.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
EVERY = 0.2  # seconds between two looks
MONITOR = "conmon"  # of podman
TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One line of /proc. own, waited: processor seconds of itself, and of children that it has waited for."""

    pid: int
    name: str
    parent: int
    own: float
    waited: float
    start: int  # in clock ticks since the machine has started: with the pid it names a process for ever
    ended: bool


class Usage:
    """What this process and all that it has started have used."""

    def __init__(self) -> None:
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        argv = (sys.executable, __file__, str(os.getpid()))
        self._sampler = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self) -> float:
        """Return processor seconds until now, the sampler apart."""
        table = processes()
        for process in table.values():
            # Nobody else waits for an adopted monitor.
            if process.parent == os.getpid() and process.name == MONITOR and process.ended:
                os.waitpid(process.pid, 0)
        table = processes()
        counted = [it for it in table.values() if is_below(it.pid, os.getpid(), table)]
        return sum(it.own + it.waited for it in counted if it.pid != self._sampler.pid)

    def programs(self) -> dict[str, float]:
        """Return processor seconds by program since the last call."""
        assert self._sampler.stdin and self._sampler.stdout
        self._sampler.stdin.write("\n")
        self._sampler.stdin.flush()
        told: dict[str, float] = json.loads(self._sampler.stdout.readline())
        return told


def processes() -> dict[int, Process]:
    """Return every process by its pid (proc(5), stat)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        before, _, after = stat.rpartition(")")
        fields = after.split()
        pid, ticks = int(path.parent.name), [int(field) for field in fields[11:15]]
        found[pid] = Process(
            pid=pid,
            name=before.partition("(")[2],
            parent=int(fields[1]),
            own=(ticks[0] + ticks[1]) / TICKS,
            waited=(ticks[2] + ticks[3]) / TICKS,
            start=int(fields[19]),
            ended=fields[0] == "Z",
        )
    return found


def is_below(pid: int, root: int, table: dict[int, Process]) -> bool:
    """Say whether a process is another one or descends from it."""
    while pid in table and pid != root:
        pid = table[pid].parent
    return pid == root


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
        # Also its own name again, where binfmt_misc passes that on.
        scripts = [it.removeprefix("-m") for it in words[1:] if not it.startswith("python")]
        name = " ".join(["python", *[it for it in scripts if it and (it == "-c" or it[0] != "-")][:1]])
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
        table = processes()
        for process in table.values():
            if process.pid != os.getpid() and is_below(process.pid, self._root, table):
                # A program may replace itself by another: the name is asked for as long as it computes.
                key = (process.pid, process.start)
                before = self._before.get(key, 0.0)
                if process.own > before or key not in self._names:
                    self._names[key] = program(process.pid)
                self.seconds[self._names[key]] += process.own - before
                self._before[key] = process.own


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
