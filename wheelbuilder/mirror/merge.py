"""What a change makes of a project's state: pure, so that a lost race is merged again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from wheelbuilder.mirror.states import MirrorFile, Namesakes, ProjectState, version_of
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

    What upstream serves with other bytes is refused, and so is what we already publish with other bytes,
    however the name is spelled: the first wins, and is listed again if it was retired, since whoever
    publishes found upstream wanting. Upstream's files replace those known of the same versions.
    """
    good, refused = _servable(upstream)
    merged = replace(state, upstream=_merge_upstream(state.upstream, good))
    offered = tuple(files)
    if not offered:
        return Merged(state=merged, refused=tuple(refused))
    taken = _taken(merged, offered)
    return Merged(state=taken.state, refused=(*refused, *taken.refused))


def _taken(state: ProjectState, files: Iterable[MirrorFile]) -> Merged:
    """Add our files to a state whose upstream files are known."""
    held = {file.filename: file for file in state.files}
    ours, theirs = Namesakes(state.files), Namesakes(state.upstream)
    refused = []
    for file in files:
        known = held.get(file.filename)
        is_new = known is None or known.sha256 != file.sha256
        if reason := shadows(file, theirs) or (_contradicts(file, ours) if is_new else None):
            refused.append(Refused(filename=file.filename, sha256=file.sha256, reason=reason))
        elif is_new:
            held[file.filename] = known = file
            ours.add(file)
        if known and known.retired is not None:
            held[file.filename] = replace(known, retired=None)
    return Merged(state=replace(state, files=_in_order(held.values())), refused=tuple(refused))


def shadows(file: MirrorFile, upstream: Namesakes[IndexFile]) -> str | None:
    """Say why a file of ours would shadow one of upstream's, or None."""
    theirs = upstream.other(file.filename, file.sha256)
    if not theirs:
        return None
    return f"upstream serves {named(theirs, file.filename)} with other bytes; publish under a build tag"


def named(file: MirrorFile | IndexFile, filename: str) -> str:
    """Return what to call a file that is another one's namesake."""
    return "this file name" if file.filename == filename else f"this wheel, as {file.filename},"


def _contradicts(file: MirrorFile, ours: Namesakes[MirrorFile]) -> str | None:
    known = ours.other(file.filename, file.sha256)
    if not known:
        return None
    called = named(known, file.filename)
    return f"the channel has {called} with other bytes ({known.sha256[:12]}); the first one stays"


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
