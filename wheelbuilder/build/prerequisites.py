"""From requirement strings to wheels on disk; what has no wheel becomes a build that comes before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelbuilder.build import shelf
from wheelbuilder.build.fetching import fetch
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
from wheelbuilder.plan.files import IndexFile, accepts, parse_filename, requires_python_accepts
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
            local_path(file, site.cache / "wheelhouse") or fetch(file, site.cache / "wheels", connection)
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

    constraints: what the recipe adds to those of the list. given: what was built for it. What the channel
    has serves where the index has nothing. Raises LacksWheelsError for what has to be built first,
    StepFailedError REQUIREMENTS where nothing helps.
    """
    resolver = site.resolver(target)
    tried = {it.key for it in given}
    _offer((it.wheel.parent for it in given), target, site)
    while True:
        try:
            return resolver.resolve(requirements, constraints=constraints)
        except NoWheelError as error:
            texts = _without_wheel(requirements, constraints, resolver, site)
            asked = [_asked(text, (*site.build_constraints, *constraints)) for text in texts]
            reason = error.reason
        if folders := _published(asked, target, site) - tried:
            tried |= folders
            _offer(map(Path, folders), target, site)
            continue
        builds = [_as_build(it, target, site) for it in asked]
        lacking = {build.key: build for build in builds if build.key not in tried}
        if not lacking:
            raise StepFailedError(
                FailureClass.REQUIREMENTS, f"the build requirements cannot be had: {reason}"
            )
        if missing := tuple(build for build in lacking.values() if not shelf.take(build, site)):
            raise LacksWheelsError(missing)
        tried |= lacking.keys()
        _offer((shelf.place(build, site) for build in lacking.values()), target, site)


def for_trial(
    requirements: Sequence[str], target: Target, site: Site, *, constraints: tuple[str, ...] = ()
) -> tuple[IndexFile, ...] | None:
    """Return the wheels that a wheel needs to be imported; None where some of them has none yet.

    What the index lacks, the channel may have, or this run may have built it; nobody waits for it.
    Raises StepFailedError REQUIREMENTS for a requirement that is not one.
    """
    resolver, tried = site.resolver(target, for_trial=True), set[Path]()
    while True:
        try:
            return resolver.resolve(requirements, constraints=constraints)
        except NoWheelError:
            found = set(_on_hand(requirements, constraints, resolver, site)) - tried
        if not found:
            return None
        for folder in found:
            resolver.add(folder)
        tried |= found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """A requirement without a wheel. specifier: with what constraints add."""

    text: str
    name: NormalizedName
    raw_name: str
    specifier: SpecifierSet

    def builds(self, site: Site) -> Iterator[Build]:
        """Yield the run's own builds that give it, for any target."""
        for (name, _), builds in site.planned.items():
            if name == self.name:
                yield from (build for build in builds if self.specifier.contains(build.pin.version))

    def planned(self, target: Target, site: Site) -> Build | None:
        """Return the run's own build that gives it."""
        fitting = (
            build
            for build in site.planned.get((self.name, target), ())
            if self.specifier.contains(build.pin.version)
        )
        return max(fitting, key=lambda build: build.pin.version, default=None)


def _asked(text: str, constraints: tuple[str, ...]) -> _Asked:
    requirement = Requirement(text)
    name, specifier = canonicalize_name(requirement.name), requirement.specifier
    for bound in map(Requirement, constraints):
        if canonicalize_name(bound.name) == name:
            specifier &= bound.specifier
    return _Asked(text=text, name=name, raw_name=requirement.name, specifier=specifier)


def _published(asked: Iterable[_Asked], target: Target, site: Site) -> set[str]:
    """Return folders with wheels of the channel that give what is asked for and the run does not build."""
    others = (it for it in asked if not it.planned(target, site))
    return {str(folder) for it in others if (folder := _fetched(it, target, site))}


def _fetched(asked: _Asked, target: Target, site: Site) -> Path | None:
    """Return a folder with the channel's wheel of what is asked for."""
    wheel = site.channel.wheel(asked.name, asked.specifier, target) if site.channel else None
    if site.channel is None or wheel is None:
        return None
    folder = site.wheelhouse(target) / f"file-{wheel.sha256}"
    return folder if site.channel.fetched(wheel, folder) else None


def _on_hand(
    requirements: Iterable[str], constraints: tuple[str, ...], resolver: Resolver, site: Site
) -> Iterator[Path]:
    """Yield folders with wheels, of this run or of the channel, of what is required and has no other."""
    target = resolver.target
    try:
        texts = _without_wheel(requirements, constraints, resolver, site)
    except StepFailedError:  # of what others require: that is no fault of the wheel that is tried
        return
    for asked in (_asked(text, constraints) for text in texts):
        here = [
            shelf.place(build, site)
            for build in asked.builds(site)
            if (built := shelf.take(build, site)) and accepts(target, built.wheel.as_index_file())
        ]
        yield from here
        if not here and (folder := _fetched(asked, target, site)):
            yield folder


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


def _as_build(asked: _Asked, target: Target, site: Site) -> Build:
    """Return the build of a requirement: the run's own if one fits, else of the newest sdist."""
    if planned := asked.planned(target, site):
        return planned
    version, file = _newest(asked.text, _listed(asked.name, site), asked.specifier, target)
    pin = Pin(
        name=asked.name,
        raw_name=asked.raw_name,
        version=version,
        version_text=str(version),
        marker=None,
        origin=Origin(branch="build requirements", file=asked.text, line=0),
        branches=(),
    )
    recipe = site.recipes.for_pin(pin, site.catalogue.root(target, Role.BUILD))
    key = key_of(site.catalogue, site.build_constraints)(pin, file, recipe, target, None)
    return Build(
        pin=pin, target=target, sdist=file, recipe=recipe, reason=f"a build requires {asked.text}", key=key
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
