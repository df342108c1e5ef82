"""Bring a channel's pages up to its head, after a publication or after a writer that died.

A page is written only over the page that an earlier commit gave, by its ETag, so a slow writer can never put
an older page over a newer one. Where something else is found, the page is read, then the head, and what the
newer commit says is rendered. Last of all the commit is kept under its number: that it is there says that the
pages are complete up to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(kw_only=True, slots=True)
class _Work:
    """What is known while pages are written.

    base: the commit whose pages are there, but for what is in `done`; None: nothing is known of them.
    states: stored states by digest. doomed: pages to remove once no root page names them.
    """

    store: Store
    channel: str
    base: Commit | None
    states: dict[str, bytes]
    cache: Path | None = None
    done: dict[str, Shape] = field(default_factory=dict)
    doomed: set[str] = field(default_factory=set)

    def pages(self, name: str, shape: Shape) -> tuple[Page, ...]:
        """Render a project's pages, or the root pages, as a commit with this shape has them."""
        if name == ROOT:
            gap, projects = shape if shape else (frozenset(), frozenset())
            return root_pages(self.channel, gap, projects)  # type: ignore[arg-type]
        project = NormalizedName(name)
        state = self._state(project, str(shape[0])) if shape else ProjectState(name=project)
        return project_pages(self.channel, state)

    def read(self, digests: Sequence[str]) -> None:
        """Have these states at hand."""
        missing = [digest for digest in digests if digest not in self.states]
        self.states |= state_bytes(self.store, missing, cache=self.cache)

    def _state(self, name: NormalizedName, digest: str) -> ProjectState:
        self.read([digest])
        return parse_state(self.states[digest], name, digest)


def settle(store: Store, channel: str, *, cache: Path | None = None) -> Head:
    """Complete the pages of the newest commit and return it; two requests and no write if they are complete.

    cache: a folder that keeps states between runs.
    """
    head = read_head(store, channel)
    if is_settled(store, channel, head):
        return head
    chain = ancestors(head.commit, head.unsettled, head_key(channel))
    base = read_commit(store, channel, chain[-1].number - 1)
    return complete(store, channel, head, base, {}, cache=cache)


def is_settled(store: Store, channel: str, head: Head) -> bool:
    """Say whether the pages are complete up to this head."""
    return not head.commit.number or store.exists(commit_key(channel, head.commit.number))


def complete(
    store: Store,
    channel: str,
    head: Head,
    base: Commit | None,
    states: Mapping[str, bytes],
    *,
    cache: Path | None = None,
) -> Head:
    """Write the pages that differ between `base` and the head, or a newer head, and keep the commit.

    base: a commit up to which the pages are complete; None if there is none: every page is looked at.
    states: what the caller has of the states that this takes, by digest.
    """
    work = _Work(store=store, channel=channel, base=base, states=dict(states), cache=cache)
    look = base is None or store.etag_of(b"") is None
    for _ in range(MOST_ROUNDS):
        before = len(work.done)
        head = _round(work, head, look=look)
        if not outstanding(work.base, work.done, head.commit):
            archive(store, channel, head, base, work.states)
            return head
        look = True
        if len(work.done) == before:
            head = read_head(store, channel)
    raise UnreachableError(f"{store.address}: pages of {channel} cannot be replaced.", "Run an audit.")


def outstanding(base: Commit | None, done: Mapping[str, Shape], commit: Commit) -> list[str]:
    """Return the projects whose pages are not those of `commit`, then ROOT if its lists changed."""
    before = base or Commit(number=0)
    names = {*done, *(differing(commit, before) if base else commit.projects)} - {ROOT}
    return [name for name in (*sorted(names), ROOT) if _differs(name, commit, base, done)]


def shape(commit: Commit, name: str) -> Shape:
    """Return what a project's pages depend on, or what the root pages do: equal shapes, equal pages."""
    if name == ROOT:
        return (commit.gap, frozenset(commit.projects)) if commit.number else None
    return commit.entry(NormalizedName(name))


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


def _differs(name: str, commit: Commit, base: Commit | None, done: Mapping[str, Shape]) -> bool:
    if name in done:
        return done[name] != shape(commit, name)
    return base is None or shape(base, name) != shape(commit, name)


def _round(work: _Work, head: Head, *, look: bool) -> Head:
    """Try every outstanding page once; returns the head that the last ones were rendered for.

    Root pages come after those of projects, so that what they name is there.
    """
    pending = outstanding(work.base, work.done, head.commit)
    projects = [name for name in pending if name != ROOT]
    for start in range(0, len(projects), AT_ONCE):
        head = _batch(work, head, projects[start : start + AT_ONCE], look=look)
    if ROOT in pending:
        head = _batch(work, head, [ROOT], look=look)
    if work.doomed:
        work.store.delete(sorted(work.doomed))
        work.doomed.clear()
        head = read_head(work.store, work.channel)  # somebody may have written them again meanwhile
    return head


def _batch(work: _Work, head: Head, names: Sequence[str], *, look: bool) -> Head:
    if look:
        seen = _look(work, names)
        head = read_head(work.store, work.channel)
    else:
        try:
            seen = _predicted(work, names)
        except IntegrityError:  # an old state is damaged: look instead
            return _batch(work, head, names, look=True)
    if ROOT in names and _names_what_is_not_there(work, head.commit):
        return head
    new = _rendered(work, names, head.commit)
    todo = [page for pages in new.values() for page in pages]
    replaced = each(lambda page: _replace(work.store, page, seen), todo)
    right = {page.key for page, done in zip(todo, replaced, strict=True) if done}
    for name, pages in new.items():
        listed = {page.key for page in pages if page.data is not None}
        work.doomed -= listed
        work.doomed |= {page.key for page in pages if page.key not in listed and seen[page.key]}
        if all(page.key in right for page in pages):
            work.done[name] = shape(head.commit, name)
    return head


def _names_what_is_not_there(work: _Work, commit: Commit) -> bool:
    """Say whether root pages of this commit would name a page that may not have been written yet."""
    base = work.base or Commit(number=0)
    for name in outstanding(work.base, work.done, commit):
        entry = commit.entry(NormalizedName(name))
        there = work.done.get(name, shape(base, name))
        if name != ROOT and entry and (not there or (entry[1] and not there[1])):
            return True
    return False


def _rendered(work: _Work, names: Sequence[str], commit: Commit) -> dict[str, tuple[Page, ...]]:
    shapes = {name: shape(commit, name) for name in names}
    work.read([str(entry[0]) for name, entry in shapes.items() if entry and name != ROOT])
    return {name: work.pages(name, entry) for name, entry in shapes.items()}


def _predicted(work: _Work, names: Sequence[str]) -> dict[str, Object | None]:
    """Return the pages that should be there: those we have written, or whoever completed the base."""
    base = work.base or Commit(number=0)
    known = {name: work.done.get(name, shape(base, name)) for name in names}
    pages = [(page, entry) for name, entry in known.items() for page in work.pages(name, entry)]
    return {page.key: _object(work.store, page) if entry else None for page, entry in pages}


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
