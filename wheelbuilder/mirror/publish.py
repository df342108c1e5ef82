"""Publish: blobs and states, then the head by a conditional write, then the pages (DESIGN, decision 2)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.mirror.layout import (
    BLOB_TYPE,
    IMMUTABLE,
    SHA256,
    cache_control,
    check_channel,
    content_type,
    head_key,
    state_key,
)
from wheelbuilder.mirror.merge import Edit, Merged, Refused, merge
from wheelbuilder.mirror.read import Head, read_head, read_states
from wheelbuilder.mirror.settle import keep_commit, settle, write
from wheelbuilder.mirror.states import NORMALIZED, Commit, MirrorFile, ProjectState, digest, timestamp
from wheelbuilder.mirror.store import Store, each
from wheelbuilder.mirror.wheels import NewWheel, file_digest, wheel_name
from wheelbuilder.plan.files import IndexFile

MOST_TRIES = 1000  # each lost race is another writer's success: many are a busy day, not a fault
LONGEST_PAUSE = 0.5  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What to add to a project: wheels of ours, and upstream's files of the pinned versions (whole view)."""

    project: NormalizedName
    wheels: tuple[NewWheel, ...] = ()
    upstream: tuple[IndexFile, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What a publication came to: the channel's commit afterwards, and the projects that it changed."""

    number: int
    changed: tuple[NormalizedName, ...] = ()
    refused: tuple[Refused, ...] = ()


Supply = Callable[[Sequence[MirrorFile]], None]


def publish(
    store: Store,
    channel: str,
    changes: Sequence[Change],
    *,
    run: str,
    now: datetime,
    cache: Path | None = None,
) -> Published:
    """Add changes to a channel and complete its pages, those of a writer that died before included.

    Nothing new writes nothing. A file that is refused is in the result with the reason; IntegrityError if a
    wheel's bytes are not what its digest says. cache: a folder that keeps states between runs.
    """
    check_channel(channel)
    by_project: dict[NormalizedName, Change] = {}
    for change in changes:
        _check(change)
        by_project[change.project] = _joined(by_project.get(change.project), change)
    edits = {name: partial(_edit, change, timestamp(now)) for name, change in by_project.items()}
    supply = partial(_supply, store, {wheel.sha256: wheel for change in changes for wheel in change.wheels})
    return amend(store, channel, edits, run=run, now=now, supply=supply, cache=cache)


def amend(
    store: Store,
    channel: str,
    edits: Mapping[NormalizedName, Edit],
    *,
    run: str,
    now: datetime,
    supply: Supply | None = None,
    cache: Path | None = None,
) -> Published:
    """Edit project states and publish the result as one commit; edits are applied again after a lost race.

    supply: called with the files that the commit adds, before anything refers to them.
    """
    head = settle(store, channel)
    for attempt in range(MOST_TRIES):
        before = _states(store, head.commit, edits, cache)
        merged = {name: edit(before[name]) for name, edit in edits.items()}
        changed = {name: merged[name].state for name in sorted(merged) if merged[name].state != before[name]}
        if not changed:
            return _published(head, (), merged)
        if supply:
            supply(
                [file for name in changed for file in changed[name].files if file not in before[name].files]
            )
        successor = _successor(head, changed, run=run, time=timestamp(now))
        if won := _commit(store, channel, head, successor, changed):
            settle(store, channel, won)
            return _published(won, tuple(changed), merged)
        time.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.01 * 2 ** min(attempt, 10))))  # noqa: S311
        head = read_head(store, channel)
        keep_commit(store, channel, head)  # its writer may have died before
    raise UnreachableError(f"{store.address}: {channel} is written by too many at once.", "Run again.")


def _check(change: Change) -> None:
    """Refuse what must not become a key: names and digests come from files and from other machines."""
    if not NORMALIZED.fullmatch(change.project):
        raise IntegrityError(
            f"{change.project!r} is not a normalized project name.", "Normalize it (PEP 503)."
        )
    for wheel in change.wheels:
        if wheel_name(wheel.filename).project != change.project:
            hint = "Publish it under its own project."
            raise IntegrityError(f"{wheel.filename} is not a wheel of {change.project}.", hint)
        if not SHA256.fullmatch(wheel.sha256):
            hint = "Read the wheel again."
            raise IntegrityError(f"{wheel.filename}: {wheel.sha256!r} is not a SHA-256 digest.", hint)


def _joined(first: Change | None, second: Change) -> Change:
    if first is None:
        return second
    return Change(
        project=second.project,
        wheels=(*first.wheels, *second.wheels),
        upstream=(*first.upstream, *second.upstream),
    )


def _edit(change: Change, time: str, state: ProjectState) -> Merged:
    return merge(state, [_mirror_file(wheel, time) for wheel in change.wheels], change.upstream)


def _mirror_file(wheel: NewWheel, time: str) -> MirrorFile:
    return MirrorFile(
        filename=wheel.filename,
        sha256=wheel.sha256,
        size=wheel.size,
        metadata_sha256=digest(wheel.metadata),
        upload_time=time,
        requires_python=wheel.requires_python,
        build_key=wheel.build_key,
        target=wheel.target,
    )


def _supply(store: Store, wheels: Mapping[str, NewWheel], files: Sequence[MirrorFile]) -> None:
    each(lambda file: _put_blob(store, wheels[file.sha256], file.key), files)


def _put_blob(store: Store, wheel: NewWheel, key: str) -> None:
    """Put a wheel, then its metadata; what is there already has the same digest in its key."""
    if wheel.path is None:
        if not any((listed.key, listed.size) == (key, wheel.size) for listed in store.list(key)):
            raise IntegrityError(f"{key} is not in the store, or not whole.", "Build the wheel again.")
    elif file_digest(wheel.path) != wheel.sha256:
        raise IntegrityError(
            f"{wheel.path} does not have the digest it was built with.", "Build the wheel again."
        )
    else:
        _create(store, key, wheel.path)
    _create(store, f"{key}.metadata", wheel.metadata)


def _create(store: Store, key: str, data: bytes | Path) -> None:
    store.put(key, data, content_type=BLOB_TYPE, cache_control=IMMUTABLE, if_none_match=True)


def _states(
    store: Store, commit: Commit, names: Iterable[NormalizedName], cache: Path | None
) -> dict[NormalizedName, ProjectState]:
    """Read the states of some projects; one that the channel does not have is empty."""
    wanted = sorted(names)
    held = read_states(
        store, {name: commit.projects[name] for name in wanted if name in commit.projects}, cache=cache
    )
    return {name: held.get(name) or ProjectState(name=name) for name in wanted}


def _successor(head: Head, changed: Mapping[NormalizedName, ProjectState], *, run: str, time: str) -> Commit:
    projects = dict(head.commit.projects)
    gap = set(head.commit.gap) - changed.keys()
    for name, state in changed.items():
        if state.files or state.upstream:
            projects[name] = digest(state.to_bytes())
        else:
            projects.pop(name, None)
        if state.served:
            gap.add(name)
    return Commit(
        number=head.commit.number + 1,
        parent=head.digest,
        projects=projects,
        gap=frozenset(gap),
        time=time,
        run=run,
    )


def _commit(
    store: Store, channel: str, head: Head, successor: Commit, changed: Mapping[NormalizedName, ProjectState]
) -> Head | None:
    """Write the states, then move the head; None if another writer has moved it first."""
    states = [state.to_bytes() for state in changed.values()]
    each(lambda data: write(store, state_key(digest(data)), data, create=True), states)
    data = successor.to_bytes()
    key = head_key(channel)
    etag = store.put(
        key,
        data,
        content_type=content_type(key),
        cache_control=cache_control(key),
        if_match=head.etag,
        if_none_match=head.etag is None,
    )
    return Head(commit=successor, data=data, etag=etag) if etag else None


def _published(
    head: Head, changed: tuple[NormalizedName, ...], merged: Mapping[NormalizedName, Merged]
) -> Published:
    refused = tuple(refusal for name in sorted(merged) for refusal in merged[name].refused)
    return Published(number=head.commit.number, changed=changed, refused=refused)
