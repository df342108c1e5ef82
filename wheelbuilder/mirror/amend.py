"""Edit project states, and publish what comes of it as one commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.mirror.advance import Author, Draft, advance
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import check_channel
from wheelbuilder.mirror.memo import Memo
from wheelbuilder.mirror.merge import Edit, Merged, Refused
from wheelbuilder.mirror.read import parse_state, state_bytes
from wheelbuilder.mirror.states import MirrorFile, ProjectState, timestamp
from wheelbuilder.mirror.store import Store

Supply = Callable[[Sequence[MirrorFile]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What a publication came to: the channel's commit afterwards, and the projects that it changed."""

    number: int
    commit: Commit = field(default=Commit(number=0), compare=False)
    changed: tuple[NormalizedName, ...] = ()
    refused: tuple[Refused, ...] = ()


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
    changing = Amendment(store=store, edits=edits, time=timestamp(now), supply=supply, memo=memo, cache=cache)
    author = Author(run=run, note=note, now=now)
    head = advance(store, check_channel(channel), changing.draft, author, cache=cache)
    return changing.published(head)


@dataclass(kw_only=True, slots=True)
class Amendment:
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
