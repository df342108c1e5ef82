"""Restore heads, states and kept commits from one another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror.audit_history import Visit, walk
from wheelbuilder.mirror.audit_look import Look
from wheelbuilder.mirror.commits import Commit, History, differing, step_back
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.ground import unknown
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import commit_key, head_key, state_key
from wheelbuilder.mirror.read import kept_numbers, read_history, state_bytes
from wheelbuilder.mirror.repair_deeds import Deed, Repairs, write
from wheelbuilder.mirror.settle import complete
from wheelbuilder.mirror.store import Store


def restore_head(repairs: Repairs, look: Look) -> None:
    """Make the newest commit that is kept the head; with none, the channel cannot be restored."""
    key = head_key(look.name)
    kept = _newest(repairs.store, look.name)
    if kept is None:
        words = f"no commit is left; 'wheelbuilder channel remove {look.name}' gives the channel up"
        repairs.note(key, Deed.LOST, f"cannot be restored: {words}")
        return
    if look.head and not look.strays and look.head.commit.number > kept.number:
        return
    write(repairs.store, key, Head(commit=kept).to_bytes(look.name))
    words = f"from commit {kept.number}, the newest that is kept; one that was not kept yet is lost"
    repairs.note(key, Deed.RESTORED, words)


def restore_states(repairs: Repairs, looks: Collection[Look], wanted: Collection[str]) -> frozenset[str]:
    """Write states again from any kept commit or this machine's cache; returns those that are lost."""
    found = dict(_cached(repairs.cache, wanted))
    for look in looks:
        for state in sorted(set(wanted) & look.sources.keys()):
            history = _history(repairs.store, look, look.sources[state])
            if history and state in history.states:
                found.setdefault(state, history.states[state])
    for state, data in sorted(found.items()):
        write(repairs.store, state_key(state), data)
        repairs.note(state_key(state), Deed.RESTORED, "from a kept commit, or from this machine's cache")
    return frozenset(wanted) - found.keys()


def restore_commits(repairs: Repairs, look: Look, keys: Collection[str]) -> None:
    """Write kept commits again, byte for byte, from their neighbours and states.

    Where a predecessor is lost as well, history begins anew with the commit after it. The head's own commit,
    if it is missing, is left to `keep_head`: it says that the pages are complete.
    """
    visits = {visit.number: visit for visit in walk(repairs.store, look.name, look.head, look.kept)}
    newest = look.head.commit.number if look.head else 0
    for number in sorted(visits):
        visit = visits[number]
        if visit.key not in keys or (number == newest and number not in look.kept):
            continue
        if visit.commit is None:
            _lost(repairs, look, number)
            continue
        before = visits.get(number - 1)
        data = _rebuilt(repairs.store, visit.commit, before.commit if before else None).to_bytes()
        write(repairs.store, visit.key, data)
        repairs.note(visit.key, Deed.RESTORED, _words(visit, before))


def keep_head(repairs: Repairs, look: Look) -> None:
    """Complete the pages of the head and keep its commit, as a publisher would have that died or is gone."""
    if look.head is None or not look.head.commit.number or look.head.commit.number in look.kept:
        return
    complete(repairs.store, look.name, look.head, unknown(look.head), {}, cache=repairs.cache)
    key = commit_key(look.name, look.head.commit.number)
    repairs.note(key, Deed.RESTORED, "from the head, after its pages were completed")


def _newest(store: Store, channel: str) -> Commit | None:
    for number in reversed(kept_numbers(store, channel)):
        try:
            history = read_history(store, channel, number)
        except WheelbuilderError:
            continue
        if history and history.commit.number == number:
            return history.commit
    return None


def _history(store: Store, look: Look, key: str) -> History | None:
    number = int(key.rpartition("/")[2].removesuffix(".json"))
    try:
        return read_history(store, look.name, number)
    except WheelbuilderError:
        return None


def _cached(cache: Path | None, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    if cache is None:
        return
    kept = DirectoryStore(cache)
    for state in wanted:
        found = kept.get(state_key(state))
        if found and digest(found.data) == state:
            yield state, found.data


def _lost(repairs: Repairs, look: Look, number: int) -> None:
    key = commit_key(look.name, number)
    repairs.store.delete([key])
    words = f"cannot be restored: nothing else says what it was; {look.name} cannot be rolled back to it"
    repairs.note(key, Deed.LOST, words)


def _words(visit: Visit, before: Visit | None) -> str:
    if visit.number > 1 and (before is None or before.commit is None):
        return "from the commit after it, or the head; history begins with it"
    return "from the commits before and after it, and their states"


def _rebuilt(store: Store, commit: Commit, parent: Commit | None) -> History:
    """Return the document of a commit, as `archive.history` makes it, with the states that are left."""
    before = parent or Commit(number=0)
    names = [name for name in differing(commit, before) if name in commit.projects]
    held: Mapping[str, bytes] = dict(_readable(store, {commit.projects[name] for name in names}))
    step = step_back(commit, parent) if parent and parent.number else None
    return History(commit=commit, step=step, states=held)


def _readable(store: Store, states: Collection[str]) -> Iterator[tuple[str, bytes]]:
    for state in sorted(states):
        try:
            yield state, state_bytes(store, [state])[state]
        except WheelbuilderError:
            continue
