"""Take files off a channel that no branch of any list needs any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import Published, amend
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.merge import Edit, Merged
from wheelbuilder.mirror.read import read_states
from wheelbuilder.mirror.states import MirrorFile, ProjectState
from wheelbuilder.mirror.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Lapsed:
    """A file that branches needed once, and none has needed since a time (RFC 3339)."""

    project: NormalizedName
    file: MirrorFile
    since: str


def lapsed(store: Store, channel: str, until: datetime, *, cache: Path | None = None) -> tuple[Lapsed, ...]:
    """Return the files of a channel that no branch has needed since a moment or longer.

    One that no run has ever claimed for a list, such as one that was imported, is not among them.
    """
    commit = resolve(store, Reference(channel=channel))
    states = read_states(store, commit.projects, cache=cache)
    return tuple(
        Lapsed(project=name, file=file, since=state.unneeded[file.filename])
        for name, state in sorted(states.items())
        for file in state.files
        if _is_over(state, file, until)
    )


def take_off(
    store: Store, channel: str, until: datetime, author: Author, *, cache: Path | None = None
) -> Published:
    """Take these files out of a channel; their bytes stay until a prune finds that nothing has them."""
    names = {it.project for it in lapsed(store, channel, until, cache=cache)}
    edits: Mapping[NormalizedName, Edit] = {name: partial(_without, until=until) for name in names}
    return amend(store, channel, edits, run=author.run, now=author.now, note=author.note, cache=cache)


def _without(state: ProjectState, until: datetime) -> Merged:
    kept = tuple(file for file in state.files if not _is_over(state, file, until))
    return Merged(state=replace(state, files=kept))


def _is_over(state: ProjectState, file: MirrorFile, until: datetime) -> bool:
    since = state.unneeded.get(file.filename)
    return since is not None and datetime.fromisoformat(since) <= until
