"""The trial of wheels that were built elsewhere: installed and imported in a bare root, where one is here."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import engine_probe, prerequisites, trial, workplace
from wheelbuilder.build.bounds import Bounds
from wheelbuilder.build.channel import Channel
from wheelbuilder.build.outcomes import StepFailedError
from wheelbuilder.build.requirements import applicable
from wheelbuilder.build.roots import local_roots
from wheelbuilder.build.site import Site
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Catalogue, Role, Root, Source
from wheelbuilder.inputs.recipes import Recipe, Recipes
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.imports import Checked, Complaint, complaint
from wheelbuilder.plan.upstream import UpstreamIndex

MEMORY = 2 << 30  # bytes that a trial may use where the recipe says nothing
TIME_LIMIT = 600.0  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """How the trial of a wheel ended. target: where it was tried, None if it was not, for a reason.

    complaint: why it is refused.
    """

    filename: str
    target: Target | None = None
    reason: str = ""
    complaint: Complaint | None = None

    def __str__(self) -> str:
        return f"{self.filename}: {f'tried on {self.target}' if self.target else f'not tried: {self.reason}'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What trials are made with. ask: whether the index may be asked for the wheels' dependencies.

    channel: may have what the index lacks of them.
    """

    catalogue: Catalogue
    recipes: Recipes
    index: UpstreamIndex
    ask: bool
    channel: Channel


def hindrance() -> str:
    """Say why nothing can be tried on this machine; "" where it can."""
    try:
        engine_probe.find()
    except UnreachableError as error:
        return error.message
    return ""


def try_all(wheels: Sequence[Checked], means: Means) -> Iterator[Tried]:
    """Try wheels one after the other; one for whose targets no root is here is not tried, and says so.

    Roots are not made: that can take minutes, and `wheelbuilder images build` does it. UnreachableError
    where the engine stops working, or what a wheel needs cannot be fetched.
    """
    with _opened(means) as site:
        here = local_roots(site.engine)
        for checked in wheels:
            yield _tried(checked, site, here, ask=means.ask)


def _opened(means: Means) -> AbstractContextManager[Site]:
    return workplace.opened(
        engine=None,
        catalogue=means.catalogue,
        upstream=means.index,
        recipes=means.recipes,
        build_constraints=(),
        constraints={},
        planned=(),
        channel=means.channel,
    )


def _tried(checked: Checked, site: Site, here: Collection[str], *, ask: bool) -> Tried:
    recipe, name = site.recipes.for_pin(checked.pin), checked.path.name
    roots = {target: _root(target, site, recipe) for target in sorted(checked.targets, key=_preference)}
    target = next((target for target, root in roots.items() if root.tag in here), None)
    if target is None:
        return Tried(filename=name, reason=f"the root {next(iter(roots.values())).name} is not here")
    try:
        _run(checked, target, roots[target], recipe, site, ask=ask)
    except StepFailedError as error:
        return Tried(filename=name, target=target, complaint=complaint(checked.path, error.summary))
    return Tried(filename=name, target=target)


def _preference(target: Target) -> tuple[bool, tuple[int, int], tuple[int, int]]:
    """Sort this machine's architecture first, which is quick, then the newest Python and libc."""
    (major, minor), (x, y) = target.python, target.libc_version
    return target.arch != platform.machine(), (-major, -minor), (-x, -y)


def _root(target: Target, site: Site, recipe: Recipe) -> Root:
    bare = site.catalogue.root(target, Role.BARE)
    return bare.adding(recipe.runtime_deb if bare.source is Source.ARCHIVE else recipe.runtime_rpm)


def _run(checked: Checked, target: Target, root: Root, recipe: Recipe, site: Site, *, ask: bool) -> None:
    needed = _dependencies(checked, target, site, ask=ask)
    folder = site.scratch / f"import-{checked.wheel.sha256[:16]}"
    trial.run(
        trial.Trial(
            wheel=checked.path,
            dependencies=needed or (),
            requirement=f"{checked.pin.name}=={checked.pin.version}",
            modules=checked.facts.top_level if recipe.imports is None else recipe.imports,
            partial=needed is None,
        ),
        trial.Consumer(
            engine=site.engine,
            image=root.tag,
            catalogue=site.catalogue,
            target=target,
            bounds=Bounds(
                timeout=recipe.limits.timeout or TIME_LIMIT,
                silence=TIME_LIMIT,
                memory=recipe.limits.memory or MEMORY,
            ),
        ),
        folder=folder / "candidates",
        log=folder / "log",
    )


def _dependencies(checked: Checked, target: Target, site: Site, *, ask: bool) -> tuple[Path, ...] | None:
    """Return wheels of what it needs; None where some has none: then what lacks it is excused."""
    required = applicable(checked.facts.requires_dist, target)
    if required and not ask:
        return None
    try:
        files = prerequisites.for_trial(required, target, site)
        return None if files is None else prerequisites.wheels(files, site)
    except StepFailedError as error:
        raise UnreachableError(
            f"What {checked.path.name} needs for its trial cannot be had: {error.summary}.",
            "Run again, or leave the trial out with --no-trial.",
        ) from None
