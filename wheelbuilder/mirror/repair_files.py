"""Restore metadata from wheels, and take what cannot be restored off the pages by a commit of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.build import scratch
from wheelbuilder.errors import IntegrityError, UnreachableError, WheelbuilderError
from wheelbuilder.mirror.amend import amend
from wheelbuilder.mirror.audit_files import Use
from wheelbuilder.mirror.audit_look import Look
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.ground import unknown
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import head_key, state_key
from wheelbuilder.mirror.merge import Merged
from wheelbuilder.mirror.read import read_head
from wheelbuilder.mirror.repair_deeds import Deed, Repairs, write
from wheelbuilder.mirror.repair_states import rebuilt
from wheelbuilder.mirror.settle import complete
from wheelbuilder.mirror.states import MirrorFile, ProjectState, timestamp
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.trail import extended
from wheelbuilder.mirror.wheels import read_metadata

NOTE = "taken off by a repair: damaged or lost"
BROKEN = "is broken until the same bytes are published again; 'wheelbuilder snapshot --remove' removes it"


def restore_metadata(repairs: Repairs, used: Mapping[str, Use], keys: Collection[str]) -> frozenset[str]:
    """Write METADATA again as the wheels have it; returns the wheels for which that cannot be done."""
    impossible = set()
    for key in sorted(keys):
        wheel = key.removesuffix(".metadata")
        data = _metadata(repairs.store, wheel)
        if data is None or digest(data) != used[wheel].file.metadata_sha256:
            impossible.add(wheel)
        else:
            write(repairs.store, key, data)
            repairs.note(key, Deed.RESTORED, "from the wheel")
    return frozenset(impossible)


def take_off(repairs: Repairs, looks: Sequence[Look], used: Mapping[str, Use], lost: Collection[str]) -> None:
    """Publish a commit without these wheels in each channel that has one, and say how to get them back."""
    for look in looks:
        edits = {
            name: partial(_without, lost)
            for name, state in look.states.items()
            if any(file.key in lost for file in state.files)
        }
        if edits:
            done = amend(
                repairs.store, look.name, edits, run="", now=repairs.now, note=NOTE, cache=repairs.cache
            )
            projects = ", ".join(done.changed)
            words = f"commit {done.number} takes files that are lost off the pages of {projects}"
            repairs.note(head_key(look.name), Deed.PUBLISHED, words)
    for key in sorted(lost):
        repairs.note(key, Deed.LOST, _advice(used[key]) + _snapshots(looks, key))


def replace_states(repairs: Repairs, look: Look, lost: Collection[str]) -> None:
    """Rebuild states that are lost from pages; where that gives others, publish a commit that has them.

    A project whose pages do not say enough is withdrawn.
    """
    head = read_head(repairs.store, look.name)
    projects, gap = dict(head.commit.projects), set(head.commit.gap)
    for name, state in head.commit.projects.items():
        if state not in lost:
            continue
        made = rebuilt(repairs.store, look.name, name, in_gap=name in head.commit.gap, now=repairs.now)
        data = made.to_bytes() if made else b""
        if made:
            write(repairs.store, state_key(digest(data)), data)
        if digest(data) == state:
            repairs.note(state_key(state), Deed.RESTORED, "from the pages and records")
            continue
        projects.pop(name)
        gap.discard(name)
        if made:
            projects[name] = digest(data)
            gap |= {name} if made.in_gap else set()
        _explain(repairs, look, name, state, made)
    if projects != head.commit.projects:
        _install(repairs, look.name, head, projects, gap)


def right_gap(repairs: Repairs, look: Look) -> None:
    """Publish a commit whose gap view has the projects that their states put there."""
    head = read_head(repairs.store, look.name)
    gap = {name for name, state in look.states.items() if state.in_gap}
    gap |= head.commit.gap - look.states.keys()
    _install(repairs, look.name, head, head.commit.projects, gap)
    repairs.note(head_key(look.name), Deed.PUBLISHED, "a commit with the right list of the gap view")


def _install(
    repairs: Repairs,
    channel: str,
    head: Head,
    projects: Mapping[NormalizedName, str],
    gap: Collection[NormalizedName],
) -> None:
    """Move the head without looking back: the commit before may need a state that is lost."""
    commit = Commit(
        number=head.commit.number + 1,
        parent=head.commit.digest,
        projects=projects,
        gap=frozenset(gap),
        time=timestamp(repairs.now),
        note=NOTE,
    )
    new = Head(commit=commit, trail=extended(head.trail, head.commit, commit, repairs.now))
    write(repairs.store, head_key(channel), new.to_bytes(channel))
    new = read_head(repairs.store, channel)
    complete(repairs.store, channel, new, unknown(new, head.commit), {})


def _explain(
    repairs: Repairs, look: Look, name: NormalizedName, state: str, made: ProjectState | None
) -> None:
    key = state_key(state)
    repairs.store.delete([key])
    if made is None:
        words = f"cannot be restored: {name} is withdrawn from {look.name}; run the list again to publish it"
    else:
        words = f"cannot be restored as it was; {name} in {look.name} is rebuilt from its pages and records"
    repairs.note(key, Deed.LOST, words)


def _without(lost: Collection[str], state: ProjectState) -> Merged:
    files = tuple(file for file in state.files if file.key not in lost)
    return Merged(state=replace(state, files=files))


def _advice(use: Use) -> str:
    file: MirrorFile = use.file
    project = file.filename.partition("-")[0]
    if not use.current:
        return f"cannot be restored: {use.whose} " + (BROKEN if use.live else "cannot be rolled back to")
    target = f" --target {file.target}" if file.target else ""
    return (
        "cannot be restored; it is off the pages. Build it again: "
        f"wheelbuilder rebuild LIST {project.replace('_', '-').lower()}{target}"
    )


def _snapshots(looks: Sequence[Look], key: str) -> str:
    """Say which snapshots still link to a file: their pages never change."""
    listing = [
        f"{look.name}@{number}"
        for look in looks
        for number, commit in sorted(look.snapshots.items())
        if commit
        and any(file.key == key for state in commit.projects.values() for file in look.files.get(state, ()))
    ]
    return f". Snapshots that go on listing it: {', '.join(listing)}" if listing else ""


def _metadata(store: Store, key: str) -> bytes | None:
    with scratch.temporary("repair") as folder:
        path = Path(folder, key.rpartition("/")[2])
        try:
            return read_metadata(path) if store.download(key, path) else None
        except UnreachableError:
            raise
        except (WheelbuilderError, IntegrityError):
            return None
