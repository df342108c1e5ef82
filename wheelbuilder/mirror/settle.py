"""Bring a channel's pages up to its head, after a publication or after a writer that died.

A page is compared and replaced under the ETag it had *before* the head was read, so a slow writer can never
put an older page over a newer one; where the head moved meanwhile, what the other writer changed is rendered
again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.errors import UnreachableError
from wheelbuilder.mirror.layout import (
    View,
    cache_control,
    commit_key,
    content_type,
    page_key,
    rendered_key,
)
from wheelbuilder.mirror.pages import Page, project_pages, root_pages
from wheelbuilder.mirror.read import Head, read_commit, read_head, read_states
from wheelbuilder.mirror.states import SCHEMA, Commit, ProjectState
from wheelbuilder.mirror.store import Object, Store, each

AT_ONCE = 50  # projects whose pages are in memory
MOST_ROUNDS = 1000
ROOT = ""  # stands for the root pages among project names

Seen = Mapping[str, Object | None]
Shape = str | tuple[frozenset[NormalizedName], ...] | None


@dataclass(kw_only=True, slots=True)
class _Progress:
    """What has been rendered since `base`, and the pages to remove once no root page names them."""

    base: Commit | None  # None: nothing is known of the pages
    done: dict[str, Shape] = field(default_factory=dict)
    doomed: set[str] = field(default_factory=set)


def settle(store: Store, channel: str, won: Head | None = None) -> Head:
    """Complete the pages of the newest commit and return it; two reads and no write if they are complete.

    won: the head that the caller has just written, which spares reading it.
    """
    head = won or read_head(store, channel)
    marker = store.get(rendered_key(channel))
    rendered = rendered_number(marker)
    if rendered > head.commit.number or (won and rendered == won.commit.number):
        head = read_head(store, channel)  # another writer was quicker, and may have died since
    if rendered == head.commit.number:
        return head
    if rendered > head.commit.number:
        rendered = 0  # the marker is damaged: trust no page
    kept = None
    progress = _Progress(base=read_commit(store, channel, rendered))
    for _ in range(MOST_ROUNDS):
        if head.etag != kept:
            keep_commit(store, channel, head)
            kept = head.etag
        head = _render_outstanding(store, channel, progress, head)
        newest = read_head(store, channel)
        if newest.etag == head.etag == kept:
            _mark(store, channel, head.commit.number, marker)
            return head
        head = newest
    raise UnreachableError(f"{store.address}: the head of {channel} never rests.", "Run again.")


def keep_commit(store: Store, channel: str, head: Head) -> None:
    """Put a commit into the history, where whoever made it may have died before."""
    if head.commit.number:
        write(store, commit_key(channel, head.commit.number), head.data, create=True)


def write(store: Store, key: str, data: bytes, *, create: bool = False, etag: str | None = None) -> bool:
    """Write an object with the headers of its key; False if something else is there than the caller says."""
    written = store.put(
        key,
        data,
        content_type=content_type(key),
        cache_control=cache_control(key),
        if_match=etag,
        if_none_match=create,
    )
    return written is not None


def rendered_number(marker: Object | None) -> int:
    """Return the commit up to which the pages are complete; 0 where nobody has said so."""
    if marker is None:
        return 0
    try:
        return int(json.loads(marker.data)["number"])
    except (ValueError, KeyError, TypeError):
        return 0  # damaged: rendering everything again heals it


def outstanding(base: Commit | None, done: Mapping[str, Shape], commit: Commit) -> list[str]:
    """Return the projects whose pages are not those of `commit`, then ROOT if its lists changed."""
    before = base or Commit(number=0)
    names = [*sorted(commit.projects.keys() | before.projects.keys()), ROOT]
    return [name for name in names if _differs(name, commit, base, done)]


def shape(commit: Commit, name: str) -> Shape:
    """Return what a project's pages depend on, or what the root pages do: equal shapes, equal pages."""
    if name == ROOT:
        return (commit.gap, frozenset(commit.projects))
    return commit.projects.get(canonicalize_name(name))


def _differs(name: str, commit: Commit, base: Commit | None, done: Mapping[str, Shape]) -> bool:
    if name in done:
        return done[name] != shape(commit, name)
    return base is None or shape(base, name) != shape(commit, name)


def _render_outstanding(store: Store, channel: str, progress: _Progress, head: Head) -> Head:
    vain = 0  # rounds in a row in which other writers, or something worse, were always quicker
    while pending := outstanding(progress.base, progress.done, head.commit):
        before = len(progress.done)
        head = _render(store, channel, progress, head, pending[:AT_ONCE])
        vain = 0 if len(progress.done) > before else vain + 1
        if vain > MOST_ROUNDS:
            raise UnreachableError(
                f"{store.address}: pages of {channel} cannot be replaced.", "Run an audit."
            )
    store.delete(sorted(progress.doomed))
    progress.doomed.clear()
    return head


def _render(store: Store, channel: str, progress: _Progress, head: Head, names: Sequence[str]) -> Head:
    keys = [key for name in names for key in _page_keys(channel, name, progress.base, head.commit)]
    seen = dict(zip(keys, each(store.get, keys), strict=True))
    head = read_head(store, channel)
    pages = _pages(store, channel, names, head.commit)
    todo = [page for name in names for page in pages[name]]
    right = dict(zip(todo, each(lambda page: _replace(store, page, seen), todo), strict=True))
    for name in names:
        if all(right[page] for page in pages[name]):
            progress.done[name] = shape(head.commit, name)
        progress.doomed -= {page.key for page in pages[name] if page.data is not None}
        progress.doomed |= {page.key for page in pages[name] if page.data is None and seen.get(page.key)}
    return head


def _page_keys(channel: str, name: str, base: Commit | None, commit: Commit) -> list[str]:
    """Return the pages that may be there: a project that never had files of ours has no gap pages."""
    project = canonicalize_name(name) if name else None
    has_gap = name == ROOT or base is None or name in base.gap or name in commit.gap
    return [page_key(channel, view, project) for view in View if has_gap or not view.is_gap]


def _pages(store: Store, channel: str, names: Sequence[str], commit: Commit) -> dict[str, tuple[Page, ...]]:
    projects = [canonicalize_name(name) for name in names if name != ROOT]
    held = {name: commit.projects[name] for name in projects if name in commit.projects}
    states = read_states(store, held)
    pages: dict[str, tuple[Page, ...]] = {
        name: project_pages(channel, states.get(name) or ProjectState(name=name)) for name in projects
    }
    roots = {ROOT: root_pages(channel, commit.gap, commit.projects)} if ROOT in names else {}
    return pages | roots


def _replace(store: Store, page: Page, seen: Seen) -> bool:
    """Write a page over what was seen of it; False if that is not certain to be what is there now."""
    current = seen.get(page.key)
    if page.data is None or (current and current.data == page.data):
        return True
    if page.key not in seen:
        return False  # the head moved while we looked: look again
    return write(store, page.key, page.data, create=current is None, etag=current.etag if current else None)


def _mark(store: Store, channel: str, number: int, marker: Object | None) -> None:
    """Replace the marker that was seen; another writer that has moved it further has the last word."""
    key = rendered_key(channel)
    data = json.dumps({"schema": SCHEMA, "number": number}).encode() + b"\n"
    while not write(store, key, data, create=marker is None, etag=marker.etag if marker else None):
        marker = store.get(key)
        if rendered_number(marker) >= number:
            return
