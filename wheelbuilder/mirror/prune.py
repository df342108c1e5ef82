"""Delete what no channel, kept commit or snapshot refers to: marked by one prune, deleted by a later one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
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
    blob_keys,
    cache_control,
    commit_key,
    commits_prefix,
    content_type,
    head_key,
    state_key,
)
from wheelbuilder.mirror.marks import Marks, read_marks, write_marks
from wheelbuilder.mirror.read import kept_numbers, read_head, read_history, state_bytes
from wheelbuilder.mirror.snapshots import snapshots
from wheelbuilder.mirror.states import ProjectState, timestamp
from wheelbuilder.mirror.store import Listed, Store, each

MOST_TRIES = 20
LONGEST = 600.0  # seconds that deleting may take: a writer who comes after it relies on the end
AT_ONCE = 1000  # keys deleted between two looks at the clock
COMMIT = re.compile(r"channels/([^/]+)/commits/(\d+)\.json", re.ASCII)
ORDER = ("channels/", "states/", "files/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """What a prune does. doomed: deleted now; marked: unreachable since now, or not long enough."""

    doomed: tuple[Listed, ...]
    marked: tuple[Listed, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pruner:
    """What a prune was asked for."""

    commits: int
    now: datetime
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
    pruner = _Pruner(commits=commits, now=now, cache=cache)
    with nullcontext() if dry_run else store.exclusive():
        for _ in range(MOST_TRIES):
            marks = read_marks(store)
            _alone(marks, now, store.address)
            kept = list(_kept(store, commits))
            planned = _plan(_unreachable(store, kept, cache), marks, grace, now)
            if dry_run or _carry_out(store, pruner, planned, marks, kept):
                return planned
    raise UnreachableError(f"{store.address} is written by too many at once.", "Run again.")


def _kept(store: Store, commits: int) -> Iterator[_Kept]:
    """Yield the commits that stay: the newest of each channel, its snapshots, and what is not settled yet."""
    for channel in sorted(store.folders("channels/")):
        head = read_head(store, channel)
        if not head.commit.number:
            continue
        chain = ancestors(head.commit, head.unsettled, head_key(channel))
        there = set(kept_numbers(store, channel))
        wanted = {it for it in there if it > head.commit.number - commits}
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
            REPAIR,
        )
    folders = store.folders(
        f"channels/{channel}/snapshots/"
    )  # also those whose list is lost or still to come
    return listed | ({int(name) for name in folders if name.isdecimal()} & there)


def _unreachable(store: Store, kept: list[_Kept], cache: Path | None) -> list[Listed]:
    states = {digest: name for it in kept for name, digest in it.commit.projects.items()}
    reached = {commit_key(it.channel, it.commit.number) for it in kept} | set(map(state_key, states))
    for name, data in state_bytes(store, states, cache=cache).items():
        files = ProjectState.from_bytes(data, state_key(name)).files
        reached |= {key for file in files for key in blob_keys(file.key)}
    prefixes = ["files/", "states/", *{commits_prefix(it.channel) for it in kept}]
    return [listed for prefix in prefixes for listed in store.list(prefix) if listed.key not in reached]


def _plan(unreachable: list[Listed], marks: Marks, grace: timedelta, now: datetime) -> Pruning:
    def due(listed: Listed) -> bool:
        since = marks.since.get(listed.key)
        return listed.key in marks.deleting or (
            since is not None and datetime.fromisoformat(since) + grace <= now
        )

    listed = sorted(unreachable, key=attrgetter("key"))
    return Pruning(
        doomed=tuple(it for it in listed if due(it)), marked=tuple(it for it in listed if not due(it))
    )


def _carry_out(store: Store, pruning: _Pruner, planned: Pruning, marks: Marks, kept: list[_Kept]) -> bool:
    """Announce what is deleted, look again, delete; False if another writer was quicker."""
    stamp = timestamp(pruning.now)
    since = {listed.key: marks.since.get(listed.key, stamp) for listed in planned.marked}
    doomed = frozenset(listed.key for listed in planned.doomed)
    if not doomed and since == marks.since:
        return True
    announced = write_marks(
        store, replace(marks, since=since, deleting=doomed, started=stamp if doomed else "")
    )
    if announced is None or not doomed:
        return announced is not None
    deadline = time.monotonic() + LONGEST
    if list(_kept(store, pruning.commits)) != kept:
        _withdraw(store, doomed, marks.since)
        return False
    _checkpoint(store, doomed, pruning.cache)
    _delete(store, doomed, deadline)
    _withdraw(store, doomed)
    store.barrier()
    return True


def _withdraw(store: Store, doomed: frozenset[str], since: Mapping[str, str] | None = None) -> None:
    """Say that nothing of ours is being deleted any more. since: marks to put back."""
    for _ in range(MOST_TRIES):
        marks = read_marks(store)
        kept = {**marks.since, **{key: moment for key, moment in (since or {}).items() if key in doomed}}
        if write_marks(store, replace(marks, since=kept, deleting=marks.deleting - doomed, started="")):
            return


def _alone(marks: Marks, now: datetime, address: str) -> None:
    """Refuse to run beside another prune; one that died is taken for dead after a while."""
    if marks.deleting and datetime.fromisoformat(marks.started) + 2 * timedelta(seconds=LONGEST) > now:
        raise UnreachableError(
            f"{address}: another prune is deleting since {marks.started}, or died while it was.",
            f"Wait for it, or run again in {2 * LONGEST / 60:.0f} minutes.",
        )


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


def _delete(store: Store, doomed: frozenset[str], deadline: float) -> None:
    """Delete what refers before what is referred to: commits, the newest first, then states, then blobs."""
    ordered = sorted(doomed, key=_rank)
    for start in range(0, len(ordered), AT_ONCE):
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"{store.address} deletes too slowly: {len(ordered) - start} objects are left.", "Run again."
            )
        store.delete(ordered[start : start + AT_ONCE])


def _rank(key: str) -> tuple[int, int, str]:
    kind = next(place for place, prefix in enumerate(ORDER) if key.startswith(prefix))
    number = key.rpartition("/")[2].removesuffix(".json") if kind == 0 else ""
    return kind, -int(number) if number.isdigit() else 0, key
