"""From requirement strings to wheels on disk; what has no wheel becomes a build that comes before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelbuilder.build import sdist, shelf
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.requirements import NoWheelError, Resolver, applicable, local_path
from wheelbuilder.build.site import Site
from wheelbuilder.build.tasks import Given
from wheelbuilder.build.wheelcheck import requires_dist
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.http import session
from wheelbuilder.inputs.images import Role
from wheelbuilder.inputs.pins import Origin, Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile, parse_filename, requires_python_accepts
from wheelbuilder.plan.keys import key_of


class LacksWheelsError(Exception):
    """Requirements have no wheel yet. builds: what gives them."""

    def __init__(self, builds: tuple[Build, ...]) -> None:
        super().__init__(builds)
        self.builds = builds


def wheels(files: Iterable[IndexFile], site: Site) -> tuple[Path, ...]:
    """Return where wheels lie on this disk, fetching those that are not there, digests checked."""
    with session() as connection:
        return tuple(
            local_path(file, site.cache / "wheelhouse")
            or sdist.fetch(file, site.cache / "wheels", connection)
            for file in files
        )


def resolve(
    requirements: Sequence[str],
    target: Target,
    site: Site,
    *,
    constraints: tuple[str, ...] = (),
    given: Iterable[Given] = (),
) -> tuple[IndexFile, ...]:
    """Return the wheels of a build environment.

    constraints: what the recipe adds to those of the list. given: what was built for it. Raises
    LacksWheelsError for what has to be built first, StepFailedError REQUIREMENTS where nothing helps.
    """
    resolver = site.resolver(target)
    tried = {it.key for it in given}
    _offer((it.wheel.parent for it in given), target, site)
    while True:
        try:
            return resolver.resolve(requirements, constraints=constraints)
        except NoWheelError as error:
            texts = _without_wheel(requirements, constraints, resolver, site)
            builds = [_as_build(text, constraints, target, site) for text in texts]
            lacking = {build.key: build for build in builds if build.key not in tried}
            if not lacking:
                raise StepFailedError(
                    FailureClass.REQUIREMENTS, f"the build requirements cannot be had: {error.reason}"
                ) from None
        if missing := tuple(build for build in lacking.values() if not shelf.take(build, site)):
            raise LacksWheelsError(missing)
        tried |= lacking.keys()
        _offer((shelf.place(build, site) for build in lacking.values()), target, site)


def _offer(folders: Iterable[Path], target: Target, site: Site) -> None:
    for folder in folders:
        for for_trial in (False, True):
            site.resolver(target, for_trial=for_trial).add(folder)


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


def _listed(name: NormalizedName, site: Site) -> tuple[IndexFile, ...]:
    try:
        return site.upstream.project(name) or ()
    except UnreachableError as error:
        # The index answered for the list's own pins: one page must not cost the other packages their night.
        raise StepFailedError(
            FailureClass.REQUIREMENTS,
            f"the build requirement {name} cannot be looked up: {error.message}",
            error.hint,
            passing=error.passing,
        ) from None


def _as_build(text: str, constraints: tuple[str, ...], target: Target, site: Site) -> Build:
    """Return the build of a requirement: the run's own if one fits, else of the newest sdist."""
    requirement = Requirement(text)
    name = canonicalize_name(requirement.name)
    specifier = requirement.specifier
    for bound in map(Requirement, (*site.build_constraints, *constraints)):
        if canonicalize_name(bound.name) == name:
            specifier &= bound.specifier
    planned = [it for it in site.planned.get((name, target), ()) if specifier.contains(it.pin.version)]
    if planned:
        return max(planned, key=lambda build: build.pin.version)
    version, file = _newest(text, _listed(name, site), specifier, target)
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


def _newest(
    text: str, files: Iterable[IndexFile], specifier: SpecifierSet, target: Target
) -> tuple[Version, IndexFile]:
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
    return version, file
