"""Publish wheels: blobs first, then a commit that has them (DESIGN, decision 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.amend import Amendment, Published, amend
from wheelbuilder.mirror.documents import NORMALIZED, digest
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import SHA256, check_channel
from wheelbuilder.mirror.memo import Memo
from wheelbuilder.mirror.merge import Edit, Merged, merge
from wheelbuilder.mirror.needs import Claim
from wheelbuilder.mirror.read import read_head
from wheelbuilder.mirror.states import MirrorFile, ProjectState, timestamp
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.supply import Supplier
from wheelbuilder.mirror.wheels import NewWheel, wheel_name
from wheelbuilder.plan.files import IndexFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What to add to a project: wheels of ours, and upstream's files of the pinned versions (whole view).

    claim: which files a list needs.
    """

    project: NormalizedName
    wheels: tuple[NewWheel, ...] = ()
    upstream: tuple[IndexFile, ...] = ()
    claim: Claim | None = None


def publish(
    store: Store,
    channel: str,
    changes: Sequence[Change],
    *,
    run: str,
    now: datetime,
    note: str = "",
    strict: bool = False,
    cache: Path | None = None,
) -> Published:
    """Add changes to a channel and complete its pages, those of a writer that died before included.

    Nothing new writes nothing. A file that is refused is in the result with the reason; IntegrityError if a
    wheel's bytes are not what its digest says. note: why, for people. strict: one refused file is an
    IntegrityError, and nothing is published. cache: a folder that keeps states between runs.
    """
    by_project = _by_project(changes)
    edits = _edits(by_project, now, strict=strict)
    supply = Supplier(store, {wheel.sha256: wheel for change in changes for wheel in change.wheels})
    memo = None if strict else _memo(store, check_channel(channel), by_project, cache)
    return amend(store, channel, edits, run=run, now=now, note=note, supply=supply, memo=memo, cache=cache)


def rehearse(
    store: Store,
    channel: str,
    changes: Sequence[Change],
    *,
    now: datetime,
    strict: bool = False,
    cache: Path | None = None,
) -> Published:
    """Say what `publish` would come to on the channel as it is now, and write nothing; errors as there."""
    commit = read_head(store, check_channel(channel)).commit
    edits = _edits(_by_project(changes), now, strict=strict)
    changing = Amendment(store=store, edits=edits, time=timestamp(now), supply=None, memo=None, cache=cache)
    changing.draft(commit)
    return changing.published(Head(commit=commit))


def remember(
    store: Store,
    channel: str,
    changes: Sequence[Change],
    *,
    run: str,
    now: datetime,
    cache: Path | None = None,
) -> None:
    """Have the store remember that these changes leave the channel as it is, once they have been published.

    The next run that offers the same reads no state then, on whatever machine it is.
    """
    done = publish(store, channel, changes, run=run, now=now, cache=cache)
    memo = _memo(store, channel, _by_project(changes), cache)
    if memo and not done.changed and done.number:
        memo.share(done.commit.digest, done.refused)


def _by_project(changes: Sequence[Change]) -> dict[NormalizedName, Change]:
    joined: dict[NormalizedName, Change] = {}
    for change in changes:
        joined[change.project] = _joined(joined.get(change.project), change)
    return joined


def _edits(
    changes: Mapping[NormalizedName, Change], now: datetime, *, strict: bool
) -> dict[NormalizedName, Edit]:
    edit = _strict_edit if strict else _edit
    return {name: partial(edit, change, timestamp(now)) for name, change in changes.items()}


def _memo(
    store: Store, channel: str, changes: Mapping[NormalizedName, Change], cache: Path | None
) -> Memo | None:
    """Return the memory of an offer: one with wheels is not made twice, so that only this machine has it."""
    if not changes:
        return None
    again = not any(change.wheels for change in changes.values())
    return Memo(list(changes.values()), channel, folder=cache, store=store if again else None)


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
        claim=second.claim or first.claim,
    )


def _edit(change: Change, time: str, state: ProjectState) -> Merged:
    _check(change)  # here: what is remembered was checked when it was
    merged = merge(state, [_mirror_file(wheel, time) for wheel in change.wheels], change.upstream)
    if not change.claim:
        return merged
    return replace(merged, state=replace(merged.state, needs=change.claim.merged(state.needs)))


def _strict_edit(change: Change, time: str, state: ProjectState) -> Merged:
    merged = _edit(change, time, state)
    for refused in merged.refused:
        raise IntegrityError(f"{refused.filename}: {refused.reason}.", "Nothing was published.")
    return merged


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
