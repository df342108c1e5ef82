"""From requirement strings to wheels on disk; a build requirement without a wheel is built first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.build import sdist
from wheelbuilder.build.cache import locked
from wheelbuilder.build.outcomes import Built, FailureClass, Outcome, StepFailedError
from wheelbuilder.build.requirements import NoWheelError, Resolver, applicable, local_path
from wheelbuilder.build.site import Site
from wheelbuilder.build.wheelcheck import requires_dist
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.http import session
from wheelbuilder.inputs.images import Role
from wheelbuilder.inputs.pins import Origin, Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile, parse_filename, requires_python_accepts
from wheelbuilder.plan.keys import key_of

# Builds one requirement; given the build and the names of the builds that wait for it.
Builder = Callable[[Build, tuple[NormalizedName, ...]], Outcome]


def wheels(files: Iterable[IndexFile], site: Site) -> tuple[Path, ...]:
    """Return where wheels lie on this disk, fetching those that are not there, digests checked."""
    with session() as connection:
        return tuple(
            local_path(file, site.cache / "wheelhouse")
            or sdist.fetch(file, site.cache / "wheels", connection)
            for file in files
        )


def resolve_or_build(
    requirements: Sequence[str],
    target: Target,
    site: Site,
    build: Builder,
    waiting: tuple[NormalizedName, ...],
    constraints: tuple[str, ...] = (),
) -> tuple[IndexFile, ...]:
    """Return the wheels of a build environment, building those that nobody has.

    waiting: the projects whose builds wait for this one; meeting one of them again is a cycle.
    constraints: what the recipe adds to those of the list. Raises StepFailedError REQUIREMENTS.
    """
    resolver = site.resolver(target)
    tried: set[str] = set()
    while True:
        try:
            return resolver.resolve(requirements, constraints=constraints)
        except NoWheelError as error:
            lacking = _without_wheel(requirements, constraints, resolver, site)
            missing = [text for text in lacking if text not in tried]
            if not missing:
                raise StepFailedError(
                    FailureClass.REQUIREMENTS, f"the build requirements cannot be had: {error.reason}"
                ) from None
        for text in missing:
            tried.add(text)
            _build_requirement(text, constraints, target, site, build, waiting)


def _without_wheel(
    requirements: Iterable[str], constraints: tuple[str, ...], resolver: Resolver, site: Site
) -> list[str]:
    """Return the requirements, own and inherited, for which no wheel fits the target."""
    found: list[str] = []
    seen: set[str] = set()
    queue = list(requirements)
    while queue:
        text = queue.pop()
        if text in seen:
            continue
        seen.add(text)
        try:
            files = resolver.resolve([text], constraints=constraints, dependencies=False)
        except NoWheelError:
            found.append(text)
            continue
        for wheel in wheels(files, site):
            queue += applicable(requires_dist(wheel), resolver.target)
    return sorted(found)


def _build_requirement(
    text: str,
    constraints: tuple[str, ...],
    target: Target,
    site: Site,
    build: Builder,
    waiting: tuple[NormalizedName, ...],
) -> None:
    name = canonicalize_name(Requirement(text).name)
    if name in waiting:
        raise StepFailedError(
            FailureClass.REQUIREMENTS,
            f"a build requirement without a wheel needs itself: {' -> '.join((*waiting, name))}",
            "Give one of them a build-constraint for which a wheel exists.",
        )
    wanted = _as_build(text, constraints, name, target, site)
    house = site.wheelhouse(target)
    # One lock a target, taken by the outermost build only: builds that wait for each other cannot deadlock.
    with locked(f"wheelhouse-{house.name}") if len(waiting) == 1 else nullcontext():
        # By its key: another recipe or other build constraints would have made another wheel.
        place = house / f"key-{wanted.key}"
        if not any(place.glob("*.whl")):
            _build_into(place, wanted, target, build, waiting)
    for for_trial in (False, True):
        site.resolver(target, for_trial=for_trial).add(place)


def _build_into(
    place: Path, wanted: Build, target: Target, build: Builder, waiting: tuple[NormalizedName, ...]
) -> None:
    outcome = build(wanted, waiting)
    if not isinstance(outcome, Built):
        reason = getattr(outcome, "summary", "it gave no wheel")
        raise StepFailedError(
            FailureClass.REQUIREMENTS,
            f"the build requirement {wanted.pin} has no wheel for {target} and cannot be built: {reason}",
            getattr(outcome, "hint", ""),
            getattr(outcome, "lines", ()),
        )
    place.mkdir(exist_ok=True)
    partial = place / ".partial"
    shutil.copyfile(outcome.wheel.path, partial)
    partial.rename(place / outcome.wheel.filename)


def _listed(name: NormalizedName, site: Site) -> tuple[IndexFile, ...]:
    try:
        return site.upstream.project(name) or ()
    except UnreachableError as error:
        # The index answered for the list's own pins: one page must not cost the other packages their night.
        raise StepFailedError(
            FailureClass.REQUIREMENTS,
            f"the build requirement {name} cannot be looked up: {error.message}",
            error.hint,
        ) from None


def _as_build(
    text: str, constraints: tuple[str, ...], name: NormalizedName, target: Target, site: Site
) -> Build:
    requirement = Requirement(text)
    bounds = [Requirement(line) for line in (*site.build_constraints, *constraints)]
    specifier = requirement.specifier
    for bound in bounds:
        if canonicalize_name(bound.name) == name:
            specifier &= bound.specifier
    files = _listed(name, site)
    named = [(parse_filename(file.filename), file) for file in files if not file.is_wheel]
    fitting = [
        (parsed.version, file.filename.endswith(".tar.gz"), file)
        for parsed, file in named
        if parsed
        and specifier.contains(parsed.version)
        and requires_python_accepts(file.requires_python, target)
        and file.yanked is None
        and file.sha256
    ]
    if not fitting:
        raise StepFailedError(
            FailureClass.REQUIREMENTS,
            f"the build requirement {text!r} has neither a wheel for {target} nor an sdist",
        )
    version, _, file = max(fitting, key=lambda row: row[:2])
    pin = Pin(
        name=name,
        raw_name=requirement.name,
        version=version,
        version_text=str(version),
        marker=None,
        origin=Origin(branch="build requirements", file=text, line=0),
        branches=(),
    )
    recipe = site.recipes.for_pin(pin, site.catalogue.root(target, Role.BUILD))
    key = key_of(site.catalogue, site.build_constraints)(pin, file, recipe, target, None)
    return Build(
        pin=pin, target=target, sdist=file, recipe=recipe, reason=f"a build requires {text}", key=key
    )
