"""Bring a channel's pages up to its head, after a publication or after a writer that died.

A page is written only over the page that an earlier commit gave, by its ETag, so a slow writer does not put
an older page over a newer one. Where something else is found, the page is read, then the head, and what the
newer commit says is rendered. Last of all the commit is kept under its number: that it is there says that the
pages are complete up to it. A writer that finds it kept already was not alone, and looks again at all that it
has written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.mirror.archive import archive
from wheelbuilder.mirror.commits import ROOT, Commit, touched
from wheelbuilder.mirror.ground import Ground, doubted, ground
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import cache_control, content_type, head_key
from wheelbuilder.mirror.pages import Page, project_pages, root_pages
from wheelbuilder.mirror.read import parse_state, read_head, refuse_lost, state_bytes
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Object, Store, each
from wheelbuilder.mirror.trail import doubtful, recent

AT_ONCE = 50  # projects whose pages are in memory
MOST_ROUNDS = 1000

Seen = Mapping[str, Object | None]


@dataclass(kw_only=True, slots=True)
class _Work:
    """What is known while pages are written.

    todo: projects, and ROOT, whose pages may not be those of `head`. mine: those that we have changed.
    states: stored states by digest. doomed: pages to remove once no root page names them.
    """

    store: Store
    channel: str
    head: Head
    base: Commit | None
    todo: set[str]
    states: dict[str, bytes]
    cache: Path | None = None
    mine: set[str] = field(default_factory=set)
    doomed: set[str] = field(default_factory=set)

    def follow(self) -> bool:
        """Read the head; where another writer has moved it, what that changed is to do, and ours again."""
        newest = read_head(self.store, self.channel)
        if newest.etag == self.head.etag:
            return False
        if newest.commit.number < self.head.commit.number:
            return self._insist(newest)
        self.todo |= ground(self.store, self.channel, newest, self.head.commit).touched | self.mine
        self.head = newest
        return True

    def _insist(self, older: Head) -> bool:
        """Put our head there again: numbers only grow, so an older one came of a write that was late."""
        etag = write_head(self.store, self.channel, self.head, older)
        if etag is None:
            return self.follow()
        self.todo |= touched(self.head.commit, older.commit) | self.mine
        self.head = replace(self.head, etag=etag)
        return True

    def pages(self, name: str, commit: Commit | None) -> tuple[Page, ...]:
        """Render a project's pages, or the root pages, as a commit has them; None: one that has nothing."""
        commit = commit or Commit(number=0)
        if name == ROOT:
            roots = root_pages(self.channel, commit.gap, commit.projects)
            return roots if commit.number else tuple(replace(page, data=None) for page in roots)
        project = NormalizedName(name)
        digest = commit.projects.get(project)
        state = self._state(project, digest) if digest else ProjectState(name=project)
        return project_pages(self.channel, state)

    def read_states(self, names: Collection[str], commit: Commit) -> None:
        """Have the states of some projects at hand."""
        wanted = [commit.projects[NormalizedName(name)] for name in names if name in commit.projects]
        self._read(wanted)

    def _read(self, digests: Sequence[str]) -> None:
        missing = [digest for digest in digests if digest not in self.states]
        self.states |= state_bytes(self.store, missing, cache=self.cache)

    def _state(self, name: NormalizedName, digest: str) -> ProjectState:
        self._read([digest])
        return parse_state(self.states[digest], name, digest)


def settle(store: Store, channel: str, now: datetime, *, cache: Path | None = None) -> Head:
    """Complete the pages of the newest commit and return it; two requests and no write if they are complete.

    Looks again at pages that a writer who was overtaken may have changed, until that cannot be any more.
    cache: a folder that keeps states between runs. IntegrityError for a channel that has lost its commits.
    """
    head = read_head(store, channel)
    if not head.commit.number:
        refuse_lost(store, channel)
    under = doubted(store, channel, head)
    if under.kept and not under.touched:
        return head
    done = complete(store, channel, head, under, {}, cache=cache)
    return _relieved(store, channel, done, now) if doubtful(head.trail) else done


def look_again(store: Store, channel: str, names: frozenset[str]) -> Head:
    """Look at the pages of some projects, whatever is known of them, and complete the newest commit."""
    head = read_head(store, channel)
    under = doubted(store, channel, head)
    return complete(store, channel, head, replace(under, touched=under.touched | names, sure=False), {})


def complete(
    store: Store,
    channel: str,
    head: Head,
    under: Ground,
    states: Mapping[str, bytes],
    *,
    cache: Path | None = None,
) -> Head:
    """Write the pages that differ between the ground and the head, or a newer head, and keep the commit.

    states: what the caller has of the states that this takes, by digest. Raises ForkError where another
    commit of the head's number is kept.
    """
    work = _Work(
        store=store,
        channel=channel,
        head=head,
        base=under.base,
        todo=set(under.touched),
        states=dict(states),
        cache=cache,
    )
    look = under.base is None or not under.sure or store.etag_of(b"") is None
    for _ in range(MOST_ROUNDS):
        _round(work, look=look)
        look = True
        if work.todo:
            work.follow()
        elif _is_kept(work, head, under) or _stands(work):
            return work.head
    raise UnreachableError(f"{store.address}: pages of {channel} cannot be replaced.", "Run an audit.")


def write(
    store: Store, key: str, data: bytes, *, create: bool = False, etag: str | None = None
) -> str | None:
    """Write an object with the headers of its key; None if something else is there than the caller says."""
    return store.put(
        key,
        data,
        content_type=content_type(key),
        cache_control=cache_control(key),
        if_match=etag,
        if_none_match=create,
    )


def write_head(store: Store, channel: str, new: Head, old: Head) -> str | None:
    """Move the head and return its ETag; None if the old one is not there any more."""
    return write(store, head_key(channel), new.to_bytes(channel), create=old.etag is None, etag=old.etag)


def _round(work: _Work, *, look: bool) -> None:
    """Try every outstanding page once, root pages last, so that what they name is there."""
    projects = sorted(work.todo - {ROOT})
    for start in range(0, len(projects), AT_ONCE):
        _batch(work, projects[start : start + AT_ONCE], look=look)
    if work.todo == {ROOT}:
        _batch(work, [ROOT], look=look)
    if work.doomed and not work.todo and not work.follow():
        work.store.delete(sorted(work.doomed))
        work.doomed.clear()
        work.follow()  # somebody may have written them again meanwhile


def _is_kept(work: _Work, head: Head, under: Ground) -> bool:
    """Keep the commit; False if another writer has done so, and might have written beside us."""
    if under.kept and work.head is head:
        return not work.mine
    return archive(work.store, work.channel, work.head, under.base, work.states)


def _relieved(store: Store, channel: str, head: Head, now: datetime) -> Head:
    """Forget doubts that a look has settled for good: whoever was on its way is so no more."""
    trail = recent(head.trail, now)
    if doubtful(trail) or not doubtful(head.trail):
        return head
    forgetful = replace(head, trail=trail)
    etag = write_head(store, channel, forgetful, head)
    return replace(forgetful, etag=etag) if etag else head


def _stands(work: _Work) -> bool:
    """Look again at all that we have written, beside another writer; False if there is more to do."""
    work.todo |= work.mine
    head = work.head.etag
    _round(work, look=True)
    return not work.todo and not work.follow() and work.head.etag == head


def _batch(work: _Work, names: Sequence[str], *, look: bool) -> None:
    if look:
        seen = _look(work, names)
        work.follow()
    else:
        try:
            seen = _predicted(work, names)
        except IntegrityError:  # an old state is damaged: look instead
            return _batch(work, names, look=True)
    if ROOT in names and work.todo != {ROOT}:
        return None  # root pages would name what is not there yet
    commit = work.head.commit
    work.read_states(names, commit)
    new = {name: work.pages(name, commit) for name in names}
    todo = [page for pages in new.values() for page in pages if _differs(page, seen)]
    work.mine |= {name for name, pages in new.items() if any(_differs(page, seen) for page in pages)}
    written = each(lambda page: page.data is None or _replace(work.store, page, seen), todo)
    wrong = {page.key for page, done in zip(todo, written, strict=True) if not done}
    listed = {page.key for pages in new.values() for page in pages if page.data is not None}
    work.doomed -= listed
    work.doomed |= {page.key for page in todo if page.data is None}
    work.todo -= {name for name, pages in new.items() if wrong.isdisjoint(page.key for page in pages)}
    return None


def _predicted(work: _Work, names: Sequence[str]) -> dict[str, Object | None]:
    """Return the pages that should be there: those that whoever completed the base has written."""
    pages = [page for name in names for page in work.pages(name, work.base)]
    return {page.key: _object(work.store, page) for page in pages}


def _object(store: Store, page: Page) -> Object | None:
    if page.data is None:
        return None
    return Object(data=page.data, etag=store.etag_of(page.data) or "")


def _look(work: _Work, names: Sequence[str]) -> dict[str, Object | None]:
    keys = [page.key for name in names for page in work.pages(name, None)]
    return dict(zip(keys, each(work.store.get, keys), strict=True))


def _differs(page: Page, seen: Seen) -> bool:
    current = seen[page.key]
    return (current.data if current else None) != page.data


def _replace(store: Store, page: Page, seen: Seen) -> bool:
    """Write a page over what is thought to be there; False if something else is."""
    current = seen[page.key]
    etag = current.etag if current else None
    return write(store, page.key, page.data or b"", create=current is None, etag=etag) is not None
