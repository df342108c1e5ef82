"""Whether builds side by side share the cores: how many compilers run at once, and what it costs.

usage: python tests/bench/compile_slots.py [--rounds N] [--prepared] [NAME==VERSION...]
(needs what `make demo` sets up)

The packages are built one after the other, each with all cores, and then all at the same time. A process of
its own counts the compilers (cc1, cc1plus, f951, lto1, rustc) among all that this program has started, fifty
times a second. --prepared: an earlier run has fetched everything, so that none is built before.
"""

from __future__ import annotations

import argparse
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from foreign_builds import MEMORY, Workbench, opened

from wheelbuilder.build import job, shelf
from wheelbuilder.build.outcomes import Built
from wheelbuilder.build.tasks import Task
from wheelbuilder.inputs.rungs import Rung

PACKAGES = ("contourpy==1.3.1", "pyzmq==27.1.0", "lxml==5.3.0")
COMPILERS = ("cc1", "cc1plus", "f951", "lto1", "rustc")
EVERY = 0.02  # seconds between two looks


class Compilers:
    """Counts compilers from now on, in a process of its own."""

    def __init__(self) -> None:
        argv = (sys.executable, __file__, "--count", str(os.getpid()))
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seen(self) -> Counter[int]:
        """Return how often how many ran at once."""
        said, _ = self._process.communicate("")
        return Counter(map(int, said.split()))


def count(root: int) -> None:
    """Print the number of compilers below a process at each look, until standard input ends."""
    while not select.select([0], [], [], EVERY)[0]:
        parents, compilers = {}, []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                head, _, tail = path.read_text(errors="replace").rpartition(")")
            except OSError:
                continue
            pid = int(path.parent.name)
            parents[pid] = int(tail.split()[1])
            if head.partition("(")[2] in COMPILERS and tail.split()[0] != "Z":
                compilers.append(pid)
        print(sum(is_below(pid, root, parents) for pid in compilers))


def is_below(pid: int, root: int, parents: dict[int, int]) -> bool:
    """Say whether a process descends from another."""
    while pid not in (0, root):
        pid = parents.get(pid, 0)
    return pid == root


def main() -> None:
    """Measure and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--prepared", action="store_true")
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES), metavar="NAME==VERSION")
    chosen = parser.parse_args()
    if chosen.count:
        count(chosen.count)
        return
    with tempfile.TemporaryDirectory() as folder, opened("aarch64", Path(folder)) as bench:
        if not chosen.prepared:
            measured(bench, chosen.packages, workers=len(chosen.packages))
        for _ in range(chosen.rounds):
            alone = measured(bench, chosen.packages, workers=1)
            together = measured(bench, chosen.packages, workers=len(chosen.packages))
            print(f"side by side / one after the other: {together / alone:.2f}", flush=True)


def measured(bench: Workbench, packages: list[str], workers: int) -> float:
    """Build all with so many at a time, and return the seconds that it takes."""
    compilers, started = Compilers(), time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        times = list(pool.map(lambda package: build(bench, package), packages))
    seconds, seen = time.monotonic() - started, compilers.seen()
    each = ", ".join(f"{package} {took:.1f}" for package, took in zip(packages, times, strict=True))
    looks = ", ".join(f"{number}: {seen[number]}" for number in sorted(seen))
    print(f"{workers} at a time: {seconds:.1f} s ({each}); compilers at once (looks): {looks}", flush=True)
    most = (os.cpu_count() or 1) + 1
    assert max(seen) <= most, f"{max(seen)} compilers at once, which is more than {most}"
    return seconds


def build(bench: Workbench, package: str) -> float:
    """Build once for this machine, without a compiler cache, and return the seconds that it takes."""
    site = replace(bench.site, rung=Rung.NATIVE)
    wanted, started = bench.build(package, Rung.NATIVE), time.monotonic()
    shelf.drop(wanted, site)
    outcome = job.run(Task(build=wanted, memory=MEMORY // 2), site, lambda _build, _step: None)
    assert isinstance(outcome, Built), outcome
    shelf.drop(wanted, site)
    return time.monotonic() - started


if __name__ == "__main__":
    main()
