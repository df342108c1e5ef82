"""The decision for one pin and target: the mirror has it, upstream has it, build it, or it cannot be had."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from packaging.version import Version

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build, Decision, InMirror, Unavailable, Upstream
from wheelbuilder.plan.files import (
    SDISTS,
    IndexFile,
    accepts,
    parse_filename,
    requires_python_accepts,
    source_version,
    unservable,
)
from wheelbuilder.plan.keys import KeyOf
from wheelbuilder.plan.reasons import why_no_wheel, why_not_built, why_passed_over


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What there is for a pin, read once for all targets.

    mirror, upstream: the project's files; upstream is None where it does not know the project. matching:
    those that an installer could take for the pin on some target, with their versions. Wheels of upstream's
    that no page of ours can list are not among them; its sdists are.
    """

    mirror: tuple[IndexFile, ...]
    upstream: tuple[IndexFile, ...] | None
    matching: tuple[tuple[Version, IndexFile], ...]

    @classmethod
    def of(cls, pin: Pin, mirror: Iterable[IndexFile], upstream: Iterable[IndexFile] | None) -> Offer:
        """Find the files of a pin among those of its project."""
        ours, theirs = tuple(mirror), None if upstream is None else tuple(upstream)
        listable = (*ours, *(file for file in theirs or () if not (file.is_wheel and unservable(file))))
        versions = ((_version(pin, file), file) for file in listable)
        matching = tuple((version, file) for version, file in versions if version and pin.accepts(version))
        return cls(mirror=ours, upstream=theirs, matching=matching)

    def without(self, filename: str) -> Offer:
        """Return the same without a wheel of ours that is known not to serve a target, "" for none."""
        if not filename:
            return self
        return Offer(
            mirror=tuple(file for file in self.mirror if file.filename != filename),
            upstream=self.upstream,
            matching=tuple(row for row in self.matching if row[1].filename != filename),
        )

    @property
    def files(self) -> tuple[IndexFile, ...]:
        """All files, ours first."""
        return (*self.mirror, *(self.upstream or ()))


def decide(pin: Pin, target: Target, offer: Offer, *, recipe: Recipe, key_of: KeyOf, today: date) -> Decision:
    """Decide about one pin on one target; a wheel counts if pip takes it before every sdist: see `taken`."""
    if pin.unmatchable:
        return Unavailable(pin=pin, target=target, reason=pin.unmatchable)
    wheels = [file for file in taken(target, offer.matching) if file.is_wheel]
    if ours := _best(file for file in wheels if file in offer.mirror):
        return InMirror(pin=pin, target=target, wheel=ours)
    if offer.upstream is None:
        return Unavailable(pin=pin, target=target, reason="upstream has no such project")
    if theirs := _best(wheels):
        return Upstream(pin=pin, target=target, wheel=theirs)
    failure = recipe.known_failure
    if failure and today <= failure.expires:
        reason = f"known failure until {failure.expires.isoformat()}: {failure.reason}"
        return Unavailable(pin=pin, target=target, reason=reason, would_compile=True, known=True)
    again = f"the known failure ({failure.reason}) expired on {failure.expires}" if failure else ""
    passed = [file for file in files_of(pin, offer.files) if accepts(target, file)]
    # a wheel of ours must not bear the name of one that exists
    build_tag = next_build_tag(pin, offer.files) if passed else None
    if passed:
        reason = why_passed_over(passed[0], offer.upstream)
    else:
        reason = why_no_wheel(target, files_of(pin, offer.upstream))
    return _build(pin, target, offer, recipe, key_of, reason, build_tag, again)


def rebuild(pin: Pin, target: Target, offer: Offer, *, recipe: Recipe, key_of: KeyOf) -> Decision:
    """Decide to build a pin again whatever exists, under the next build tag that is free.

    A known failure does not hinder it: whoever asks for a rebuild wants to see.
    """
    if pin.unmatchable:
        return Unavailable(pin=pin, target=target, reason=pin.unmatchable)
    if offer.upstream is None:
        return Unavailable(pin=pin, target=target, reason="upstream has no such project")
    build_tag = next_build_tag(pin, offer.files)
    return _build(pin, target, offer, recipe, key_of, "a rebuild was asked for", build_tag)


def next_build_tag(pin: Pin, taken: Iterable[IndexFile]) -> int:
    """Return the first build number that is above every one in use for this name and version."""
    builds = (parsed.build for file in files_of(pin, taken) if (parsed := parse_filename(file.filename)))
    return max((build[0] for build in builds if build), default=0) + 1


def taken(target: Target, matching: Iterable[tuple[Version, IndexFile]]) -> tuple[IndexFile, ...]:
    """Return the files of which pip takes one for a pin: all of one version, and a wheel comes first.

    Yanked ones only if all that apply are yanked (PEP 592); the highest version, which may be a local one.
    """
    applicable = [row for row in matching if _applies(target, row[1])]
    kept = [row for row in applicable if row[1].yanked is None] or applicable
    highest = max((version for version, _ in kept), default=None)
    return tuple(file for version, file in kept if version == highest)


def best_wheel(pin: Pin, target: Target, offer: Offer) -> IndexFile | None:
    """Return the wheel that pip takes for the pin, or None if it takes an sdist or nothing."""
    if pin.unmatchable:
        return None
    return _best(file for file in taken(target, offer.matching) if file.is_wheel)


def files_of(pin: Pin, files: Iterable[IndexFile]) -> list[IndexFile]:
    """Return the project's files of the pin's version, with those whose name says none (eggs, installers)."""
    return [file for file in files if _is_of(pin, file)]


def _is_of(pin: Pin, file: IndexFile) -> bool:
    version = _version(pin, file)
    return pin.accepts(version) if version else parse_filename(file.filename) is None


def _version(pin: Pin, file: IndexFile) -> Version | None:
    """Return the version that a file's name says, None for one of another project."""
    if not file.is_wheel:
        return source_version(file.filename, pin.name)
    parsed = parse_filename(file.filename)
    return parsed.version if parsed and parsed.project == pin.name else None


def _applies(target: Target, file: IndexFile) -> bool:
    return accepts(target, file) if file.is_wheel else requires_python_accepts(file.requires_python, target)


def _best(files: Iterable[IndexFile]) -> IndexFile | None:
    return max(files, key=_preference, default=None)


def _preference(file: IndexFile) -> tuple[bool, bool, tuple[int, str], str]:
    parsed = parse_filename(file.filename)
    build = (parsed.build if parsed else None) or (0, "")
    return file.yanked is None, not file.filename.endswith(".zip"), build, file.filename


def _build(
    pin: Pin,
    target: Target,
    offer: Offer,
    recipe: Recipe,
    key_of: KeyOf,
    reason: str,
    build_tag: int | None,
    again: str = "",
) -> Decision:
    sources = taken(target, [row for row in offer.matching if not row[1].is_wheel])
    sdist = _best(file for file in sources if file.filename.endswith(SDISTS) and not unservable(file))
    if sdist is None or _version(pin, sdist) != pin.version:
        why = why_not_built(target, pin, sources, files_of(pin, offer.upstream or ()))
        return Unavailable(pin=pin, target=target, reason=why, would_compile=bool(sources))
    return Build(
        pin=pin,
        target=target,
        sdist=sdist,
        recipe=recipe,
        reason=reason,
        key=key_of(pin, sdist, recipe, target, build_tag),
        build_tag=build_tag,
        again=again,
    )
