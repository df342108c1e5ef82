"""Operations on whole commits: name them, list them, promote, roll back, compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.mirror import needs
from wheelbuilder.mirror.advance import Author, Draft, advance
from wheelbuilder.mirror.commits import Commit, differing
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import (
    CHANNEL,
    check_channel,
    head_key,
    state_key,
)
from wheelbuilder.mirror.read import kept_numbers, read_commit, read_head, read_states
from wheelbuilder.mirror.rescue import rescue_commit
from wheelbuilder.mirror.states import MirrorFile, ProjectState
from wheelbuilder.mirror.store import Store, each
from wheelbuilder.plan.files import IndexFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A commit as people write it: `stable`, its newest, or `stable@12`."""

    channel: str
    number: int | None = None

    def __str__(self) -> str:
        return self.channel if self.number is None else f"{self.channel}@{self.number}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read one; raises ConfigurationError."""
        channel, at, number = text.partition("@")
        if at and not (number.isascii() and number.isdigit() and int(number) > 0):
            raise ConfigurationError(
                f"{text!r} does not name a commit.", "Write a channel, or a channel and a number: stable@12."
            )
        return cls(channel=check_channel(channel), number=int(number) if at else None)


class Kind(StrEnum):
    """What became of a file between two commits, or of who needs a project's files."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    NEEDS = "needs"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Difference:
    """A file that two commits do not have alike. ours: not one of upstream's. details: what changed.

    filename: "" where it is a project's files that other branches need.
    """

    project: NormalizedName
    filename: str
    kind: Kind
    ours: bool
    details: str = ""


def channel_names(store: Store) -> tuple[str, ...]:
    """Return the channels of a store, sorted: one without a head has never published."""
    names = [name for name in store.folders("channels/") if CHANNEL.fullmatch(name)]
    there = each(lambda name: store.exists(head_key(name)), names)
    return tuple(sorted(name for name, exists in zip(names, there, strict=True) if exists))


def resolve(store: Store, reference: Reference) -> Commit:
    """Return the commit that a reference names; ConfigurationError where there is none."""
    head = read_head(store, reference.channel).commit
    if not head.number:
        names = ", ".join(channel_names(store)) or "none"
        raise ConfigurationError(
            f"{store.address} has no channel {reference.channel!r}.", f"Its channels: {names}."
        )
    if reference.number in (None, head.number):
        return head
    commit = read_commit(store, reference.channel, reference.number or 0)
    if commit is None:
        kept = kept_numbers(store, reference.channel)
        raise ConfigurationError(
            f"{reference} is not kept.", f"{reference.channel} keeps the commits {_spans(kept)}."
        )
    return commit


def _spans(numbers: Sequence[int]) -> str:
    """Return rising numbers in words, those that follow one another as a span: "1 to 3, 7"."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    words = (f"{it[0]} to {it[-1]}" if len(it) > 1 else str(it[0]) for it in spans)
    return ", ".join(words) or "none"


def promote(
    store: Store, source: Reference, target: str, author: Author, *, cache: Path | None = None
) -> tuple[Head, bool]:
    """Make a channel hold what a commit of another holds; no blob moves. Returns whether that changed it."""
    commit = resolve(store, source)
    rescue_commit(store, source.channel, commit, cache=cache)
    return _install(store, commit, check_channel(target), author, cache)


def rollback(
    store: Store, channel: str, number: int | None, author: Author, *, cache: Path | None = None
) -> tuple[Head, bool]:
    """Make a channel hold again what an earlier commit held (None: the one before), as a new commit."""
    if number is None:
        number = resolve(store, Reference(channel=channel)).number - 1
    if number < 1:
        raise ConfigurationError(f"{channel} has no earlier commit.", "There is nothing to roll back to.")
    source = Reference(channel=channel, number=number)
    commit = resolve(store, source)
    rescue_commit(store, source.channel, commit, cache=cache)
    return _install(store, commit, channel, author, cache)


def diff(store: Store, old: Commit, new: Commit, *, cache: Path | None = None) -> tuple[Difference, ...]:
    """Return what differs between two commits of any channels, file by file; needs project by project."""
    names = differing(new, old)
    before, after = (
        read_states(store, {name: it.projects[name] for name in names if name in it.projects}, cache=cache)
        for it in (old, new)
    )
    return tuple(
        sorted(
            difference
            for name in names
            for difference in _differences(
                before.get(name) or ProjectState(name=name), after.get(name) or ProjectState(name=name)
            )
        )
    )


def _install(
    store: Store, commit: Commit, channel: str, author: Author, cache: Path | None
) -> tuple[Head, bool]:
    changed = False

    def draft(current: Commit) -> Draft | None:
        nonlocal changed
        changed = bool(differing(commit, current))
        return Draft(projects=commit.projects, gap=commit.gap) if changed else None

    _require(store, commit, read_head(store, channel).commit, cache)
    head = advance(store, channel, draft, author, cache=cache)
    return head, changed


def _require(store: Store, commit: Commit, current: Commit, cache: Path | None) -> None:
    """Raise IntegrityError unless the states and files that a commit would bring to a channel are there."""
    names = [name for name in differing(commit, current) if name in commit.projects]
    states = read_states(store, {name: commit.projects[name] for name in names}, cache=cache)
    blobs = [file.key for state in states.values() for file in state.files]
    wanted = [state_key(commit.projects[name]) for name in names]
    wanted += [key for blob in blobs for key in (blob, f"{blob}.metadata")]
    there = each(store.exists, wanted)
    for key in (key for key, exists in zip(wanted, there, strict=True) if not exists):
        raise IntegrityError(f"{key}, which that commit lists, is missing.", "Choose another commit.")


def _differences(old: ProjectState, new: ProjectState) -> Iterator[Difference]:
    for ours, before, after in ((True, old.files, new.files), (False, old.upstream, new.upstream)):
        then = {file.filename: file for file in before}
        now = {file.filename: file for file in after}
        for filename in then.keys() | now.keys():
            details = _details(then.get(filename), now.get(filename))
            if details is not None:
                kind, text = details
                yield Difference(project=new.name, filename=filename, kind=kind, ours=ours, details=text)
    if words := "; ".join(needs.changes((old.needs, old.unneeded), (new.needs, new.unneeded))):
        yield Difference(project=new.name, filename="", kind=Kind.NEEDS, ours=True, details=words)


def _details(
    then: MirrorFile | IndexFile | None, now: MirrorFile | IndexFile | None
) -> tuple[Kind, str] | None:
    if then is None or now is None:
        return (Kind.ADDED if then is None else Kind.REMOVED), ""
    names = [field.name for field in fields(now)]
    changes = [
        f"{name}: {getattr(then, name)!s} -> {getattr(now, name)!s}"
        for name in names
        if getattr(then, name) != getattr(now, name)
    ]
    return (Kind.CHANGED, "; ".join(changes)) if changes else None
