"""Copy a mirror from one store to another: only what differs, in an order that may be cut off anywhere.

First what pages refer to and what is remembered of builds, then each channel's head, then its pages, made at
the destination from the states, then the history and the snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.mirror.channels import Reference, channel_names, resolve
from wheelbuilder.mirror.commits import Commit, touched
from wheelbuilder.mirror.ground import Ground
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import (
    CHANNEL,
    check_channel,
    commits_prefix,
    experience_key,
    offer_key,
    snapshot_prefix,
    snapshots_prefix,
)
from wheelbuilder.mirror.marks import rescue
from wheelbuilder.mirror.promised import kept_states, named, promised, promised_of
from wheelbuilder.mirror.read import read_commit, read_head, read_states
from wheelbuilder.mirror.settle import complete, settle, write_head
from wheelbuilder.mirror.snapshots import Snapshot, add, snapshots
from wheelbuilder.mirror.store import Listed, Store
from wheelbuilder.mirror.trail import extended
from wheelbuilder.mirror.transfer import REMEMBERED, Counted, Fate, Progress, carry

SHARED = ("files/", "states/", "sdists/", "logs/", "records/", "runs/")  # what pages and records refer to
REPLACED = ("records/", "runs/")  # a newer one takes the place of an older one
MEMORIES = (experience_key, offer_key)
PRUNED = ("files/", "states/")  # what a prune of the destination may have marked


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """What happens to a channel: the number of the destination's commit (0: none), and its next commit."""

    channel: str
    old: int
    new: Commit = field(compare=False)
    ahead: bool = False  # the destination has what the source has not


@dataclass(frozen=True, kw_only=True, slots=True)
class Copying:
    """What a sync copies. shared: before the heads move; history: commits and snapshots' pages, after it."""

    moves: tuple[Move, ...]
    snapshots: Mapping[str, tuple[Snapshot, ...]]
    shared: tuple[Listed, ...]
    history: tuple[Listed, ...]

    @property
    def size(self) -> int:
        """Bytes to copy."""
        return sum(listed.size for listed in (*self.shared, *self.history))


def survey(source: Store, destination: Store, channels: Sequence[str] = ()) -> Copying:
    """Return what differs; IntegrityError for a channel that went different ways in the two stores.

    channels: only these; none given means all.
    """
    names = tuple(map(check_channel, channels)) or _channels(source)
    # The heads first: what they need is in the listings then, and what is newer is left for the next time.
    moves = tuple(_move(source, destination, name) for name in names)
    taken = {move.channel: _taken(source, move) for move in moves}
    return Copying(
        moves=moves,
        snapshots=taken,
        shared=(
            *(it for folder in SHARED for it in _missing(source.list(folder), destination, folder)),
            *_newer(source, destination, [key(name) for name in names for key in MEMORIES]),
        ),
        history=tuple(
            it for move in moves for it in _history(source, destination, move, taken[move.channel])
        ),
    )


def copy(
    source: Store,
    destination: Store,
    copying: Copying,
    *,
    progress: Progress = lambda _done, _all: None,
    cache: Path | None = None,
) -> tuple[str, ...]:
    """Carry out what was surveyed; may be repeated after an interruption, from a new survey.

    Returns the keys of damaged objects that were left out because no commit refers to them. IntegrityError
    for one that a commit refers to.
    """
    with destination.exclusive():
        copying = _with_what_was_pruned(source, destination, copying)
        counted = Counted(total=copying.size, progress=progress)
        expected = _expected(source, copying, cache)
        damaged = carry(source, destination, copying.shared, counted, expected)[Fate.DAMAGED]
        _require_unused(source, copying.moves, damaged, cache)
        destination.barrier()
        _require(source, destination, copying.moves)
        for move in copying.moves:
            _advance(destination, move, cache)
        gone = carry(source, destination, copying.history, counted, {})[Fate.GONE]
        for channel, taken in copying.snapshots.items():
            _end_snapshots(source, destination, channel, taken, gone)
        destination.barrier()
    return damaged


def _end_snapshots(
    source: Store, destination: Store, channel: str, taken: Sequence[Snapshot], gone: Sequence[str]
) -> None:
    """List the snapshots that are copied whole, and take away what was copied of those dropped meanwhile.

    One that is dropped is first unlisted, then its pages are deleted. gone: keys that could not be copied.
    """
    broken = {_number(key, snapshots_prefix(channel)) for key in gone}
    left = {it.number for it in snapshots(source, channel)} - broken
    add(destination, channel, [it for it in taken if it.number in left])
    there = {it.number for it in snapshots(destination, channel)}
    for number in {it.number for it in taken} - there:
        destination.delete([it.key for it in destination.list(snapshot_prefix(channel, number))])


def _with_what_was_pruned(source: Store, destination: Store, copying: Copying) -> Copying:
    """Take the marks of a prune away from what the destination has, and add what it has no more."""
    numbers = {commits_prefix(move.channel): move.new.number for move in copying.moves}
    listings = {folder: tuple(source.list(folder)) for folder in (*PRUNED, *numbers)}
    rescue(destination, [listed.key for listing in listings.values() for listed in listing])
    late = {folder: _missing(listings[folder], destination, folder) for folder in listings}
    shared = (*copying.shared, *(it for folder in PRUNED for it in late[folder]))
    commits = (it for folder, most in numbers.items() for it in _up_to(most, late[folder], folder))
    history = (*copying.history, *commits)
    return replace(copying, shared=_each_once(shared), history=_each_once(history))


def _each_once(listed: Iterable[Listed]) -> tuple[Listed, ...]:
    return tuple({it.key: it for it in listed}.values())


def _move(source: Store, destination: Store, channel: str) -> Move:
    ours = resolve(source, Reference(channel=channel))
    theirs = read_head(destination, channel).commit
    behind = theirs.number <= ours.number
    older, newer = (theirs, ours) if behind else (ours, theirs)
    known = newer
    if older.number != newer.number:  # a commit that was pruned since cannot be compared
        known = read_commit(source if behind else destination, channel, older.number) or older
    if known.digest != older.digest:
        raise IntegrityError(
            f"{channel} went different ways: commit {older.number} is not the same in {source.address}"
            f" and {destination.address}.",
            "Copy into another place, or name other channels with --channel.",
        )
    return Move(channel=channel, old=theirs.number, new=newer, ahead=theirs.number > ours.number)


def _channels(source: Store) -> tuple[str, ...]:
    """Return the channels of a store; raises IntegrityError for one that has lost its head."""
    names = channel_names(source)
    for name in source.folders("channels/"):
        if name not in names and CHANNEL.fullmatch(name):
            read_head(source, name)
    if not names:
        raise ConfigurationError(f"{source.address} has no channel at all.", "Check the address.")
    return names


def _taken(source: Store, move: Move) -> tuple[Snapshot, ...]:
    """Return the snapshots of the commits that the destination has then."""
    return tuple(it for it in snapshots(source, move.channel) if it.number <= move.new.number)


def _history(source: Store, destination: Store, move: Move, taken: Iterable[Snapshot]) -> Iterator[Listed]:
    """Yield the commits to copy, up to the one that the destination gets, and the pages of the snapshots."""
    commits, pages = commits_prefix(move.channel), snapshots_prefix(move.channel)
    yield from _up_to(move.new.number, _missing(source.list(commits), destination, commits), commits)
    numbers = {it.number for it in taken}  # of others there are pages only while they are made or dropped
    for it in _missing(source.list(pages), destination, pages):
        if _number(it.key, pages) in numbers:
            yield it


def _up_to(most: int, listed: Iterable[Listed], folder: str) -> Iterator[Listed]:
    return (it for it in listed if (number := _number(it.key, folder)) is not None and number <= most)


def _number(key: str, folder: str) -> int | None:
    """Return the number of the commit that a key below a folder belongs to; None for any other key."""
    if not key.startswith(folder):
        return None
    number = key.removeprefix(folder).partition("/")[0].removesuffix(".json")
    return int(number) if number.isdecimal() else None


def _require(source: Store, destination: Store, moves: Iterable[Move]) -> None:
    """Raise IntegrityError unless the destination has all that the new commits list."""
    sizes = {listed.key: listed.size for listed in destination.list("files/")}
    for move in moves:
        if move.old == move.new.number:
            continue
        for state in read_states(destination, move.new.projects).values():
            for file in state.files:
                if sizes.get(file.key) != file.size or f"{file.key}.metadata" not in sizes:
                    raise IntegrityError(
                        f"{file.key}, which {move.channel} lists, is not whole in {source.address}.",
                        "Run 'wheelbuilder audit --deep --repair' on it, then copy again.",
                    )


def _missing(listing: Iterable[Listed], destination: Store, prefix: str) -> Iterator[Listed]:
    there = {listed.key: listed for listed in destination.list(prefix)}
    for listed in sorted(listing, key=attrgetter("key")):
        held = there.get(listed.key)
        newer = held is not None and prefix in REPLACED and listed.modified > held.modified
        if held is None or held.size != listed.size or newer:
            yield listed


def _newer(source: Store, destination: Store, keys: Sequence[str]) -> Iterator[Listed]:
    """Yield those of a few objects that the destination does not have, or only older."""
    theirs = {it.key: it.modified for key in keys for it in destination.list(key)}
    for listed in (it for key in keys for it in source.list(key)):
        if listed.key in keys and listed.modified > theirs.get(listed.key, 0.0):
            yield listed


def _expected(source: Store, copying: Copying, cache: Path | None) -> dict[str, str]:
    """Return the digests of the metadata to copy, which only states know: new ones, else older ones."""
    keys = [listed.key for listed in copying.shared]
    new = [digest for key in keys if key.startswith("states/") and (digest := named(key))]
    return promised_of(
        source,
        [key for key in keys if key.startswith("files/") and key.endswith(".metadata")],
        (
            lambda: new,
            lambda: [state for move in copying.moves for state in move.new.projects.values()],
            lambda: _states(source, copying.moves),
        ),
        cache,
    )


def _states(source: Store, moves: Iterable[Move]) -> set[str]:
    """Return the states of everything that is copied: of the new commits, and of those kept before them."""
    earlier = (kept_states(source, move.channel, move.new.number) for move in moves)
    return set().union(*(move.new.projects.values() for move in moves), *earlier)


def _require_unused(source: Store, moves: Sequence[Move], damaged: Sequence[str], cache: Path | None) -> None:
    """Raise IntegrityError if a commit or a record refers to something damaged."""
    used = promised(source, _states(source, moves), cache) if damaged else {}
    for key in damaged:
        if key in used or not key.startswith((*PRUNED, *REMEMBERED)):
            raise IntegrityError(
                f"{key} of {source.address} does not have the digest that it should have.",
                "Run 'wheelbuilder audit --deep --repair' on it, then copy again.",
            )


def _advance(destination: Store, move: Move, cache: Path | None) -> None:
    now = datetime.now(UTC)
    head = settle(destination, move.channel, now, cache=cache)  # of an earlier copy that was cut off
    if head.commit.digest == move.new.digest:
        return
    trail = extended(head.trail, head.commit, move.new, now)
    new = Head(commit=move.new, trail=trail)
    etag = write_head(destination, move.channel, new, head) if head.commit.number == move.old else None
    if etag is None:
        raise UnreachableError(
            f"{destination.address}: {move.channel} was written by another meanwhile.", "Copy again."
        )
    under = Ground(base=head.commit, touched=touched(move.new, head.commit))
    complete(destination, move.channel, replace(new, etag=etag), under, {}, cache=cache)
