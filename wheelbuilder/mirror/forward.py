"""Put a head forward again that a write, carried out long after it was sent, has moved back.

It can happen where a lease stands in for conditional writes. Commits are kept under their numbers and never
change, so the newest one that is kept is the right head: nobody is told of a commit before it is kept.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from wheelbuilder.errors import UnreachableError
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.ground import unknown
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import commit_key
from wheelbuilder.mirror.read import kept_numbers, read_commit, read_head
from wheelbuilder.mirror.settle import complete, write_head
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.trail import extended

MOST_TRIES = 20


def put_forward(store: Store, channel: str, now: datetime, *, cache: Path | None = None) -> bool:
    """Make the newest kept commit the head again if the head is not on the line that is kept.

    Returns whether it was not. Its pages are completed, whatever they are of.
    """
    for _ in range(MOST_TRIES):
        head = read_head(store, channel)
        if not (right := _right(store, channel, head.commit)):
            return False
        new = Head(commit=right, trail=extended(head.trail, head.commit, right, now))
        if etag := write_head(store, channel, new, head):
            moved = Head(commit=right, etag=etag, trail=new.trail)
            complete(store, channel, moved, unknown(moved, head.commit), {}, cache=cache)
            return True
    raise UnreachableError(f"{store.address}: {channel} is written by too many at once.", "Run again.")


def is_kept(store: Store, channel: str, commit: Commit) -> bool:
    """Say whether this commit, and not another of its number, is kept."""
    kept = read_commit(store, channel, commit.number)
    return kept is not None and kept.digest == commit.digest


def _right(store: Store, channel: str, commit: Commit) -> Commit | None:
    """Return the commit that the head should be; None if it is right, as far as one can tell."""
    kept = read_commit(store, channel, commit.number)
    stands = kept is None or kept.digest == commit.digest
    if stands and not store.exists(commit_key(channel, commit.number + 1)):
        return None
    return read_commit(store, channel, max(kept_numbers(store, channel)))
