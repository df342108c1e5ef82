"""Look at one channel: its head, its history, the states that it holds, and its pages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from packaging.utils import NormalizedName

from wheelbuilder.errors import IntegrityError, WheelbuilderError
from wheelbuilder.mirror import audit_snapshots
from wheelbuilder.mirror.audit_findings import Kind, Watch, error, headers, is_clean, read, remark, silent
from wheelbuilder.mirror.audit_history import Visit, brought, off_the_line, walk
from wheelbuilder.mirror.audit_look import Look, compare
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import (
    View,
    commit_key,
    commits_prefix,
    head_key,
    page_key,
    snapshots_key,
    snapshots_prefix,
    state_key,
)
from wheelbuilder.mirror.pages import project_pages, root_pages
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Object, Store, each

AT_ONCE = 50  # projects whose pages are in memory
MOST_TURNS = 8  # how often a look begins again because a publisher moved the head
PATIENCE = 5.0  # seconds without any write after which a publisher that has not finished is taken for dead
PAUSE = 0.1  # seconds before another look where the head has moved
LONGEST_PAUSE = 2.0  # seconds, where nothing moves


def at_rest(
    store: Store, name: str, *, deep: bool = False, patience: float = PATIENCE, watch: Watch = silent
) -> Look:
    """Look at a channel; again while publishers are at work, for then the halves do not belong together.

    If they never pause, only what every look has found is told.
    """
    looks: list[Look] = []
    until = time.monotonic() + patience
    pause = patience / 50
    while True:
        etag = _etag(read(store, head_key(name)))
        looks.append(look_at(store, name, deep=deep, watch=watch))
        moved = etag != _etag(read(store, head_key(name)))
        if is_clean(looks[-1].findings) or not (moved or not looks[-1].is_settled):
            return looks[-1]
        if len(looks) > 1 and looks[-1].listing != looks[-2].listing:
            until = time.monotonic() + patience
        if moved and len(looks) >= MOST_TURNS:
            return _common(looks)
        if not moved and time.monotonic() >= until:
            return looks[-1]
        time.sleep(PAUSE if moved else pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def look_at(store: Store, name: str, *, deep: bool = False, watch: Watch = silent) -> Look:
    """Look at a channel once, whatever goes on meanwhile. deep: also at every page of snapshots."""
    look = Look(name=name)
    look.head = _head(store, look)
    look.listing = frozenset(store.list(f"channels/{name}/"))
    look.kept = frozenset(_numbers(name, (listed.key for listed in look.listing)))
    audit_snapshots.listed(store, look)
    _history(store, look)
    if look.head:
        _states(store, look, look.head.commit)
        _pages(store, look, look.head.commit, watch)
    audit_snapshots.pages(store, look, watch, deep=deep)
    _strange(look)
    return look


def _etag(found: Object | IntegrityError | None) -> str | None:
    return found.etag if isinstance(found, Object) else None


def _common(looks: Sequence[Look]) -> Look:
    """Return the last look with what every one has found, and, of pages, found unchanged."""
    last = looks[-1]
    always = set(last.findings).intersection(*(look.findings for look in looks))
    written = {key for key in last.etags if len({look.etags.get(key) for look in looks}) > 1}
    last.findings = [finding for finding in sorted(always) if finding.key not in written]
    words = "is published to without a pause; only what was found every time is told"
    last.findings.append(remark(head_key(last.name), Kind.BUSY, words))
    return last


def _numbers(name: str, keys: Iterable[str]) -> Iterator[int]:
    prefix = commits_prefix(name)
    for key in keys:
        number = key.removeprefix(prefix).removesuffix(".json")
        if key == f"{prefix}{number}.json" and number.isascii() and number.isdigit() and number[0] != "0":
            yield int(number)


def _head(store: Store, look: Look) -> Head | None:
    key = head_key(look.name)
    found = read(store, key)
    if found is None:
        look.findings.append(error(key, Kind.MISSING, "is missing, but the channel has other objects"))
        return None
    try:
        if isinstance(found, IntegrityError):
            raise found
        head = Head.from_bytes(found.data, key, found.etag)
    except WheelbuilderError as damage:
        look.findings.append(error(key, Kind.DAMAGED, str(damage)))
        return None
    look.findings += filter(None, [headers(key, found)])
    return head


def _history(store: Store, look: Look) -> None:
    commit = look.head.commit if look.head else Commit(number=0)
    whose = f"the head of {look.name}"
    look.needed |= dict.fromkeys(commit.projects.values(), whose)
    look.runs |= {commit.run: whose} if commit.run else {}
    if words := off_the_line(store, look.name, commit):
        look.strays = True
        look.findings.append(error(head_key(look.name), Kind.DAMAGED, words))
    for visit in walk(store, look.name, None if look.strays else look.head, look.kept):
        look.findings += visit.findings
        if look.head and visit.history and visit.number > commit.number:
            words = f"is at commit {commit.number}, but commit {visit.number} is kept"
            look.findings.append(error(head_key(look.name), Kind.DAMAGED, words))
        _note(look, visit)


def _note(look: Look, visit: Visit) -> None:
    """Take down what a commit needs and brings: the first that needs it is the newest."""
    commit = visit.commit
    if commit is None:
        return
    whose = f"commit {visit.number} of {look.name}"
    if visit.number in look.snapshots:
        look.snapshots[visit.number] = commit
        look.needed |= {state: look.needed.get(state, whose) for state in commit.projects.values()}
    if commit.run:
        look.runs.setdefault(commit.run, whose)
    for state in commit.projects.values() if not visit.history else brought(visit.history):
        look.needed.setdefault(state, whose)
    if visit.history:
        look.lacking += [(visit.key, state) for state in sorted(visit.lacking)]
        for state, data in visit.history.states.items():
            look.sources.setdefault(state, visit.key)
            if state not in look.files:
                with suppress(WheelbuilderError):
                    look.files[state] = ProjectState.from_bytes(data, visit.key).files


def _states(store: Store, look: Look, commit: Commit) -> None:
    names = sorted(commit.projects)
    for start in range(0, len(names), AT_ONCE):
        batch = names[start : start + AT_ONCE]
        objects = each(lambda name: read(store, state_key(commit.projects[name])), batch)
        for name, found in zip(batch, objects, strict=True):
            state = _state(look, name, commit.projects[name], found)
            if state:
                look.states[name] = state
                look.files[commit.projects[name]] = state.files


def _state(
    look: Look, name: NormalizedName, wanted: str, found: Object | IntegrityError | None
) -> ProjectState | None:
    key = state_key(wanted)
    if found is None:
        look.findings.append(error(key, Kind.MISSING, f"the state of {name} is missing"))
        return None
    try:
        if isinstance(found, IntegrityError):
            raise found
        if digest(found.data) != wanted:
            raise IntegrityError("does not have the digest that its name says")
        state = ProjectState.from_bytes(found.data, key)
        if state.name != name:
            raise IntegrityError(f"is of {state.name}, but the channel has it for {name}")
    except WheelbuilderError as damage:
        look.findings.append(error(key, Kind.DAMAGED, str(damage)))
        return None
    look.findings += filter(None, [headers(key, found)])
    return state


def _pages(store: Store, look: Look, commit: Commit, watch: Watch) -> None:
    names = sorted(look.states)
    for start in range(0, len(names), AT_ONCE):
        batch = [look.states[name] for name in names[start : start + AT_ONCE]]
        compare(store, look, [page for state in batch for page in project_pages(look.name, state)])
        watch(f"pages of {look.name}", min(start + AT_ONCE, len(names)), len(names))
    compare(store, look, root_pages(look.name, commit.gap, commit.projects))
    for name, state in look.states.items():
        if bool(state.in_gap) != (name in commit.gap):
            words = f"is wrong about {name} in the gap view"
            look.findings.append(error(head_key(look.name), Kind.DAMAGED, words))
    _extra(look, commit.projects)


def _extra(look: Look, projects: Mapping[NormalizedName, str]) -> None:
    known = {page_key(look.name, view, name) for view in View for name in (None, *projects)}
    folders = tuple(f"channels/{look.name}/{view}/" for view in View)
    for listed in look.listing:
        if listed.key.startswith(folders) and listed.key not in known:
            look.findings.append(error(listed.key, Kind.EXTRA, "is a page of no project of the channel"))


def _strange(look: Look) -> None:
    known = (head_key(look.name), snapshots_key(look.name), *map(partial(commit_key, look.name), look.kept))
    folders = [*(f"channels/{look.name}/{view}/" for view in View), snapshots_prefix(look.name)]
    for listed in look.listing:
        if listed.key not in known and not listed.key.startswith(tuple(folders)):
            look.findings.append(remark(listed.key, Kind.ORPHAN, "is nothing that a channel has"))
