"""How much less the second build of a set compiles, after a change of recipe that leaves the flags alone.

usage: python tests/bench/compiler_cache.py [--rounds N] [--prepared] [NAME==VERSION...]
(needs what `make demo` sets up)

Each package is built in turn without a cache, with an empty one, and with what that has left; nothing else of
an earlier build is there. The steps `requirements` and `build` are measured, in processor seconds of all that
runs in them, since a busy machine changes those least. What compiles is what remains when the long-lived
programs that do not are taken off (Python, the engine, ninja, cmake): compilers end too soon to be looked at
one by one. --prepared: an earlier run has fetched everything, so that none is built before.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from foreign_builds import MEMORY, Workbench, opened

from wheelbuilder.build import job, object_cache, shelf
from wheelbuilder.build.outcomes import Built, Compiled, Step
from wheelbuilder.build.tasks import Task
from wheelbuilder.inputs.rungs import Rung

PACKAGES = ("contourpy==1.3.1", "pyzmq==27.1.0", "lxml==5.3.0")
MEASURED = (Step.REQUIREMENTS, Step.BUILD)
OTHERS = ("python", "podman", "docker", "conmon", "runc", "crun", "ninja", "cmake", "make", "meson", "cython")
LIMIT = 5 << 30  # bytes


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One build: wall and processor seconds, those that went into compiling, and what the cache knew."""

    wall: float
    cpu: float
    compiling: float
    cache: Compiled

    def __str__(self) -> str:
        found = f"{self.cache.hits:4} hits {self.cache.misses:4} misses"
        return (
            f"{self.wall:7.1f} s wall {self.cpu:7.1f} s processor {self.compiling:7.1f} s compiling {found}"
        )


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--prepared", action="store_true")
    parser.add_argument("packages", nargs="*", default=list(PACKAGES), metavar="NAME==VERSION")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, opened("aarch64", Path(folder)) as bench:
        totals = [0.0, 0.0, 0.0]
        for package in chosen.packages:
            if not chosen.prepared:
                measure(bench, package, cache=False)
            for _ in range(chosen.rounds):
                totals = [sum(pair) for pair in zip(totals, compared(bench, package), strict=True)]
        print(f"{'the set':20} compiling: {ratios(*totals)}")


def compared(bench: Workbench, package: str) -> tuple[float, float, float]:
    """Build three times and return the seconds of compiling."""
    forget(package)
    ways = {
        "without a cache": measure(bench, package, cache=False),
        "with an empty one": measure(bench, package, cache=True),
        "a second time": measure(bench, package, cache=True),
    }
    for words, row in ways.items():
        print(f"{package:20} {words:18} {row}", flush=True)
    without, empty, second = (row.compiling for row in ways.values())
    print(f"{package:20} compiling: {ratios(without, empty, second)}", flush=True)
    return without, empty, second


def ratios(without: float, empty: float, second: float) -> str:
    """Say how the three compare."""
    return f"{without / second:.1f} times less the second time; the first time costs {empty / without:.2f}"


def forget(package: str) -> None:
    """Remove what the compiler cache has of a package."""
    for kept in object_cache.kept():
        if kept.words.startswith(package.replace("==", "===")):
            object_cache.remove(kept.folder)


def measure(bench: Workbench, package: str, *, cache: bool) -> Measured:
    """Build once for this machine."""
    site = replace(bench.site, rung=Rung.NATIVE, compiler_cache=LIMIT if cache else 0)
    build = bench.build(package, Rung.NATIVE)
    shelf.drop(build, site)
    marks: dict[Step, tuple[float, dict[str, float]]] = {}

    def mark(_: object, step: Step) -> None:
        site.engine.settle()
        marks[step] = bench.usage.seconds(), bench.usage.programs()

    outcome = job.run(Task(build=build, memory=MEMORY), site, mark)
    assert isinstance(outcome, Built), outcome
    shelf.drop(build, site)
    cpu = marks[Step.CHECK][0] - marks[Step.REQUIREMENTS][0]
    programs = marks[Step.BUILD][1] | {}
    for name, seconds in marks[Step.CHECK][1].items():
        programs[name] = programs.get(name, 0.0) + seconds
    other = sum(seconds for name, seconds in programs.items() if name.startswith(OTHERS))
    steps = [step for step in outcome.steps if step.step in MEASURED]
    return Measured(
        wall=sum(step.seconds for step in steps),
        cpu=cpu,
        compiling=cpu - other,
        cache=sum((step.compiled for step in steps if step.compiled), Compiled()),
    )


if __name__ == "__main__":
    main()
