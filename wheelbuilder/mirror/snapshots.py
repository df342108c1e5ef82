"""Snapshots: commits with a page tree of their own that never changes, so that a CI run can pin a URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import attrgetter
from pathlib import Path

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.inputs.tables import Table
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.documents import REPAIR, sealed, unsealed
from wheelbuilder.mirror.layout import (
    IMMUTABLE,
    View,
    page_key,
    snapshot_page_key,
    snapshot_prefix,
    snapshots_key,
)
from wheelbuilder.mirror.pages import Page, gap_files, project_page, root_page, whole_files
from wheelbuilder.mirror.read import read_head, read_states
from wheelbuilder.mirror.rescue import rescue_commit
from wheelbuilder.mirror.settle import write
from wheelbuilder.mirror.states import ProjectState, timestamp
from wheelbuilder.mirror.store import Object, Store, each

DEPTH = 6  # channels/<channel>/snapshots/<number>/<view>/<project>/
AT_ONCE = 50  # projects whose pages are in memory
MOST_TRIES = 100

Progress = Callable[[int, int], None]  # projects done, projects in all


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A commit with pages of its own. time: when it was taken, RFC 3339. note: why, for people."""

    number: int
    time: str
    note: str = ""


def snapshots(store: Store, channel: str) -> tuple[Snapshot, ...]:
    """Return a channel's snapshots, oldest first; IntegrityError if their document is damaged."""
    return _parsed(store.get(snapshots_key(channel)), channel)


def take(
    store: Store,
    channel: str,
    commit: Commit,
    *,
    now: datetime,
    note: str = "",
    progress: Progress = lambda _done, _all: None,
    cache: Path | None = None,
) -> Snapshot:
    """Write the pages of a commit under its number, then list it; a snapshot that exists stays as it is.

    Raises UnreachableError if a prune has just deleted the commit.
    """
    there = {snapshot.number: snapshot for snapshot in snapshots(store, channel)}
    if commit.number in there:
        return there[commit.number]
    rescue_commit(store, channel, commit, cache=cache)
    names = sorted(commit.projects)
    for start in range(0, len(names), AT_ONCE):
        batch = {name: commit.projects[name] for name in names[start : start + AT_ONCE]}
        states = read_states(store, batch, cache=cache).values()
        _write(store, chain.from_iterable(project_pages(channel, commit.number, state) for state in states))
        progress(start + len(batch), len(names))
    _write(store, root_pages(channel, commit))
    store.barrier()
    taken = Snapshot(number=commit.number, time=timestamp(now), note=note)
    add(store, channel, [taken])
    return taken


def pages(store: Store, channel: str, commit: Commit) -> Iterator[Page]:
    """Yield every page that the snapshot of a commit consists of."""
    for state in read_states(store, commit.projects).values():
        yield from project_pages(channel, commit.number, state)
    yield from root_pages(channel, commit)


def keys(store: Store, channel: str, number: int) -> tuple[str, ...]:
    """Return the keys of a snapshot's pages, or of what is left of one that was not ended.

    ConfigurationError if there is neither.
    """
    known = [snapshot.number for snapshot in snapshots(store, channel)]
    found = tuple(sorted(listed.key for listed in store.list(snapshot_prefix(channel, number))))
    if number not in known and not found:
        words = ", ".join(map(str, known)) or "none"
        raise ConfigurationError(f"{channel} has no snapshot {number}.", f"Its snapshots: {words}.")
    return found


def add(store: Store, channel: str, taken: Sequence[Snapshot]) -> None:
    """List snapshots whose pages are there; those that are listed already stay."""
    there = {snapshot.number for snapshot in snapshots(store, channel)}
    new = {snapshot.number: snapshot for snapshot in taken if snapshot.number not in there}
    if new:
        _edit(store, channel, lambda known: {**new, **known})


def gap_pages(store: Store, channel: str, number: int) -> str:
    """Return what the keys of the gap view's pages of a commit begin with: the channel's own or a snapshot's.

    Raises ConfigurationError where the commit has none.
    """
    if read_head(store, channel).commit.number == number:
        return page_key(channel, View.GAP).removesuffix("index.html")
    key = snapshot_page_key(channel, number, View.GAP)
    if not store.exists(key):
        raise ConfigurationError(
            f"{channel}@{number} has no pages that an installer could read.",
            f"Make them: wheelbuilder snapshot {channel}@{number} --store {store.address}",
        )
    return key.removesuffix("index.html")


def drop(store: Store, channel: str, number: int) -> None:
    """Remove a snapshot: first from the list of snapshots, then its pages."""
    doomed = keys(store, channel, number)
    if any(snapshot.number == number for snapshot in snapshots(store, channel)):
        _edit(store, channel, lambda known: {it: known[it] for it in known if it != number})
    store.delete(doomed)


def document(known: Mapping[int, Snapshot]) -> bytes:
    """Return the document that lists a channel's snapshots."""
    rows = {str(it.number): {"time": it.time, "note": it.note} for it in known.values()}
    return sealed({"snapshots": rows})


def project_pages(channel: str, number: int, state: ProjectState) -> Iterator[Page]:
    """Yield the pages of a project in the snapshot of a commit."""
    listed = {True: bool(gap_files(state)), False: bool(whole_files(state))}
    for view in View:
        if listed[view.is_gap]:
            yield Page(
                key=snapshot_page_key(channel, number, view, state.name),
                data=project_page(state, view, DEPTH),
                content_type=view.content_type,
            )


def root_pages(channel: str, commit: Commit) -> Iterator[Page]:
    """Yield the root pages of the snapshot of a commit."""
    for view in View:
        names = commit.gap if view.is_gap else commit.projects
        yield Page(
            key=snapshot_page_key(channel, commit.number, view),
            data=root_page(sorted(names), json_page=view.is_json),
            content_type=view.content_type,
        )


def _parsed(found: Object | None, channel: str) -> tuple[Snapshot, ...]:
    if found is None:
        return ()
    where = snapshots_key(channel)
    table = Table(unsealed(found.data, where), where)
    try:
        rows = [_snapshot(name, row) for name, row in table.tables("snapshots")]
    except (ConfigurationError, ValueError) as error:
        raise IntegrityError(f"{where} is damaged: {error}", REPAIR) from None
    return tuple(sorted(rows, key=attrgetter("number")))


def _snapshot(name: str, row: Table) -> Snapshot:
    return Snapshot(number=int(name), time=row.get("time", str), note=row.get("note", str))


def _edit(
    store: Store, channel: str, change: Callable[[dict[int, Snapshot]], Mapping[int, Snapshot]]
) -> None:
    key = snapshots_key(channel)
    with store.exclusive():
        for _ in range(MOST_TRIES):
            found = store.get(key)
            known = {snapshot.number: snapshot for snapshot in _parsed(found, channel)}
            etag = found.etag if found else None
            if write(store, key, document(change(known)), create=found is None, etag=etag):
                return store.barrier()
    raise UnreachableError(f"{store.address}: {key} is written by too many at once.", "Run again.")


def _write(store: Store, made: Iterator[Page]) -> None:
    each(lambda page: _put(store, page), made)


def _put(store: Store, page: Page) -> None:
    store.put(page.key, page.data or b"", content_type=page.content_type, cache_control=IMMUTABLE)
