"""How much less the second build of a set compiles, after a change of recipe that leaves the flags alone.

usage: python tests/bench/compiler_cache.py [--rung RUNG] [--prepared] [NAME==VERSION...]
       python tests/bench/compiler_cache.py --images TABLE --family cp311-manylinux_2_28 \
           --other cp312-manylinux_2_28 [NAME==VERSION...]
(needs what `make demo` sets up; without names the set of foreign.py, for aarch64 with the native toolchain)

Each package is built in turn without a cache, with an empty one, and, with another variable in its recipe,
with what that has left; nothing else of an earlier build is there. With --other the second time is for
another Python of the same root, and so is the build without a cache. `compiling` are the processor seconds of
all calls of compilers, as the kernel counts them: probes, links and the cache's own work are in them, Python
is not. `build` are those of the whole steps `requirements` and `build`. A busy machine changes processor
seconds least. --prepared: an earlier run has fetched everything, so that none is built before.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from compile_times import Times, timed
from foreign import PACKAGES
from foreign_builds import FAMILY, MEMORY, Workbench, opened
from packaging.utils import canonicalize_name

from wheelbuilder.build import job, object_cache, shelf
from wheelbuilder.build.outcomes import Built, Compiled, Step
from wheelbuilder.build.tasks import Task
from wheelbuilder.inputs.rungs import Rung

MEASURED = (Step.REQUIREMENTS, Step.BUILD)
LIMIT = 5 << 30  # bytes
WAYS = ("without a cache", "with an empty one", "a second time")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One build, or several: processor seconds in all, those of compilers, and what the cache knew."""

    cpu: float
    compiling: float
    cache: Compiled

    def __str__(self) -> str:
        known = f"{self.cache.hits:4} hits {self.cache.misses:4} misses"
        return f"{self.compiling:8.2f} s compiling {self.cpu:8.1f} s build {known}"

    def __add__(self, other: Measured) -> Measured:
        return Measured(
            cpu=self.cpu + other.cpu,
            compiling=self.compiling + other.compiling,
            cache=self.cache + other.cache,
        )


Row = tuple[Measured, Measured, Measured]  # in the order of WAYS


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Builds packages on one rung, and measures them. other: the family of the second time."""

    bench: Workbench
    times: Times
    rung: Rung
    other: str

    def compared(self, package: str) -> Row:
        """Build a package three times."""
        _forget(package)
        then = replace(self, bench=replace(self.bench, family=self.other))
        return (
            then.measured(package, cache=False),
            self.measured(package, cache=True),
            then.measured(package, cache=True, changed=True),
        )

    def measured(self, package: str, *, cache: bool, changed: bool = False) -> Measured:
        """Build once. changed: with a recipe that says something else."""
        bench = self.bench
        site = replace(bench.site, rung=self.rung, compiler_cache=LIMIT if cache else 0)
        build = bench.build(package, self.rung)
        if changed:
            environment = {**build.recipe.environment, "WHEELBUILDER_BENCH": "1"}
            build = replace(build, recipe=replace(build.recipe, environment=environment))
        shelf.drop(build, site)
        marks: dict[Step, float] = {}

        def mark(_: object, step: Step) -> None:
            site.engine.settle()
            marks[step] = bench.usage.seconds()

        outcome = job.run(Task(build=build, memory=MEMORY), site, mark)
        assert isinstance(outcome, Built), outcome
        shelf.drop(build, site)
        told = [step.compiled for step in outcome.steps if step.step in MEASURED]
        return Measured(
            cpu=marks[Step.CHECK] - marks[Step.REQUIREMENTS],
            compiling=self.times.seconds(),
            cache=sum(filter(None, told), Compiled()),
        )


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rung", type=Rung, default=Rung.TOOLCHAIN, choices=list(Rung))
    parser.add_argument("--images", type=Path, help="an image table of your own")
    parser.add_argument("--family", default=FAMILY, help="of the roots")
    parser.add_argument("--other", help="with another Python, for the second time")
    parser.add_argument("--prepared", action="store_true")
    parser.add_argument("packages", nargs="*", default=list(PACKAGES), metavar="NAME==VERSION")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as wheels,
        timed(Path(folder)) as times,
        opened("aarch64", Path(wheels), chosen.family, chosen.images) as bench,
    ):
        other = chosen.other or chosen.family
        comparison, rows = Comparison(bench=bench, times=times, rung=chosen.rung, other=other), []
        for package in chosen.packages:
            if not chosen.prepared:
                comparison.measured(package, cache=False)
                replace(comparison, bench=replace(bench, family=other)).measured(package, cache=False)
            rows.append(comparison.compared(package))
            _show(package, rows[-1])
        _show("the set", _added(rows))


def _show(what: str, row: Row) -> None:
    for way, measured in zip(WAYS, row, strict=True):
        print(f"{what:20} {way:18} {measured}")
    without, empty, second = (it.compiling for it in row)
    print(
        f"{what:20} compiles {without / second:.1f} times less the second time; the first costs "
        f"{empty / without:.2f}",
        flush=True,
    )


def _added(rows: Iterable[Row]) -> Row:
    none = Measured(cpu=0.0, compiling=0.0, cache=Compiled())
    without, empty, second = (sum(column, none) for column in zip(*rows, strict=True))
    return without, empty, second


def _forget(package: str) -> None:
    """Remove what the compiler cache has of a package."""
    name, _, version = package.partition("==")
    pin = f"{canonicalize_name(name)}==={version}"
    for kept in object_cache.kept():
        if kept.words.split()[0] == pin:
            object_cache.remove(kept.folder)


if __name__ == "__main__":
    main()
