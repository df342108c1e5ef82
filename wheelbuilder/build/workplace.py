"""Opens this machine for the builds of a run (engine, folders, limits) and leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.build import engine_probe, scratch, untrusted
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.channel import Channel
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.owners import our_mark
from wheelbuilder.build.site import Site
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.recipes import Recipes
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.upstream import UpstreamIndex


@contextmanager
def opened(
    *,
    engine: str | None,
    catalogue: Catalogue,
    upstream: UpstreamIndex,
    recipes: Recipes,
    build_constraints: tuple[str, ...],
    constraints: Mapping[tuple[str, Target], tuple[str, ...]],
    planned: Sequence[Build],
    rung: Rung | None = None,
    channel: Channel | None = None,
    compiler_cache: int = 0,
) -> Iterator[Site]:
    """Yield the site of a run's builds; containers and folders of drivers that were killed go first.

    engine: its name, or None for the first that works. planned: the builds of the run. rung: the only one for
    targets of other machines. channel: what builds may require of what was published before.
    compiler_cache: see Site.
    """
    found = engine_probe.find(engine)
    found.reap()
    with ended(found), _scratch() as scratch:
        yield Site(
            engine=found,
            catalogue=catalogue,
            upstream=upstream,
            recipes=recipes,
            cache=cache_home(),
            scratch=scratch,
            build_constraints=build_constraints,
            constraints=constraints,
            jobs=os.cpu_count() or 1,
            planned=_by_project(planned),
            rung=rung,
            channel=channel,
            compiler_cache=compiler_cache,
        )


@contextmanager
def ended(engine: Engine) -> Iterator[None]:
    """Leave no container behind that has ended."""
    try:
        yield
    finally:
        engine.settle()


@contextmanager
def _scratch() -> Iterator[Path]:
    """Make this process's folder, into which no other user sees: what builds write belongs to uid 1000.

    Temporary folders lie there too while it is open, since some are mounted into containers.
    """
    own = scratch.folders() / our_mark()
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, str(own)
    try:
        yield own
    finally:
        tempfile.tempdir = before
        untrusted.remove(own)


def _by_project(builds: Iterable[Build]) -> dict[tuple[NormalizedName, Target], tuple[Build, ...]]:
    found: defaultdict[tuple[NormalizedName, Target], list[Build]] = defaultdict(list)
    for build in builds:
        found[build.pin.name, build.target].append(build)
    return {wanted: tuple(those) for wanted, those in found.items()}
