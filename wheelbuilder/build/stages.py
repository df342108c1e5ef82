"""What happens in each step of a build; `job` says in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from wheelbuilder.build import (
    backend,
    compilers,
    environment,
    layers,
    native,
    prerequisites,
    repair,
    sources,
    toolchain,
    trial,
    twins,
    wheelcheck,
)
from wheelbuilder.build.bounds import Bounds
from wheelbuilder.build.bytecode import native_python
from wheelbuilder.build.containers import ContainerExit
from wheelbuilder.build.ladder import Footing
from wheelbuilder.build.outcomes import BuiltWheel, FailureClass, StepFailedError
from wheelbuilder.build.repair import Repaired
from wheelbuilder.build.requirements import applicable, satisfied
from wheelbuilder.build.site import Bench, Site
from wheelbuilder.build.tasks import Task
from wheelbuilder.build.variables import variables
from wheelbuilder.build.wheelcheck import WheelFacts
from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError, WheelbuilderError
from wheelbuilder.inputs.images import Role, Root, Source
from wheelbuilder.inputs.recipes import Native
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile, parse_filename

STEP_TIME_LIMIT = 3600.0  # seconds
SILENCE = 600.0  # seconds
PIDS = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Stages:
    """The stages of one build. spent: hears how each container of it ended."""

    task: Task
    site: Site
    bench: Bench
    spent: Callable[[ContainerExit], None]

    @property
    def build(self) -> Build:
        """What is built."""
        return self.task.build

    @property
    def build_root(self) -> Root:
        """Return the root to build in, with the recipe's system packages."""
        root = self.site.catalogue.root(self.build.target, Role.BUILD)
        recipe = self.build.recipe
        return root.adding(recipe.deb if root.source is Source.ARCHIVE else recipe.rpm)

    def roots(self, log: Path) -> tuple[str, str]:
        """Return the images to build and to try in, making what is missing."""
        return self._made(Role.BUILD, log), self.bare_root(log)

    def bare_root(self, log: Path) -> str:
        """Return the image to try in, making it if it is missing."""
        return self._made(Role.BARE, log)

    def _made(self, role: Role, log: Path) -> str:
        try:
            return self._root(role, log)
        except (UnreachableError, IntegrityError) as error:
            # The trouble of one root must not hold the other targets back, that of the engine does.
            if not self.site.engine.answers():
                raise
            raise StepFailedError(FailureClass.ROOT, error.message, error.hint) from None

    def _root(self, role: Role, log: Path) -> str:
        catalogue, engine, recipe = self.site.catalogue, self.site.engine, self.build.recipe
        root = catalogue.root(self.build.target, role)
        archive = root.source is Source.ARCHIVE
        if role is Role.BUILD:
            packages = recipe.deb if archive else recipe.rpm
        else:
            packages = recipe.runtime_deb if archive else recipe.runtime_rpm
        if native_python(self.build.target.python) is None:
            with suppress(WheelbuilderError):  # whoever needs it for more will say what is wrong
                toolchain.prepare(engine, catalogue, catalogue.root(self.build.target, Role.BUILD), log=log)
        try:
            return layers.with_packages(engine, root, packages, log=log)
        except ConfigurationError as error:
            raise StepFailedError(FailureClass.SYSTEM_PACKAGES, error.message, error.hint) from None

    def workshop(
        self, source: Path, image: str, footing: Footing, epoch: int, log: Path
    ) -> tuple[backend.Workshop, tuple[str, ...]]:
        """Return where the hooks run, and `name==version` of what they find there.

        Raises LacksWheelsError for requirements that have to be built first.
        """
        recipe, site = self.build.recipe, self.site
        static = sources.static_requirements(self.build, source)
        files = self._required(static)
        shop = backend.Workshop(
            engine=site.engine,
            image=image,
            source=source,
            out=self.bench.out,
            environment=self._environment(files, footing),
            environ=variables(epoch, self._jobs, site.engine.path(image), recipe.environment),
            log=log,
            bounds=self._bounds(footing),
            pids=PIDS,
            cpus=None,
            allow_network_attempt=recipe.allow_network_attempt,
            spent=self.spent,
            toolchain=footing.toolchain,
            compilers=compilers.ready(self.build, site, image, log),
        )
        asked = backend.ask(shop, recipe.config_settings)
        if asked.going:
            return replace(shop, going=asked.going), _pinned(files)
        dynamic = applicable(asked.requirements, self.build.target)
        if not satisfied(dynamic, files):
            files = self._required((*static, *dynamic))
            shop = replace(shop, environment=self._environment(files, footing))
        return shop, _pinned(files)

    def _bounds(self, footing: Footing) -> Bounds:
        limits = self.build.recipe.limits
        return Bounds(
            timeout=(limits.timeout or STEP_TIME_LIMIT) * footing.slack,
            silence=limits.silence or SILENCE,
            memory=self.task.memory,
            slack=footing.slack,
        )

    @property
    def _jobs(self) -> int:
        usual = self.build.recipe.limits.jobs or self.site.jobs
        return max(1, usual // self.task.attempt.thrift)

    def _required(self, texts: tuple[str, ...]) -> tuple[IndexFile, ...]:
        target = self.build.target
        return prerequisites.resolve(
            applicable(texts, target),
            target,
            self.site,
            constraints=self.build.recipe.build_constraints,
            given=self.task.given,
        )

    def _environment(self, files: tuple[IndexFile, ...], footing: Footing) -> Path:
        return environment.make(
            prerequisites.wheels(files, self.site),
            self.build.target,
            self.site.catalogue.interpreter(self.build.target),
            inside=backend.ENVIRONMENT,
            cache=self.site.cache / "environments",
            beside=twins.find(files, self.build.target, self.site, footing.toolchain),
        )

    def check(self, native_sources: tuple[str, ...], footing: Footing, log: Path) -> tuple[Path, WheelFacts]:
        """Return the backend's wheel and what it says. log: of the step that made it."""
        build = self.build
        wheel = wheelcheck.one_wheel(self.bench.out, build.pin)
        if build.recipe.native is Native.REQUIRED or footing.may_lose_code:
            native.refuse_lost(wheel, native_sources, log if log.exists() else None)
        arch = self.site.catalogue.architecture(build.target)
        return wheel, wheelcheck.check(wheel, build.pin, build.target, arch, repaired=False)

    def repair(self, wheel: Path, facts: WheelFacts, image: str, epoch: int, log: Path) -> Repaired:
        """Return the wheel as it is published."""
        build = self.build
        self.bench.repaired.mkdir()
        if facts.pure:
            repaired = Repaired(wheel=wheel.rename(self.bench.repaired / wheel.name))
        else:
            with self.site.engine.mounted(image) as root:
                work = repair.Repair(
                    wheel=wheel,
                    target=build.target,
                    arch=self.site.catalogue.architecture(build.target),
                    policy=build.recipe.repair,
                    root=root,
                    epoch=epoch,
                )
                repaired = repair.repair(work, self.bench.repaired, log)
        if build.build_tag is not None:
            tagged = repair.add_build_tag(repaired.wheel, build.build_tag, epoch=epoch)
            return replace(repaired, wheel=tagged)
        return repaired

    def recheck(self, wheel: Path) -> WheelFacts:
        """Return what the repaired wheel says."""
        build = self.build
        arch = self.site.catalogue.architecture(build.target)
        return wheelcheck.check(wheel, build.pin, build.target, arch, repaired=True)

    def trial(self, repaired: Repaired, facts: WheelFacts, bare: str, footing: Footing, log: Path) -> None:
        """Install and import it where nothing but Python is."""
        build, site = self.build, self.site
        needed = applicable(facts.requires_dist, build.target)
        pinned = site.beside(build.pin, build.target)
        files = prerequisites.for_trial(needed, build.target, site, constraints=pinned)
        trial.run(
            trial.Trial(
                wheel=repaired.wheel,
                dependencies=prerequisites.wheels(files or (), site),
                requirement=f"{build.pin.name}=={build.pin.version}",
                modules=facts.top_level if build.recipe.imports is None else build.recipe.imports,
                partial=files is None,
                outside=repaired.outside,
            ),
            trial.Consumer(
                engine=site.engine,
                image=bare,
                catalogue=site.catalogue,
                target=build.target,
                bounds=self._bounds(footing),
                spent=self.spent,
            ),
            folder=self.bench.candidates,
            log=log,
        )


def described(repaired: Repaired, facts: WheelFacts) -> BuiltWheel:
    """Return a repaired wheel as the outcome holds it."""
    wheel = repaired.wheel
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return BuiltWheel(
        path=wheel,
        sha256=digest,
        size=wheel.stat().st_size,
        requires_python=facts.requires_python,
        grafted=facts.grafted,
        outside=repaired.outside,
    )


def _pinned(files: Iterable[IndexFile]) -> tuple[str, ...]:
    """Return `name==version` of each."""
    parsed = ((parse_filename(file.filename), file.filename) for file in files)
    return tuple(sorted(f"{it.project}=={it.version}" if it else name for it, name in parsed))
