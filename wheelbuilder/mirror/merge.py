"""What a change makes of a project's state: pure, so that a lost race is merged again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from wheelbuilder.mirror.states import MirrorFile, ProjectState, version_of
from wheelbuilder.plan.files import IndexFile, unservable


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A file that was not taken over, and why in words."""

    filename: str
    sha256: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """A project's state after a change, and what of the change was refused."""

    state: ProjectState
    refused: tuple[Refused, ...] = ()


Edit = Callable[[ProjectState], Merged]


def merge(state: ProjectState, files: Iterable[MirrorFile], upstream: Iterable[IndexFile]) -> Merged:
    """Add our files and upstream's to a state.

    A name that upstream serves with other bytes is refused, and so is one we already publish with
    other bytes: the first wins, and is listed again if it was retired, since whoever publishes found
    upstream wanting. Upstream's files replace those known of the same versions.
    """
    good, refused = _servable(upstream)
    merged = replace(state, upstream=_merge_upstream(state.upstream, good))
    for file in files:
        reason = shadows(file, merged.upstream) or _contradicts(file, merged.files)
        if reason:
            refused.append(Refused(filename=file.filename, sha256=file.sha256, reason=reason))
        elif all(known.filename != file.filename for known in merged.files):
            merged = replace(merged, files=_in_order((*merged.files, file)))
        merged = _reinstated(merged, file.filename)
    return Merged(state=merged, refused=tuple(refused))


def _reinstated(state: ProjectState, filename: str) -> ProjectState:
    if all(file.filename != filename or file.retired is None for file in state.files):
        return state
    files = (replace(it, retired=None) if it.filename == filename else it for it in state.files)
    return replace(state, files=tuple(files))


def shadows(file: MirrorFile, upstream: Iterable[IndexFile]) -> str | None:
    """Say why a file of ours would shadow one of upstream's, or None."""
    for theirs in upstream:
        if theirs.filename == file.filename and theirs.sha256 != file.sha256:
            return "upstream serves this file name with other bytes; publish under a build tag"
    return None


def _contradicts(file: MirrorFile, ours: Iterable[MirrorFile]) -> str | None:
    for known in ours:
        if known.filename == file.filename and known.sha256 != file.sha256:
            return (
                f"the channel has this file name with other bytes ({known.sha256[:12]}); the first one stays"
            )
    return None


def _servable(upstream: Iterable[IndexFile]) -> tuple[list[IndexFile], list[Refused]]:
    good: list[IndexFile] = []
    refused: list[Refused] = []
    for file in upstream:
        if reason := unservable(file):
            refused.append(Refused(filename=file.filename, sha256=file.sha256, reason=reason))
        else:
            good.append(file)
    return good, refused


def _merge_upstream(known: Iterable[IndexFile], new: Iterable[IndexFile]) -> tuple[IndexFile, ...]:
    """Replace what is known of the versions that the new files are of; other pins' versions stay."""
    by_name = {file.filename: file for file in new}
    known = tuple(known)
    if {file.filename: file for file in known} == by_name:
        return known  # the usual night: nothing to read versions for
    replaced = {version_of(filename) for filename in by_name} - {None}
    kept = (
        file for file in known if file.filename not in by_name and version_of(file.filename) not in replaced
    )
    return tuple(sorted((*kept, *by_name.values()), key=lambda file: file.filename))


def _in_order(files: Iterable[MirrorFile]) -> tuple[MirrorFile, ...]:
    return tuple(sorted(files, key=lambda file: file.filename))
