"""What the pages of a channel stand on: which commit they are of, and which of them may be of another."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wheelbuilder.mirror.commits import ROOT, Commit, ancestors, touched
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import commit_key, head_key
from wheelbuilder.mirror.read import read_commit
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.trail import doubtful


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What the pages stand on: those of `base`, but for `touched`, which may be of other commits.

    touched: projects, and ROOT; also those that were changed back, for their pages may show what was between.
    base: None if nothing is known of the pages. sure: nobody has written pages of any commit in between.
    kept: the head's commit is kept under its number, so that only `touched` is left to do.
    """

    base: Commit | None
    touched: frozenset[str] = frozenset()
    sure: bool = True
    kept: bool = False


def is_settled(store: Store, channel: str, head: Head) -> bool:
    """Say whether the pages are complete up to this head."""
    return not head.commit.number or store.exists(commit_key(channel, head.commit.number))


def ground(store: Store, channel: str, head: Head, known: Commit | None = None) -> Ground:
    """Return what the pages stand on under a head. known: an earlier commit that does as a base."""
    if is_settled(store, channel, head):
        return Ground(base=head.commit, kept=True)
    return _unsettled(store, channel, head, known)


def doubted(store: Store, channel: str, head: Head) -> Ground:
    """Return what the pages stand on, together with what writers who were overtaken may have done to them."""
    under, doubts = ground(store, channel, head), doubtful(head.trail)
    return replace(under, touched=under.touched | doubts, sure=False) if doubts else under


def unknown(head: Head, *others: Commit) -> Ground:
    """Return what the pages stand on where nothing is known of them, or pages of other commits are about."""
    commits = (head.commit, *others)
    return Ground(base=None, touched=frozenset({ROOT}).union(*(commit.projects for commit in commits)))


def _unsettled(store: Store, channel: str, head: Head, known: Commit | None) -> Ground:
    chain = ancestors(head.commit, head.unsettled, head_key(channel))
    oldest = chain[-1].number - 1
    usable = known is not None and oldest <= known.number < head.commit.number
    base = known if usable else read_commit(store, channel, oldest)
    if base is None:
        return unknown(head)
    newer = [commit for commit in chain if commit.number > base.number]
    pairs = zip(newer, [*newer[1:], base], strict=True)
    changed = frozenset[str]().union(*(touched(new, old) for new, old in pairs))
    return Ground(base=base, touched=changed, sure=len(newer) == 1)
