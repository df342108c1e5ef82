"""The decision for one pin and target: the mirror has it, upstream has it, build it, or it cannot be had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build, Decision, InMirror, Unavailable, Upstream
from wheelbuilder.plan.files import IndexFile, accepts, parse_filename, requires_python_accepts
from wheelbuilder.plan.keys import KeyOf
from wheelbuilder.plan.reasons import why_no_sdist, why_no_wheel


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

    mirror, upstream: the project's files; None where upstream does not know the project. A yanked
    file counts, because installers take it for an exact pin (PEP 592).
    """
    ours = best_wheel(pin, target, mirror)
    if ours:
        return InMirror(pin=pin, target=target, wheel=ours)
    if upstream is None:
        return Unavailable(pin=pin, target=target, reason="upstream has no such project")
    theirs = best_wheel(pin, target, upstream)
    if theirs:
        return Upstream(pin=pin, target=target, wheel=theirs)
    failure = recipe.known_failure
    if failure and today <= failure.expires:
        reason = f"known failure until {failure.expires.isoformat()}: {failure.reason}"
        return Unavailable(pin=pin, target=target, reason=reason, would_compile=True)
    reason = why_no_wheel(target, files_of(pin, upstream))
    return _build(pin, target, upstream, recipe, key_of, reason, None)


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
    if upstream is None:
        return Unavailable(pin=pin, target=target, reason="upstream has no such project")
    build_tag = next_build_tag(pin, (*mirror, *upstream))
    return _build(pin, target, upstream, recipe, key_of, "a rebuild was asked for", build_tag)


def next_build_tag(pin: Pin, taken: Iterable[IndexFile]) -> int:
    """Return the first build number that is above every one in use for this name and version."""
    builds = (parsed.build for file in files_of(pin, taken) if (parsed := parse_filename(file.filename)))
    return max((build[0] for build in builds if build), default=0) + 1


def best_wheel(pin: Pin, target: Target, files: Iterable[IndexFile]) -> IndexFile | None:
    """Return a wheel that an installer on the target takes for the pin: not yanked, highest build tag."""
    fitting = [file for file in files_of(pin, files) if accepts(target, file)]
    return max(fitting, key=_preference, default=None)


def best_sdist(pin: Pin, files: Iterable[IndexFile]) -> IndexFile | None:
    """Return the sdist to build: `.tar.gz` before `.zip` (PEP 625)."""
    sdists = [file for file in files_of(pin, files) if not file.is_wheel and parse_filename(file.filename)]
    return max(sdists, key=_preference, default=None)


def files_of(pin: Pin, files: Iterable[IndexFile]) -> list[IndexFile]:
    """Return the files of the pin's version, with those whose name says no version (eggs, installers)."""
    return [
        file
        for file in files
        if (parsed := parse_filename(file.filename)) is None or pin.accepts(parsed.version)
    ]


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
) -> Decision:
    sdist = best_sdist(pin, upstream)
    if sdist is None:
        why = why_no_sdist(target, pin, files_of(pin, upstream))
        return Unavailable(pin=pin, target=target, reason=why)
    if not sdist.sha256:
        why = f"upstream gives no SHA-256 for {sdist.filename}"
        return Unavailable(pin=pin, target=target, reason=why, would_compile=True)
    if not requires_python_accepts(sdist.requires_python, target):
        why = (
            f"{sdist.filename} requires Python {sdist.requires_python}, the target has {target.full_version}"
        )
        return Unavailable(pin=pin, target=target, reason=why)
    return Build(
        pin=pin,
        target=target,
        sdist=sdist,
        recipe=recipe,
        reason=reason,
        key=key_of(pin, sdist, recipe, target, build_tag),
        build_tag=build_tag,
    )
