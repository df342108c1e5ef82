"""Look at a channel's snapshots: the list of them, and their pages against the states of their commits."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import NormalizedName

from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror.audit_findings import Kind, Watch, error, headers, read, remark
from wheelbuilder.mirror.audit_look import Look, compare
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.layout import (
    View,
    commit_key,
    snapshot_page_key,
    snapshot_prefix,
    snapshots_key,
    snapshots_prefix,
)
from wheelbuilder.mirror.pages import Page
from wheelbuilder.mirror.read import parse_state, state_bytes
from wheelbuilder.mirror.snapshots import project_pages, root_pages, snapshots
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Object, Store, each

AT_ONCE = 50  # projects whose pages are in memory


def listed(store: Store, look: Look) -> None:
    """Take down which snapshots are listed, before the history is walked, which finds their commits."""
    key = snapshots_key(look.name)
    found = read(store, key)
    if found is None and taken(look):
        look.snapshots_listed = False
        look.findings.append(error(key, Kind.MISSING, "is missing, but there are pages of snapshots"))
    try:
        look.snapshots = {it.number: None for it in snapshots(store, look.name)}
    except WheelbuilderError as damage:
        look.snapshots_listed = None
        look.findings.append(error(key, Kind.DAMAGED, str(damage)))
        return
    if isinstance(found, Object) and (finding := headers(key, found)):
        look.findings.append(finding)


def taken(look: Look) -> list[int]:
    """Return the snapshots that were taken, by their root pages, which are written last."""
    there = {it.key for it in look.listing if it.key.startswith(snapshots_prefix(look.name))}
    names = {key.removeprefix(snapshots_prefix(look.name)).partition("/")[0] for key in there}
    numbers = sorted(int(name) for name in names if name.isascii() and name.isdigit())
    return [it for it in numbers if any(snapshot_page_key(look.name, it, view) in there for view in View)]


def pages(store: Store, look: Look, watch: Watch, *, deep: bool) -> None:
    """Compare the pages of listed snapshots; those of others may be on their way."""
    stored = {it.key for it in look.listing if it.key.startswith(snapshots_prefix(look.name))}
    known: set[str] = set()
    for done, (number, commit) in enumerate(look.snapshots.items()):
        watch(f"snapshots of {look.name}", done, len(look.snapshots))
        prefix = snapshot_prefix(look.name, number)
        known |= {key for key in stored if key.startswith(prefix)}
        if commit is None:
            if number not in look.kept:  # a damaged one has been told of
                words = f"is what snapshot {number} of {look.name} stands on, but is not kept"
                look.findings.append(error(commit_key(look.name, number), Kind.MISSING, words))
            continue
        wanted = set(_compared(store, look, commit, deep=deep))
        for key in sorted(key for key in stored if key.startswith(prefix) and deep and key not in wanted):
            look.findings.append(error(key, Kind.EXTRA, "is no page of this snapshot"))
    for key in sorted(stored - known) if look.snapshots_listed else ():
        look.findings.append(remark(key, Kind.ORPHAN, "is of no snapshot that is listed"))


def wanted_pages(
    store: Store, channel: str, commit: Commit
) -> Iterator[tuple[list[Page], list[NormalizedName]]]:
    """Yield the pages of a snapshot, some at a time, and the projects whose states are lost."""
    names = sorted(commit.projects)
    for start in range(0, len(names), AT_ONCE):
        batch = names[start : start + AT_ONCE]
        states = each(lambda name: _state(store, name, commit.projects[name]), batch)
        found = [page for state in states if state for page in project_pages(channel, commit.number, state)]
        yield found, [name for name, state in zip(batch, states, strict=True) if state is None]
    yield list(root_pages(channel, commit)), []


def _state(store: Store, name: NormalizedName, wanted: str) -> ProjectState | None:
    try:
        return parse_state(state_bytes(store, [wanted])[wanted], name, wanted)
    except WheelbuilderError:
        return None


def _compared(store: Store, look: Look, commit: Commit, *, deep: bool) -> Iterator[str]:
    """Compare a snapshot's pages; yields the keys that may be there."""
    roots = list(root_pages(look.name, commit))
    for found, lost in wanted_pages(store, look.name, commit) if deep else [(roots, [])]:
        compare(store, look, found)
        yield from (page.key for page in found)
        yield from (snapshot_page_key(look.name, commit.number, view, name) for view in View for name in lost)
