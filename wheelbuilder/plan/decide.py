"""The decision for one pin and target: the mirror has it, upstream has it, build it, or it cannot be had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


def decide(
    pin: Pin,
    target: Target,
    *,
    mirror: Sequence[IndexFile],
    upstream: Sequence[IndexFile] | None,
    recipe: Recipe,
    key_of: KeyOf,
    today: date,
) -> Decision:
    """Decide about one pin on one target.

    mirror, upstream: the project's files; None where upstream does not know the project. A wheel
    counts if pip would take it before every sdist: see `taken`.
    """
    if pin.unmatchable:
        return Unavailable(pin=pin, target=target, reason=pin.unmatchable)
    first = taken(pin, target, mirror, upstream or ())
    if ours := _best(file for file in first if file.is_wheel and file in mirror):
        return InMirror(pin=pin, target=target, wheel=ours)
    if upstream is None:
        return Unavailable(pin=pin, target=target, reason="upstream has no such project")
    if theirs := _best(file for file in first if file.is_wheel):
        return Upstream(pin=pin, target=target, wheel=theirs)
    failure = recipe.known_failure
    if failure and today <= failure.expires:
        reason = f"known failure until {failure.expires.isoformat()}: {failure.reason}"
        return Unavailable(pin=pin, target=target, reason=reason, would_compile=True)
    again = f"the known failure ({failure.reason}) expired on {failure.expires}" if failure else ""
    passed = _passed_over(pin, target, mirror, upstream)
    reason = why_passed_over(passed[0], upstream) if passed else why_no_wheel(target, files_of(pin, upstream))
    # a wheel of ours must not bear the name of one that exists
    build_tag = next_build_tag(pin, (*mirror, *upstream)) if passed else None
    return _build(pin, target, upstream, recipe, key_of, reason, build_tag, again)


def rebuild(
    pin: Pin,
    target: Target,
    *,
    mirror: Sequence[IndexFile],
    upstream: Sequence[IndexFile] | None,
    recipe: Recipe,
    key_of: KeyOf,
) -> Decision:
    """Decide to build a pin again whatever exists, under the next build tag that is free.

    A known failure does not hinder it: whoever asks for a rebuild wants to see.
    """
    if pin.unmatchable:
        return Unavailable(pin=pin, target=target, reason=pin.unmatchable)
    if upstream is None:
        return Unavailable(pin=pin, target=target, reason="upstream has no such project")
    build_tag = next_build_tag(pin, (*mirror, *upstream))
    return _build(pin, target, upstream, recipe, key_of, "a rebuild was asked for", build_tag)


def next_build_tag(pin: Pin, taken: Iterable[IndexFile]) -> int:
    """Return the first build number that is above every one in use for this name and version."""
    builds = (parsed.build for file in files_of(pin, taken) if (parsed := parse_filename(file.filename)))
    return max((build[0] for build in builds if build), default=0) + 1


def taken(
    pin: Pin, target: Target, mirror: Iterable[IndexFile], upstream: Iterable[IndexFile]
) -> tuple[IndexFile, ...]:
    """Return the files of which pip takes one for the pin: all of one version, and a wheel comes first.

    Yanked ones only if all that apply are yanked (PEP 592); the highest version, which may be a
    local one. Wheels of upstream's that no page of ours can list do not count; its sdists do.
    """
    wheels = [*mirror, *(file for file in upstream if file.is_wheel and not unservable(file))]
    sources = [file for file in upstream if not file.is_wheel]
    applicable = [
        (version, file)
        for file in (*wheels, *sources)
        if (version := _version(pin, file)) and pin.accepts(version) and _applies(target, file)
    ]
    kept = [row for row in applicable if row[1].yanked is None] or applicable
    highest = max((version for version, _ in kept), default=None)
    return tuple(file for version, file in kept if version == highest)


def best_wheel(
    pin: Pin, target: Target, mirror: Iterable[IndexFile], upstream: Iterable[IndexFile] = ()
) -> IndexFile | None:
    """Return the wheel that pip takes for the pin, or None if it takes an sdist or nothing."""
    if pin.unmatchable:
        return None
    return _best(file for file in taken(pin, target, mirror, upstream) if file.is_wheel)


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


def _passed_over(
    pin: Pin, target: Target, mirror: Iterable[IndexFile], upstream: Iterable[IndexFile]
) -> list[IndexFile]:
    return [file for file in files_of(pin, (*mirror, *upstream)) if accepts(target, file)]


def _best(files: Iterable[IndexFile]) -> IndexFile | None:
    return max(files, key=_preference, default=None)


def _preference(file: IndexFile) -> tuple[bool, bool, tuple[int, str], str]:
    parsed = parse_filename(file.filename)
    build = (parsed.build if parsed else None) or (0, "")
    return file.yanked is None, not file.filename.endswith(".zip"), build, file.filename


def _build(
    pin: Pin,
    target: Target,
    upstream: Sequence[IndexFile],
    recipe: Recipe,
    key_of: KeyOf,
    reason: str,
    build_tag: int | None,
    again: str = "",
) -> Decision:
    sources = taken(pin, target, (), [file for file in upstream if not file.is_wheel])
    sdist = _best(file for file in sources if file.filename.endswith(SDISTS) and not unservable(file))
    if sdist is None or _version(pin, sdist) != pin.version:
        why = why_not_built(target, pin, sources, files_of(pin, upstream))
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
