"""Move a channel to its next commit: states, then the head by a conditional write, then the pages."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import UnreachableError
from wheelbuilder.mirror.commits import Commit, head_bytes, step_back
from wheelbuilder.mirror.layout import head_key, state_key
from wheelbuilder.mirror.marks import rescue
from wheelbuilder.mirror.read import Head, keep_states, read_head
from wheelbuilder.mirror.settle import Ground, complete, ground, settle, touched, write
from wheelbuilder.mirror.states import timestamp
from wheelbuilder.mirror.store import Store, each

MOST_TRIES = 1000  # each lost race is another writer's success: many are a busy day, not a fault
LONGEST_PAUSE = 0.5  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What the next commit holds. new: the states to store; states: all that are at hand, by digest."""

    projects: Mapping[NormalizedName, str]
    gap: frozenset[NormalizedName]
    new: tuple[str, ...] = ()
    states: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Author:
    """Who makes a commit, when, and why."""

    run: str
    now: datetime
    note: str = ""


def advance(
    store: Store,
    channel: str,
    draft: Callable[[Commit], Draft | None],
    author: Author,
    *,
    cache: Path | None = None,
) -> Head:
    """Publish what `draft` makes of the current commit and complete the pages; returns the new head.

    Nothing to change (None) writes nothing, but for pages that a writer who died left incomplete. After a
    lost race the draft is made again, from the other writer's commit. cache: a folder that keeps states.
    """
    with store.exclusive():
        head = settle(store, channel, cache=cache)
        under = Ground(base=head.commit, touched=frozenset())
        for attempt in range(MOST_TRIES):
            wanted = draft(head.commit)
            settled = under.base is head.commit
            if wanted is None:
                return head if settled else settle(store, channel, cache=cache)
            commit = _successor(head.commit, wanted, author)
            steps = () if settled else (step_back(commit, head.commit), *head.unsettled)
            if etag := _publish(store, channel, head, head_bytes(commit, steps), wanted):
                keep_states(cache, {name: wanted.states[name] for name in wanted.new})
                won = Head(commit=commit, etag=etag, unsettled=steps)
                changed = under.touched | touched(commit, head.commit)
                under = Ground(base=under.base, touched=changed, sure=settled)
                return complete(store, channel, won, under, wanted.states, cache=cache)
            time.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.01 * 2 ** min(attempt, 10))))  # noqa: S311
            head = read_head(store, channel)
            under = ground(store, channel, head, under.base)
    raise UnreachableError(f"{store.address}: {channel} is written by too many at once.", "Run again.")


def _successor(parent: Commit, wanted: Draft, author: Author) -> Commit:
    return Commit(
        number=parent.number + 1,
        parent=parent.digest,
        projects=wanted.projects,
        gap=wanted.gap,
        time=timestamp(author.now),
        run=author.run,
        note=author.note,
    )


def _publish(store: Store, channel: str, head: Head, data: bytes, wanted: Draft) -> str | None:
    """Write the states, then move the head; None if another writer has moved it first."""
    keys = {state_key(name): wanted.states[name] for name in wanted.new}
    etags = each(lambda key: write(store, key, keys[key], create=True), keys)
    if there := [key for key, etag in zip(keys, etags, strict=True) if etag is None]:
        rescue(store, there)
        each(lambda key: write(store, key, keys[key], create=True), there)  # a prune may have been quicker
    store.barrier()
    return write(store, head_key(channel), data, create=head.etag is None, etag=head.etag)
