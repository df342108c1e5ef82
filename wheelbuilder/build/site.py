"""What a build needs of the machine it runs on, and the folders of one build."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.build import untrusted
from wheelbuilder.build.channel import Channel
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.requirements import Resolver
from wheelbuilder.inputs.images import Catalogue, Role
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipes
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.upstream import UpstreamIndex


@dataclass(frozen=True, kw_only=True)
class Site:
    """The machine's engine, caches and limits, shared by all builds of a run.

    cache: what can be made again and is kept. scratch: what a build leaves behind, its logs apart,
    goes with it. constraints: the pins of each branch on each target, for the dependencies of trials.
    jobs: the compile slots of the machine, and what one build may start. planned: the builds of the run, by
    project and target. rung: the only one for targets that this machine does not run itself; None: the
    fastest that works. toolless: why there is no native toolchain for some roots, by their digests.
    channel: what was published before, for builds that require it. compiler_cache: bytes that all of it may
    take on this machine; 0 for none. without: what compiles elsewhere and cannot be made on this machine.
    """

    engine: Engine
    catalogue: Catalogue
    upstream: UpstreamIndex
    recipes: Recipes
    cache: Path
    scratch: Path
    build_constraints: tuple[str, ...]
    constraints: Mapping[tuple[str, Target], tuple[str, ...]]
    jobs: int
    compiler_cache: int = 0
    planned: Mapping[tuple[NormalizedName, Target], tuple[Build, ...]] = field(default_factory=dict)
    rung: Rung | None = None
    toolless: dict[str, str] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)
    channel: Channel | None = None
    _resolvers: dict[tuple[Target, bool], Resolver] = field(default_factory=dict)

    @property
    def sdists(self) -> Path:
        """Where sources are kept, by digest."""
        return self.cache / "sdists"

    def wheelhouse(self, target: Target) -> Path:
        """Return the folder of what was built here for a target.

        One for each root and index: what another index calls by the same name is another project.
        """
        origin = f"{self.catalogue.root(target, Role.BUILD).digest} {self.upstream.url}"
        folder = self.cache / "wheelhouse" / f"{target}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def resolver(self, target: Target, *, for_trial: bool = False) -> Resolver:
        """Return the resolver of build requirements, or of a trial's run-time dependencies, for a target."""
        known = self._resolvers.get((target, for_trial))
        if known is None:
            known = Resolver(
                target=target,
                arch=self.catalogue.architecture(target),
                index_url=self.upstream.url,
                constraints=() if for_trial else self.build_constraints,
                wheelhouse=self.wheelhouse(target),
                scratch=self.scratch / "resolver",
            )
            # Workers that race here make equal resolvers: the first one stored serves all.
            known = self._resolvers.setdefault((target, for_trial), known)
        return known

    def beside(self, pin: Pin, target: Target) -> tuple[str, ...]:
        """Return what is pinned beside a pin: by one of its branches, since they contradict each other."""
        return self.constraints.get((pin.branches[0], target), ()) if pin.branches else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """The folders of one build."""

    folder: Path

    @classmethod
    def lay_out(cls, folder: Path) -> Bench:
        """Make an empty bench, whatever an earlier build that was killed left there."""
        untrusted.remove(folder)
        for name in ("unpacked", "out", "logs"):
            (folder / name).mkdir(parents=True)
        return cls(folder=folder)

    @property
    def unpacked(self) -> Path:
        """Where the sdist is unpacked."""
        return self.folder / "unpacked"

    @property
    def out(self) -> Path:
        """Where the backend leaves its wheel."""
        return self.folder / "out"

    @property
    def repaired(self) -> Path:
        """Where the checked wheel lies in the end."""
        return self.folder / "repaired"

    @property
    def candidates(self) -> Path:
        """What pip may install from in the trial."""
        return self.folder / "candidates"

    @property
    def logs(self) -> Path:
        """One log a step."""
        return self.folder / "logs"

    def clear(self) -> None:
        """Remove what nobody needs after the build: everything but the logs."""
        untrusted.remove(self.unpacked, self.out, self.candidates, self.repaired)
