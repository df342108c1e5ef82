"""One build from sdist to a wheel that was checked, repaired, checked again and tried; reads as its steps."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.build import (
    backend,
    environment,
    hints,
    layers,
    native,
    prerequisites,
    process,
    repair,
    sdist,
    trial,
    wheelcheck,
)
from wheelbuilder.build.outcomes import (
    Built,
    BuiltWheel,
    Failed,
    FailureClass,
    Outcome,
    Step,
    StepFailedError,
    StepResult,
)
from wheelbuilder.build.repair import Repaired
from wheelbuilder.build.requirements import NoWheelError, applicable, satisfied
from wheelbuilder.build.site import PIDS, Bench, Site
from wheelbuilder.build.wheelcheck import WheelFacts
from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError, WheelbuilderError
from wheelbuilder.inputs.http import session
from wheelbuilder.inputs.images import Role, Root, Source
from wheelbuilder.inputs.recipes import Native
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile, parse_filename

BUILD_USER = 1000  # the uid and gid that engine.run uses
Report = Callable[[Build, Step], None]


def run(build: Build, site: Site, report: Report, waiting: tuple[NormalizedName, ...] = ()) -> Outcome:
    """Build one pin for one target. A package that fails is an outcome; only the run's own troubles raise.

    report: called as each step starts. waiting: the projects whose builds wait for this one.
    """
    job = _Job(build=build, site=site, report=report, waiting=(*waiting, build.pin.name))
    try:
        return job.outcome()
    except StepFailedError as error:
        return job.failed(error)
    except process.ProcessError as error:
        return job.failed(StepFailedError(FailureClass.INTERNAL, error.message, error.hint))
    except WheelbuilderError:
        raise
    except Exception as error:  # noqa: BLE001  (our own bug must not cost the other packages their night)
        return job.failed(_bug(error))
    finally:
        job.bench.clear()


def _bug(error: Exception) -> StepFailedError:
    lines = tuple("".join(traceback.format_exception(error)).splitlines()[-8:])
    return StepFailedError(
        FailureClass.INTERNAL,
        f"a bug in wheelbuilder: {error!r}",
        "Please report it with these lines.",
        lines,
    )


@dataclass(kw_only=True)
class _Job:
    build: Build
    site: Site
    report: Report
    waiting: tuple[NormalizedName, ...]
    steps: list[StepResult] = field(default_factory=list)
    bench: Bench = field(init=False)

    def __post_init__(self) -> None:
        self.bench = Bench.lay_out(
            # A build requirement may be a pin too, and be built at the same time for its own sake.
            self.site.scratch / f"{self.build.key[:24]}-{len(self.waiting)}"
        )

    def failed(self, error: StepFailedError) -> Failed:
        """Return the outcome of the step that just ended."""
        return Failed(
            build=self.build,
            failure=error.failure,
            step=self.steps[-1].step if self.steps else Step.FETCH,
            summary=error.summary,
            hint=hints.hint(self.site.engine, self._build_root(), error.missing, error.hint),
            lines=error.lines,
            steps=tuple(self.steps),
        )

    def _build_root(self) -> Root:
        root = self.site.catalogue.root(self.build.target, Role.BUILD)
        recipe = self.build.recipe
        return root.adding(recipe.deb if root.source is Source.ARCHIVE else recipe.rpm)

    def outcome(self) -> Built:
        """Take the steps in order."""
        with self._step(Step.FETCH, network=True):
            archive = self._fetch()
        with self._step(Step.UNPACK) as log:
            source, epoch = self._unpack(archive, log)
            # Before foreign code runs: what fails to compile could be deleted by it.
            sources = native.native_sources(source)
        with self._step(Step.ROOT, network=True) as log:
            image, bare = self._roots(log)
        with self._step(Step.REQUIREMENTS, network=True) as log:
            shop, required = self._workshop(source, image, epoch, log)
        with self._step(Step.BUILD) as log:
            backend.build_wheel(replace(shop, log=log), self.build.recipe.config_settings)
        with self._step(Step.CHECK):
            wheel, facts = self._check(sources)
        with self._step(Step.REPAIR) as log:
            repaired = self._repair(wheel, facts, image, epoch, log)
        with self._step(Step.RECHECK):
            facts = self._recheck(repaired.wheel)
        with self._step(Step.TRIAL) as log:
            self._try(repaired, facts, bare, log)
        return Built(
            build=self.build,
            wheel=_described(repaired, facts),
            sdist=archive,
            steps=tuple(self.steps),
            requirements=required,
        )

    @contextmanager
    def _step(self, step: Step, *, network: bool = False) -> Iterator[Path]:
        self.report(self.build, step)
        log = self.bench.logs / f"{len(self.steps) + 1}-{step}.log"
        started = time.monotonic()
        ok = False
        try:
            yield log
            ok = True
        finally:
            self.steps.append(
                StepResult(
                    step=step,
                    seconds=round(time.monotonic() - started, 3),
                    ok=ok,
                    network=network,
                    log=log if log.exists() else None,
                )
            )

    def _fetch(self) -> Path:
        with session() as connection:
            return sdist.fetch(self.build.sdist, self.site.cache / "sdists", connection)

    def _unpack(self, archive: Path, log: Path) -> tuple[Path, int]:
        source = sdist.unpack(archive, self.bench.unpacked)
        sdist.remove_files(self.build.recipe.remove, source)
        for patch in self.build.recipe.patches:
            sdist.apply_patch(patch, source, log)
        sdist.give(self.bench.unpacked, BUILD_USER)
        return source, sdist.newest_time(archive)

    def _roots(self, log: Path) -> tuple[str, str]:
        try:
            return self._made_roots(log)
        except (UnreachableError, IntegrityError) as error:
            # The trouble of one root must not hold the other targets back.
            raise StepFailedError(FailureClass.ROOT, error.message, error.hint) from None

    def _made_roots(self, log: Path) -> tuple[str, str]:
        catalogue, engine, recipe = self.site.catalogue, self.site.engine, self.build.recipe
        root = catalogue.root(self.build.target, Role.BUILD)
        bare = catalogue.root(self.build.target, Role.BARE)
        archive = root.source is Source.ARCHIVE
        packages = recipe.deb if archive else recipe.rpm
        runtime = recipe.runtime_deb if archive else recipe.runtime_rpm
        try:
            return (
                layers.with_packages(engine, root, packages, log=log),
                layers.with_packages(engine, bare, runtime, log=log),
            )
        except ConfigurationError as error:
            raise StepFailedError(FailureClass.SYSTEM_PACKAGES, error.message, error.hint) from None

    def _workshop(
        self, source: Path, image: str, epoch: int, log: Path
    ) -> tuple[backend.Workshop, tuple[str, ...]]:
        recipe, site = self.build.recipe, self.site
        static = (*backend.static_requirements(source), *recipe.build_requires)
        files = self._requirements(static)
        shop = backend.Workshop(
            engine=site.engine,
            image=image,
            source=source,
            out=self.bench.out,
            environment=self._environment(files),
            environ=_environ(epoch, recipe.limits.jobs or site.jobs, recipe.environment),
            log=log,
            timeout=site.timeout(recipe),
            memory=recipe.limits.memory or site.memory,
            pids=PIDS,
            cpus=None,
            allow_network_attempt=recipe.allow_network_attempt,
        )
        dynamic = applicable(backend.dynamic_requirements(shop, recipe.config_settings), self.build.target)
        if not satisfied(dynamic, files):
            files = self._requirements((*static, *dynamic))
            shop = replace(shop, environment=self._environment(files))
        return shop, tuple(sorted(_pinned(file) for file in files))

    def _requirements(self, texts: tuple[str, ...]) -> tuple[IndexFile, ...]:
        target = self.build.target
        return prerequisites.resolve_or_build(
            applicable(texts, target),
            target,
            self.site,
            self._build_first,
            self.waiting,
            self.build.recipe.build_constraints,
        )

    def _build_first(self, build: Build, waiting: tuple[NormalizedName, ...]) -> Outcome:
        return run(build, self.site, self.report, waiting)

    def _environment(self, files: tuple[IndexFile, ...]) -> Path:
        return environment.make(
            prerequisites.wheels(files, self.site),
            self.build.target,
            self.site.catalogue.interpreter(self.build.target),
            inside=backend.ENVIRONMENT,
            cache=self.site.cache / "environments",
        )

    def _check(self, sources: tuple[str, ...]) -> tuple[Path, WheelFacts]:
        build = self.build
        wheel = wheelcheck.one_wheel(self.bench.out, build.pin)
        if build.recipe.native is Native.REQUIRED:
            native.refuse_lost(wheel, sources, self.steps[-1].log)  # of the step that made it
        arch = self.site.catalogue.architecture(build.target)
        return wheel, wheelcheck.check(wheel, build.pin, build.target, arch, repaired=False)

    def _repair(self, wheel: Path, facts: WheelFacts, image: str, epoch: int, log: Path) -> Repaired:
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

    def _recheck(self, wheel: Path) -> WheelFacts:
        build = self.build
        arch = self.site.catalogue.architecture(build.target)
        return wheelcheck.check(wheel, build.pin, build.target, arch, repaired=True)

    def _try(self, repaired: Repaired, facts: WheelFacts, bare: str, log: Path) -> None:
        build, site = self.build, self.site
        needed = applicable(facts.requires_dist, build.target)
        try:
            resolver = site.resolver(build.target, for_trial=True)
            files = resolver.resolve(needed, constraints=site.beside(build.pin, build.target))
            partial = False
        except NoWheelError:
            files, partial = (), True
        trial.run(
            trial.Trial(
                wheel=repaired.wheel,
                dependencies=prerequisites.wheels(files, site),
                requirement=f"{build.pin.name}=={build.pin.version}",
                modules=facts.top_level if build.recipe.imports is None else build.recipe.imports,
                partial=partial,
                outside=repaired.outside,
            ),
            trial.Consumer(
                engine=site.engine,
                image=bare,
                python=site.catalogue.interpreter(build.target).path,
                timeout=site.timeout(build.recipe),
                memory=site.memory,
            ),
            folder=self.bench.candidates,
            log=log,
        )


def _environ(epoch: int, jobs: int, own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the hooks: fixed, so that equal inputs give equal bytes."""
    return {
        "PATH": f"{backend.ENVIRONMENT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/tmp",  # noqa: S108  (inside the container)
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(epoch),
        "ZERO_AR_DATE": "1",
        # No debug sections: they hold paths, triple the size and take a third of a compile. CFLAGS would
        # replace the interpreter's own flags (setuptools 75.7 and later); these two are added to them.
        "CPPFLAGS": "-g0",
        "LDFLAGS": "-Wl,--strip-debug",
        "MAKEFLAGS": f"-j{jobs}",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
        "MAX_JOBS": str(jobs),
        "NPY_NUM_BUILD_JOBS": str(jobs),
        "CARGO_BUILD_JOBS": str(jobs),
        **own,
    }


def _described(repaired: Repaired, facts: WheelFacts) -> BuiltWheel:
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


def _pinned(file: IndexFile) -> str:
    parsed = parse_filename(file.filename)
    return f"{parsed.project}=={parsed.version}" if parsed else file.filename
