"""Make sure that an earlier commit stays, with all that it holds, before something is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.layout import blob_keys, commit_key, state_key
from wheelbuilder.mirror.marks import read_marks, rescue
from wheelbuilder.mirror.read import read_head, state_bytes
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Store


def rescue_commit(store: Store, channel: str, commit: Commit, *, cache: Path | None = None) -> None:
    """Take the marks of a prune away from a commit of a channel and from what it holds, all at once.

    Waits for a prune that is deleting some of it. Raises UnreachableError if the commit is gone.
    """
    try:
        marks = read_marks(store)
        if marks.since or marks.deleting:
            rescue(store, [commit_key(channel, commit.number), *_held(store, commit, cache)])
    except IntegrityError:  # a state is missing
        if _is_there(store, channel, commit):
            raise
    # A prune deletes a commit before what it holds: as long as it is kept, all of it is there.
    if not _is_there(store, channel, commit):
        raise UnreachableError(
            f"A prune has just deleted {channel}@{commit.number}.", "Choose another commit."
        )


def _is_there(store: Store, channel: str, commit: Commit) -> bool:
    kept = store.exists(commit_key(channel, commit.number))
    return kept or read_head(store, channel).commit.number == commit.number


def _held(store: Store, commit: Commit, cache: Path | None) -> Iterator[str]:
    for name, data in state_bytes(store, commit.projects.values(), cache=cache).items():
        yield state_key(name)
        for file in ProjectState.from_bytes(data, state_key(name)).files:
            yield from blob_keys(file.key)
