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
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.mirror.archive import archive
from wheelbuilder.mirror.commits import Commit, Entry, ancestors, differing
from wheelbuilder.mirror.layout import cache_control, commit_key, content_type, head_key
from wheelbuilder.mirror.pages import Page, project_pages, root_pages
from wheelbuilder.mirror.read import Head, parse_state, read_commit, read_head, state_bytes
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Object, Store, each

AT_ONCE = 50  # projects whose pages are in memory
MOST_ROUNDS = 1000
ROOT = ""  # stands for the root pages among project names

Shape = Entry | tuple[frozenset[NormalizedName], ...]
Seen = Mapping[str, Object | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What the pages stand on: those of `base`, but for `touched`, which later commits have changed.

    touched: projects, and ROOT; also those that were changed back, for their pages may show what was between.
    base: None if nothing is known of the pages. sure: nobody has written pages of any commit in between.
    """

    base: Commit | None
    touched: frozenset[str]
    sure: bool = True


@dataclass(kw_only=True, slots=True)
class _Work:
    """What is known while pages are written.

    todo: projects, and ROOT, whose pages may not be those of `head`. mine: those that we have written.
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
        self.todo |= ground(self.store, self.channel, newest, self.head.commit).touched | self.mine
        self.head = newest
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


def settle(store: Store, channel: str, *, cache: Path | None = None) -> Head:
    """Complete the pages of the newest commit and return it; two requests and no write if they are complete.

    cache: a folder that keeps states between runs.
    """
    head = read_head(store, channel)
    if is_settled(store, channel, head):
        return head
    return complete(store, channel, head, unsettled_ground(store, channel, head), {}, cache=cache)


def is_settled(store: Store, channel: str, head: Head) -> bool:
    """Say whether the pages are complete up to this head."""
    return not head.commit.number or store.exists(commit_key(channel, head.commit.number))


def ground(store: Store, channel: str, head: Head, known: Commit | None = None) -> Ground:
    """Return what the pages stand on under a head. known: an earlier commit that does as a base."""
    if is_settled(store, channel, head):
        return Ground(base=head.commit, touched=frozenset())
    return unsettled_ground(store, channel, head, known)


def unsettled_ground(store: Store, channel: str, head: Head, known: Commit | None = None) -> Ground:
    """Return what the pages stand on under a head whose commit is not kept yet."""
    chain = ancestors(head.commit, head.unsettled, head_key(channel))
    oldest = chain[-1].number - 1
    usable = known is not None and oldest <= known.number < head.commit.number
    base = known if usable else read_commit(store, channel, oldest)
    if base is None:
        return unknown_ground(head)
    newer = [commit for commit in chain if commit.number > base.number]
    pairs = zip(newer, [*newer[1:], base], strict=True)
    changed = frozenset[str]().union(*(touched(new, old) for new, old in pairs))
    return Ground(base=base, touched=changed, sure=len(newer) == 1)


def unknown_ground(head: Head) -> Ground:
    """Return what the pages stand on where nothing is known of them: each has to be looked at."""
    return Ground(base=None, touched=frozenset({*head.commit.projects, ROOT}))


def touched(new: Commit, old: Commit) -> frozenset[str]:
    """Return the projects whose pages differ between two commits, and ROOT if the root pages do."""
    roots = new.gap != old.gap or new.projects.keys() != old.projects.keys()
    return frozenset({*differing(new, old), *([ROOT] if roots else [])})


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

    states: what the caller has of the states that this takes, by digest.
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
        elif archive(store, channel, work.head, under.base, work.states) or _stands(work):
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
    todo = [page for pages in new.values() for page in pages]
    work.mine |= set(names)
    replaced = each(lambda page: _replace(work.store, page, seen), todo)
    right = {page.key for page, done in zip(todo, replaced, strict=True) if done}
    listed = {page.key for page in todo if page.data is not None}
    work.doomed -= listed
    work.doomed |= {page.key for page in todo if page.key not in listed and seen[page.key]}
    work.todo -= {name for name, pages in new.items() if all(page.key in right for page in pages)}
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


def _replace(store: Store, page: Page, seen: Seen) -> bool:
    """Write a page over what is thought to be there; False if something else is."""
    current = seen[page.key]
    if page.data is None or (current and current.data == page.data):
        return True
    etag = current.etag if current else None
    return write(store, page.key, page.data, create=current is None, etag=etag) is not None
