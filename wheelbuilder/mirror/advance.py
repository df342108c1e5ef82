"""Move a channel to its next commit: states, then the head by a conditional write, then the pages."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import UnreachableError
from wheelbuilder.mirror.archive import ForkError
from wheelbuilder.mirror.commits import Commit, step_back, touched
from wheelbuilder.mirror.forward import is_kept, put_forward
from wheelbuilder.mirror.ground import Ground, ground
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import state_key
from wheelbuilder.mirror.marks import rescue
from wheelbuilder.mirror.read import keep_states, read_head
from wheelbuilder.mirror.renew import renew
from wheelbuilder.mirror.settle import complete, settle, write, write_head
from wheelbuilder.mirror.states import timestamp
from wheelbuilder.mirror.store import Store, each
from wheelbuilder.mirror.trail import extended

MOST_TRIES = 1000  # each lost race is another writer's success: many are a busy day, not a fault
LONGEST_PAUSE = 0.5  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What the next commit holds. new: the states to store; states: all that are at hand, by digest.

    grown: projects whose pages have all that they had, and more.
    """

    projects: Mapping[NormalizedName, str]
    gap: frozenset[NormalizedName]
    grown: frozenset[NormalizedName] = frozenset()
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
        head = settle(store, channel, author.now, cache=cache)
        under = Ground(base=head.commit, kept=True)
        for attempt in range(MOST_TRIES):
            wanted = draft(head.commit)
            if wanted is None:
                return head if under.kept else settle(store, channel, author.now, cache=cache)
            if done := _attempt(store, channel, _Try(head=head, under=under, draft=wanted), author, cache):
                return done
            time.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.01 * 2 ** min(attempt, 10))))  # noqa: S311
            head = read_head(store, channel)
            under = ground(store, channel, head, under.base)
    raise UnreachableError(f"{store.address}: {channel} is written by too many at once.", "Run again.")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Try:
    """A draft of the commit after a head, and what the pages stand on under that head."""

    head: Head
    under: Ground
    draft: Draft


def _attempt(store: Store, channel: str, it: _Try, author: Author, cache: Path | None) -> Head | None:
    """Make a draft the next commit and complete its pages; None if another writer was first.

    None also where the head was moved back by a write that came late: then it is put forward again.
    """
    if not store.arbitrates and put_forward(store, channel, author.now, cache=cache):
        return None
    parent = it.head.commit
    commit = _successor(parent, it.draft, author)
    steps = () if it.under.kept else (step_back(commit, parent), *it.head.unsettled)
    trail = extended(it.head.trail, parent, commit, author.now, it.draft.grown)
    new = Head(commit=commit, unsettled=steps, trail=trail)
    if not (etag := _publish(store, channel, it.head, new, it.draft)):
        return None
    keep_states(cache, {name: it.draft.states[name] for name in it.draft.new})
    changed = it.under.touched | touched(commit, parent)
    under = Ground(base=it.under.base, touched=changed, sure=it.under.kept)
    won = replace(new, etag=etag)
    try:
        done = complete(store, channel, won, under, it.draft.states, cache=cache)
    except ForkError:
        put_forward(store, channel, author.now, cache=cache)
        return None
    return done if done is won or is_kept(store, channel, commit) else None


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


def _publish(store: Store, channel: str, head: Head, new: Head, wanted: Draft) -> str | None:
    """Write the states, then move the head; None if another writer has moved it first."""
    keys = {state_key(name): wanted.states[name] for name in wanted.new}
    etags = each(lambda key: write(store, key, keys[key], create=True), keys)
    if there := [key for key, etag in zip(keys, etags, strict=True) if etag is None]:
        rescue(store, there)
        each(lambda key: renew(store, key, keys[key]), there)  # a prune may have been quicker; or damage
    store.barrier()
    return write_head(store, channel, new, head)
