"""Delete what no channel, kept commit or snapshot refers to: marked by one prune, deleted by a later one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.mirror.archive import history
from wheelbuilder.mirror.commits import Commit, ancestors
from wheelbuilder.mirror.documents import REPAIR
from wheelbuilder.mirror.layout import (
    CHANNEL,
    blob_keys,
    cache_control,
    commit_key,
    commits_prefix,
    content_type,
    head_key,
    snapshots_prefix,
    state_key,
)
from wheelbuilder.mirror.marks import Marks, read_marks, write_marks
from wheelbuilder.mirror.read import kept_numbers, read_head, read_history, refuse_lost, state_bytes
from wheelbuilder.mirror.removal import Now, announced, refuse_beside_another, running
from wheelbuilder.mirror.snapshots import snapshots
from wheelbuilder.mirror.states import ProjectState, timestamp
from wheelbuilder.mirror.store import Listed, Store, each

MOST_TRIES = 20
# files/<digest>/<name>, states/<digest>.json, and commits: what mirrors keep, under no other names
OURS = re.compile(r"files/[0-9a-f]{64}/[^/]+$|states/[0-9a-f]{64}\.json$|channels/[^/]+/commits/", re.ASCII)
COMMIT = re.compile(r"channels/([^/]+)/commits/(\d+)\.json", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """What a prune does. doomed: deleted now; marked: unreachable since now, or not long enough."""

    doomed: tuple[Listed, ...]
    marked: tuple[Listed, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What a prune was asked for."""

    commits: int
    grace: timedelta
    now: Now
    cache: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """A commit that stays."""

    channel: str
    commit: Commit


def prune(
    store: Store,
    *,
    commits: int,
    grace: timedelta,
    now: datetime,
    dry_run: bool = False,
    cache: Path | None = None,
) -> Pruning:
    """Mark what cannot be reached and delete what has been marked for longer than `grace`.

    commits: how many of each channel's newest commits stay, with all they hold, besides its snapshots.
    A store in which something cannot be read is not touched: raises IntegrityError.
    """
    if commits < 1:
        raise ConfigurationError("At least the newest commit must be kept.", "Give 1 or more.")
    asked = _Asked(commits=commits, grace=grace, now=running(now), cache=cache)
    with nullcontext() if dry_run else store.exclusive():
        for _ in range(MOST_TRIES):
            marks = read_marks(store)
            refuse_beside_another(marks, asked.now(), store.address)
            kept = list(_kept(store, commits))
            planned = _plan(_unreachable(store, kept, cache), marks, asked)
            if dry_run or _carry_out(store, asked, planned, marks, kept):
                return planned
    raise UnreachableError(f"{store.address} is written by too many at once.", "Run again.")


def _kept(store: Store, commits: int) -> Iterator[_Kept]:
    """Yield the commits that stay: the newest of each channel, its snapshots, and what is not settled yet.

    What is not settled includes the commit before it, for pages may still be of that one.
    """
    for channel in sorted(filter(CHANNEL.fullmatch, store.folders("channels/"))):
        head = read_head(store, channel)
        if not head.commit.number:
            refuse_lost(store, channel)
            continue
        chain = ancestors(head.commit, head.unsettled, head_key(channel))
        there = set(kept_numbers(store, channel))
        wanted = {it for it in there if it > head.commit.number - commits}
        if head.commit.number not in there:
            wanted |= {chain[-1].number - 1} & there
        wanted |= _snapshots(store, channel, there | {commit.number for commit in chain})
        wanted -= {commit.number for commit in chain}
        found = each(lambda number: read_history(store, channel, number), sorted(wanted))  # noqa: B023
        for commit in (*chain, *(kept.commit for kept in found if kept)):
            yield _Kept(channel=channel, commit=commit)


def _snapshots(store: Store, channel: str, there: set[int]) -> set[int]:
    """Return the commits with pages of their own; IntegrityError if one of them is not kept."""
    listed = {snapshot.number for snapshot in snapshots(store, channel)}
    for number in sorted(listed - there):
        raise IntegrityError(
            f"{commit_key(channel, number)}, which the snapshot {number} of {channel} stands on, is missing.",
            f"{REPAIR} What is lost for good: 'wheelbuilder snapshot {channel}@{number} --remove'.",
        )
    # Also those whose list is lost or still to come:
    folders = store.folders(snapshots_prefix(channel))
    return listed | ({int(name) for name in folders if name.isdecimal()} & there)


def _reached(store: Store, kept: Iterable[_Kept], cache: Path | None) -> set[str]:
    """Return the keys of commits and of all that they hold."""
    kept = tuple(kept)
    states = {digest for it in kept for digest in it.commit.projects.values()}
    reached = {commit_key(it.channel, it.commit.number) for it in kept} | set(map(state_key, states))
    for digest, data in state_bytes(store, states, cache=cache).items():
        files = ProjectState.from_bytes(data, state_key(digest)).files
        reached |= {key for file in files for key in blob_keys(file.key)}
    return reached


def _unreachable(store: Store, kept: list[_Kept], cache: Path | None) -> list[Listed]:
    """List what lies where mirrors keep wheels, states and commits, under names that these have.

    Whoever prunes a directory that is no mirror loses nothing of it.
    """
    reached = _reached(store, kept, cache)
    prefixes = ["files/", "states/", *{commits_prefix(it.channel) for it in kept}]
    found = (listed for prefix in prefixes for listed in store.list(prefix))
    return [listed for listed in found if listed.key not in reached and OURS.match(listed.key)]


def _plan(unreachable: list[Listed], marks: Marks, asked: _Asked) -> Pruning:
    def is_due(listed: Listed) -> bool:
        since = marks.since.get(listed.key)
        return since is not None and datetime.fromisoformat(since) + asked.grace <= now

    now = asked.now()
    listed = sorted(unreachable, key=attrgetter("key"))
    return Pruning(
        doomed=tuple(it for it in listed if is_due(it)), marked=tuple(it for it in listed if not is_due(it))
    )


def _carry_out(store: Store, asked: _Asked, planned: Pruning, marks: Marks, kept: list[_Kept]) -> bool:
    """Announce what is deleted, look again, delete; False if another writer was quicker."""
    stamp = timestamp(asked.now())
    since = {it.key: marks.since.get(it.key, stamp) for it in (*planned.marked, *planned.doomed)}
    doomed = frozenset(listed.key for listed in planned.doomed)
    if not doomed:
        idle = replace(marks, since=since, deleting=doomed, started="")
        return idle == marks or write_marks(store, idle) is not None
    with announced(store, replace(marks, since=since), doomed, asked.now) as removal:
        if removal is None or _is_needed(store, asked, doomed, kept):
            return False
        _checkpoint(store, doomed, asked.cache)
        removal.delete()
    store.barrier()
    return True


def _is_needed(store: Store, asked: _Asked, doomed: frozenset[str], kept: list[_Kept]) -> bool:
    """Say whether commits that were published since need again what is doomed."""
    known = {(it.channel, it.commit.digest) for it in kept}
    new = [it for it in _kept(store, asked.commits) if (it.channel, it.commit.digest) not in known]
    return not doomed.isdisjoint(_reached(store, new, asked.cache))


def _checkpoint(store: Store, doomed: frozenset[str], cache: Path | None) -> None:
    """Let each commit whose predecessor goes bring all its states, so that they can be restored from it."""
    for key in sorted(doomed):
        if not (found := COMMIT.fullmatch(key)):
            continue
        channel, number = found[1], int(found[2]) + 1
        successor = commit_key(channel, number)
        kept = None if successor in doomed else read_history(store, channel, number)
        if kept and kept.step:
            held = state_bytes(store, kept.commit.projects.values(), cache=cache)
            data = history(store, kept.commit, None, held).to_bytes()
            store.put(
                successor, data, content_type=content_type(successor), cache_control=cache_control(successor)
            )
