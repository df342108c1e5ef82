"""Keep a channel's commits under their numbers, once the pages are complete up to them."""

from __future__ import annotations

from collections.abc import Mapping

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.commits import Commit, History, ancestors, differing, step_back
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import IMMUTABLE, commit_key, head_key
from wheelbuilder.mirror.read import read_commit, state_bytes
from wheelbuilder.mirror.store import Store


class ForkError(IntegrityError):
    """Another commit of a head's number is kept: a write has moved the head back, long after it was sent."""


def archive(store: Store, channel: str, head: Head, base: Commit | None, states: Mapping[str, bytes]) -> bool:
    """Keep the head's commit, and those before it that nobody has kept yet; False if another has kept it.

    base: any earlier commit that is at hand. states: those at hand, by digest. Oldest first, so that all
    commits below one that is kept are kept. ForkError if another commit of its number is kept.
    """
    chain = ancestors(head.commit, head.unsettled, head_key(channel))
    new = [chain[0]]
    for commit in chain[1:]:
        if store.exists(commit_key(channel, commit.number)):
            break
        new.append(commit)
    parent = _parent(store, channel, new[-1], base, chain)
    store.barrier()  # first the pages, then the word that they are complete
    kept = False
    for commit in reversed(new):
        kept = _keep(store, channel, commit, history(store, commit, parent, states))
        parent = commit
    store.barrier()
    return kept


def _keep(store: Store, channel: str, commit: Commit, document: History) -> bool:
    key = commit_key(channel, commit.number)
    headers = {"content_type": "application/json", "cache_control": IMMUTABLE}
    if store.put(key, document.to_bytes(), **headers, if_none_match=True):
        return True
    there = read_commit(store, channel, commit.number)
    if there and there.digest != commit.digest:
        raise ForkError(
            f"{store.address}: {key} is not the commit {commit.number} that {channel} has had as its head.",
            "A write took place long after it was sent. Run 'wheelbuilder audit --repair'.",
        )
    return False


def history(store: Store, commit: Commit, parent: Commit | None, states: Mapping[str, bytes]) -> History:
    """Return the document of a commit with what it changed; without a parent, with all that it holds."""
    before = parent or Commit(number=0)
    names = [name for name in differing(commit, before) if name in commit.projects]
    wanted = [commit.projects[name] for name in names]
    held = {digest: states[digest] for digest in wanted if digest in states}
    held |= state_bytes(store, [digest for digest in wanted if digest not in held])
    step = step_back(commit, parent) if parent and parent.number else None
    return History(commit=commit, step=step, states={digest: held[digest] for digest in sorted(held)})


def _parent(
    store: Store, channel: str, oldest: Commit, base: Commit | None, chain: tuple[Commit, ...]
) -> Commit | None:
    number = oldest.number - 1
    at_hand = (commit for commit in (*chain, base) if commit and commit.number == number)
    return next(at_hand, None) or read_commit(store, channel, number)
