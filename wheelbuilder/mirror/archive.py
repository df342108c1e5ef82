"""Keep a channel's commits under their numbers, once the pages are complete up to them."""

from __future__ import annotations

from collections.abc import Mapping

from wheelbuilder.mirror.commits import Commit, History, ancestors, differing, step_back
from wheelbuilder.mirror.layout import IMMUTABLE, commit_key, head_key
from wheelbuilder.mirror.read import Head, read_commit, state_bytes
from wheelbuilder.mirror.store import Store


def archive(store: Store, channel: str, head: Head, base: Commit | None, states: Mapping[str, bytes]) -> None:
    """Keep the head's commit, and those before it that nobody has kept yet, oldest first.

    base: any earlier commit that is at hand. states: those at hand, by digest. Oldest first means that all
    commits below one that is kept are kept.
    """
    chain = ancestors(head.commit, head.unsettled, head_key(channel))
    new = [chain[0]]
    for commit in chain[1:]:
        if store.exists(commit_key(channel, commit.number)):
            break
        new.append(commit)
    parent = _parent(store, channel, new[-1], base, chain)
    store.barrier()  # first the pages, then the word that they are complete
    for commit in reversed(new):
        store.put(
            commit_key(channel, commit.number),
            history(store, commit, parent, states).to_bytes(),
            content_type="application/json",
            cache_control=IMMUTABLE,
            if_none_match=True,
        )
        parent = commit
    store.barrier()


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
