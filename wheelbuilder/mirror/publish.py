"""Publish wheels: blobs first, then a commit that has them (DESIGN, decision 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.advance import Author, Draft, advance
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.documents import NORMALIZED, digest
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import BLOB_TYPE, IMMUTABLE, SHA256, blob_keys, check_channel
from wheelbuilder.mirror.marks import rescue
from wheelbuilder.mirror.memo import Memo
from wheelbuilder.mirror.merge import Edit, Merged, Refused, merge
from wheelbuilder.mirror.needs import Claim
from wheelbuilder.mirror.read import parse_state, read_head, state_bytes
from wheelbuilder.mirror.renew import renew
from wheelbuilder.mirror.states import MirrorFile, ProjectState, timestamp
from wheelbuilder.mirror.store import Store, each
from wheelbuilder.mirror.wheels import NewWheel, file_digest, wheel_name
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What a publication came to: the channel's commit afterwards, and the projects that it changed."""

    number: int
    commit: Commit = field(default=Commit(number=0), compare=False)
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
    supply = _Supply(store, {wheel.sha256: wheel for change in changes for wheel in change.wheels})
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
    changing = _Amendment(store=store, edits=edits, time=timestamp(now), supply=None, memo=None, cache=cache)
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


def amend(
    store: Store,
    channel: str,
    edits: Mapping[NormalizedName, Edit],
    *,
    run: str,
    now: datetime,
    note: str = "",
    supply: Supply | None = None,
    memo: Memo | None = None,
    cache: Path | None = None,
) -> Published:
    """Edit project states and publish the result as one commit; edits are applied again after a lost race.

    supply: called with the files that the commit adds, before anything refers to them. note: why, for people.
    memo: what is remembered of the same edits.
    """
    changing = _Amendment(
        store=store, edits=edits, time=timestamp(now), supply=supply, memo=memo, cache=cache
    )
    author = Author(run=run, note=note, now=now)
    head = advance(store, check_channel(channel), changing.draft, author, cache=cache)
    return changing.published(head)


@dataclass(kw_only=True, slots=True)
class _Amendment:
    """Edits applied to one head after the other, until one of the commits is published."""

    store: Store
    edits: Mapping[NormalizedName, Edit]
    time: str
    supply: Supply | None
    memo: Memo | None
    cache: Path | None
    refused: tuple[Refused, ...] = ()
    changed: tuple[NormalizedName, ...] = ()

    def draft(self, commit: Commit) -> Draft | None:
        """Return what a commit would become; None if nothing changes."""
        self.changed = ()
        known = self.memo.recall(commit.digest) if self.memo and commit.number else None
        if known is not None:
            self.refused = known
            return None
        before, stored = self._states(commit)
        merged = {name: self._edited(edit, before[name]) for name, edit in sorted(self.edits.items())}
        changed = {name: it.state for name, it in merged.items() if it.state != before[name]}
        self.changed = tuple(changed)
        self.refused = tuple(refusal for it in merged.values() for refusal in it.refused)
        if self.memo and not changed and commit.number:
            self.memo.keep(commit.digest, self.refused)
        if self.supply and changed:
            self.supply([file for name in changed for file in _added(before[name], changed[name])])
        if not changed:
            return None
        grown = (name for name, state in changed.items() if state.extends(before[name]))
        return replace(_draft(commit, changed, stored), grown=frozenset(grown))

    def _edited(self, edit: Edit, before: ProjectState) -> Merged:
        merged = edit(before)
        return replace(merged, state=merged.state.following(before, self.time))

    def published(self, head: Head) -> Published:
        """Return what came of it."""
        return Published(
            number=head.commit.number, commit=head.commit, changed=self.changed, refused=self.refused
        )

    def _states(self, commit: Commit) -> tuple[dict[NormalizedName, ProjectState], dict[str, bytes]]:
        held = {name: commit.projects[name] for name in sorted(self.edits) if name in commit.projects}
        stored = state_bytes(self.store, held.values(), cache=self.cache)
        states = {name: parse_state(stored[wanted], name, wanted) for name, wanted in held.items()}
        return {name: states.get(name) or ProjectState(name=name) for name in sorted(self.edits)}, stored


def _added(before: ProjectState, after: ProjectState) -> list[MirrorFile]:
    """Return the files whose bytes are new: one that was marked otherwise is not."""
    held = {file.key for file in before.files}
    return [file for file in after.files if file.key not in held]


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


class _Supply:
    """Puts wheels into the store, each once, however often a lost race asks for it."""

    def __init__(self, store: Store, wheels: Mapping[str, NewWheel]) -> None:
        self._store = store
        self._wheels = wheels
        self._done: set[str] = set()

    def __call__(self, files: Sequence[MirrorFile]) -> None:
        """Put the wheels of these files; what is there already is kept from being pruned, and made whole."""
        todo = [file for file in files if file.key not in self._done]
        new = each(self._create, todo)
        if there := [file for file, created in zip(todo, new, strict=True) if not created]:
            rescue(self._store, [key for file in there for key in blob_keys(file.key)])
            each(self._renew, there)  # a prune may have been quicker, and the bytes may be damaged
        self._done |= {file.key for file in todo}

    def _create(self, file: MirrorFile) -> bool:
        """Put a wheel, then its metadata; False if something was there already."""
        wheel = self._wheels[file.sha256]
        new = [_create(self._store, key, data) for key, data in _objects(self._store, wheel, file.key)]
        return wheel.path is not None and all(new)

    def _renew(self, file: MirrorFile) -> None:
        for key, data in _objects(self._store, self._wheels[file.sha256], file.key):
            renew(self._store, key, data)


def _objects(store: Store, wheel: NewWheel, key: str) -> Iterator[tuple[str, bytes | Path]]:
    """Yield what to store of a wheel, in this order: its file, unless that is there, and its metadata."""
    if wheel.path is None:
        if not any((listed.key, listed.size) == (key, wheel.size) for listed in store.list(key)):
            raise IntegrityError(f"{key} is not in the store, or not whole.", "Build the wheel again.")
    elif file_digest(wheel.path) != wheel.sha256:
        raise IntegrityError(
            f"{wheel.path} does not have the digest it was built with.", "Build the wheel again."
        )
    else:
        yield key, wheel.path
    yield f"{key}.metadata", wheel.metadata


def _create(store: Store, key: str, data: bytes | Path) -> bool:
    etag = store.put(key, data, content_type=BLOB_TYPE, cache_control=IMMUTABLE, if_none_match=True)
    return etag is not None


def _draft(
    commit: Commit, changed: Mapping[NormalizedName, ProjectState], stored: Mapping[str, bytes]
) -> Draft:
    projects = dict(commit.projects)
    gap = set(commit.gap) - changed.keys()
    new = {name: state.to_bytes() for name, state in changed.items() if state.files or state.upstream}
    for name, state in changed.items():
        projects.pop(name, None)
        if name in new:
            projects[name] = digest(new[name])
        if state.in_gap:
            gap.add(name)
    states = {digest(data): data for data in new.values()}
    return Draft(projects=projects, gap=frozenset(gap), new=tuple(states), states={**stored, **states})
