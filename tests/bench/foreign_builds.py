"""Builds sdists through the real job, on a chosen rung, and measures each step."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

from foreign_usage import Usage
from packaging.metadata import parse_email
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from wheelbuilder.build import backend, job, ladder, prerequisites, shelf, sources, workplace
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.outcomes import Built, Failed
from wheelbuilder.build.requirements import NoWheelError, applicable
from wheelbuilder.build.site import Bench, Site
from wheelbuilder.build.stages import Stages
from wheelbuilder.build.tasks import Task
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.pins import parse_constraints
from wheelbuilder.inputs.recipe_files import read_recipes
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.keys import key_of
from wheelbuilder.plan.upstream import UpstreamIndex

RECIPES = Path(__file__).parents[2] / "requirements-lists" / "recipes"
FAMILY = "cp311-manylinux_2_36"
REMOVAL = "removal"  # of the last container, which a run does while it goes on
EPOCH = 1_700_000_000
MEMORY = 6 << 30  # bytes that a build may use


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured build. steps: wall and processor seconds of each. programs: processor seconds by program.

    failed: why it gave nothing.
    """

    package: str
    rung: str
    steps: dict[str, tuple[float, float]]
    programs: dict[str, float]
    wheel: str = ""
    failed: str = ""

    @property
    def wall(self) -> float:
        """Seconds from the first step's start to the last one's end."""
        return sum(wall for wall, _ in self.steps.values())

    @property
    def cpu(self) -> float:
        """Processor seconds of all its processes."""
        return sum(cpu for _, cpu in self.steps.values())

    def document(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return asdict(self)


@dataclass
class Clock:
    """Notes wall and processor time at the start of each step, and once more when all has ended."""

    usage: Usage
    marks: list[tuple[str, float, float]] = field(default_factory=list)

    def mark(self, name: str) -> None:
        """Note the time under a name."""
        self.marks.append((name, time.monotonic(), self.usage.seconds()))

    @property
    def steps(self) -> dict[str, tuple[float, float]]:
        """Wall and processor seconds by step."""
        return {
            str(name): (round(later - at, 3), round(more - used, 3))
            for (name, at, used), (_, later, more) in itertools.pairwise(self.marks)
        }


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """Where the builds of the bench run. family: of their roots, such as
    `cp311-manylinux_2_36`. wheels: the folder where their wheels are kept, by rung."""

    site: Site
    usage: Usage
    family: str
    arch: str
    wheels: Path

    def build(self, package: str, rung: Rung) -> Build:
        """Return the build of `name==version` for the machine itself, or for the foreign architecture."""
        arch = platform.machine() if rung is Rung.NATIVE else self.arch
        name, _, version = package.partition("==")
        pin = parse_constraints(f"{name}==={version}", "bench").pins[0]
        catalogue = self.site.catalogue
        target = catalogue.target(f"{self.family}_{arch}")
        files = self.site.upstream.project(pin.name, [pin.version]) or ()
        sdist = next(file for file in files if not file.is_wheel)
        recipe = self.site.recipes.for_pin(pin, catalogue.root(target, Role.BUILD))
        key = key_of(catalogue, ())(pin, sdist, recipe, target, None)
        return Build(pin=pin, target=target, sdist=sdist, recipe=recipe, reason="bench", key=key)

    def prepare(self, package: str) -> None:
        """Fetch and make what its builds need, and ask the index what they will: all that is not measured."""
        for rung in (Rung.NATIVE, Rung.TOOLCHAIN):
            site = replace(self.site, rung=rung)
            build, bench = self.build(package, rung), Bench.lay_out(site.scratch / f"prepare-{package}")
            task = Task(build=build, memory=MEMORY)
            stages = Stages(task=task, site=site, bench=bench, spent=lambda _: None)
            log = bench.logs / "log"
            source = sources.unpacked(build, sources.fetched(build, site), bench.unpacked, log)
            image, _ = stages.roots(log)
            footing = ladder.footing(task, site, stages.build_root, log)
            with patch.object(backend, "ask", _asked):
                stages.workshop(source, image, footing, EPOCH, log)
            metadata, _ = parse_email((source / "PKG-INFO").read_bytes())
            with suppress(NoWheelError):
                resolver = site.resolver(build.target, for_trial=True)
                files = resolver.resolve(applicable(metadata.get("requires_dist", ()), build.target))
                prerequisites.wheels(files, site)
            bench.clear()

    def measure(self, package: str, rung: Rung) -> Row:
        """Build once, with nothing of an earlier build left, and keep the wheel."""
        build, site = self.build(package, rung), replace(self.site, rung=rung)
        shelf.drop(build, site)
        clock = Clock(self.usage)
        self.usage.programs()
        outcome = job.run(Task(build=build, memory=MEMORY), site, lambda _, step: clock.mark(step))
        clock.mark(REMOVAL)
        site.engine.settle()
        clock.mark("")
        row = Row(package=package, rung=rung, steps=clock.steps, programs=self.usage.programs())
        if not isinstance(outcome, Built):
            why = f"{outcome.failure}: {outcome.summary}" if isinstance(outcome, Failed) else repr(outcome)
            return replace(row, failed=why)
        folder = self._folder(package, rung)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(outcome.wheel.path, folder)
        shelf.drop(build, site)
        return replace(row, wheel=outcome.wheel.filename)

    def _folder(self, package: str, rung: Rung) -> Path:
        return self.wheels / rung / package


def _asked(workshop: backend.Workshop, settings: backend.ConfigSettings) -> backend.Asked:
    """Ask a backend what it requires, and let it build nothing."""
    requirements = backend.FrontEnd(workshop).called(
        "asking for build requirements",
        lambda builder: tuple(builder.get_requires_for_build("wheel", settings)),
    )
    return backend.Asked(requirements=requirements, going=None)


@contextmanager
def opened(arch: str, wheels: Path, family: str = FAMILY, images: Path | None = None) -> Iterator[Workbench]:
    """Yield the place for the builds. Caches are the bench's own, so that nothing else's are warm or used.

    images: the image table, if it is not the usual one.
    """
    catalogue = Catalogue.read(images or default_path())
    usage = Usage()
    with workplace.opened(
        engine=None,
        catalogue=catalogue,
        upstream=UpstreamIndex(PYPI_SIMPLE_ENDPOINT, cache_home() / "http"),
        recipes=read_recipes(RECIPES),
        build_constraints=(),
        constraints={},
        planned=(),
    ) as site:
        own = replace(site, cache=cache_home() / "foreign-bench", jobs=os.cpu_count() or 1)
        yield Workbench(site=own, usage=usage, family=family, arch=arch, wheels=wheels)
