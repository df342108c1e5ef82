"""Reading a channel: its head, its history, its states, and its contents as the planner wants them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.build.cache import cache_home
from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.commits import Commit, History
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import REPAIR, digest
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import check_channel, commit_key, commits_prefix, head_key, state_key
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Store, each
from wheelbuilder.plan.files import IndexFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """What the gap view of a channel lists: for each project our files, as the planner sees them."""

    name: str
    number: int  # of the commit; 0 before the first
    projects: Mapping[NormalizedName, tuple[IndexFile, ...]]


def contents(
    store: Store,
    channel: str,
    *,
    projects: Collection[NormalizedName] | None = None,
    cache: Path | None = None,
) -> Channel:
    """Read our files of some projects of a channel (None: of all); `cache` is a folder that keeps states."""
    commit = read_head(store, check_channel(channel)).commit
    held = gap_files(store, commit, projects=projects, cache=cache)
    return Channel(name=channel, number=commit.number, projects=held)


def gap_files(
    store: Store,
    commit: Commit,
    *,
    projects: Collection[NormalizedName] | None = None,
    cache: Path | None = None,
) -> dict[NormalizedName, tuple[IndexFile, ...]]:
    """Read what the gap view of a commit lists of some projects (None: of all)."""
    names = commit.gap if projects is None else commit.gap & set(projects)
    states = read_states(store, {name: commit.projects[name] for name in sorted(names)}, cache=cache)
    return {name: tuple(file.as_index_file() for file in state.in_gap) for name, state in states.items()}


def gap_states(store: Store, commit: Commit, *, cache: Path | None = None) -> tuple[ProjectState, ...]:
    """Read the states of the projects that the gap view of a commit has, sorted by name."""
    wanted = {name: commit.projects[name] for name in sorted(commit.gap)}
    return tuple(read_states(store, wanted, cache=cache).values())


def published_metadata(store: Store, file: IndexFile) -> bytes | None:
    """Read the METADATA beside one of our wheels (PEP 658); None where it is gone."""
    found = store.get(f"{file.url}.metadata")
    return found.data if found else None


def states_cache() -> Path:
    """Return where this machine keeps project states by digest, so that unchanged ones are not read again."""
    return cache_home() / "states"


def read_head(store: Store, channel: str) -> Head:
    """Read a channel's current commit; number 0 where nothing was ever published.

    Raises IntegrityError for a damaged head, and for a missing one where the channel has commits.
    """
    key = head_key(channel)
    found = store.get(key)
    if found:
        return Head.from_bytes(found.data, key, found.etag)
    if any(store.list(commits_prefix(channel))) and not store.exists(key):
        raise IntegrityError(f"{key} is missing, but {channel} has commits.", REPAIR)
    return Head(commit=Commit(number=0))


def refuse_lost(store: Store, channel: str) -> None:
    """Raise IntegrityError for a channel that has lost head and commits: nobody knows what it held.

    A new line of commits would begin at 1 beside pages that readers know by higher numbers.
    """
    head = head_key(channel)
    if any(store.list(f"channels/{channel}/")) and not store.exists(head):
        raise IntegrityError(
            f"{head} is missing, but the channel has other objects.",
            f"Restore it from a copy, or give it up: 'wheelbuilder channel remove {channel}'.",
        )


def kept_numbers(store: Store, channel: str) -> tuple[int, ...]:
    """Return the numbers of the commits that a channel keeps, oldest first."""
    prefix = commits_prefix(channel)
    names = (listed.key.removeprefix(prefix).removesuffix(".json") for listed in store.list(prefix))
    return tuple(sorted(int(name) for name in names if name.isascii() and name.isdigit()))


def read_history(store: Store, channel: str, number: int) -> History | None:
    """Read a commit as it is kept, or None if it is not; IntegrityError if it is damaged."""
    key = commit_key(channel, number)
    found = store.get(key)
    return History.from_bytes(found.data, key) if found else None


def read_commit(store: Store, channel: str, number: int) -> Commit | None:
    """Read an earlier commit, or None if it is not kept; commit 0 is the empty one."""
    if number == 0:
        return Commit(number=0)
    history = read_history(store, channel, number)
    return history.commit if history else None


def read_states(
    store: Store, digests: Mapping[NormalizedName, str], *, cache: Path | None = None
) -> dict[NormalizedName, ProjectState]:
    """Read project states by their digests, several at a time; IntegrityError if one is not what it says."""
    data = state_bytes(store, digests.values(), cache=cache)
    return {name: parse_state(data[wanted], name, wanted) for name, wanted in digests.items()}


def state_bytes(store: Store, digests: Iterable[str], *, cache: Path | None = None) -> dict[str, bytes]:
    """Read states as they are stored, by digest; IntegrityError if one is missing or not what it says."""
    kept = DirectoryStore(cache) if cache else None
    wanted = list(dict.fromkeys(digests))
    at_hand = {name: data for name in wanted if kept and (data := _from(kept, name)) is not None}
    missing = [name for name in wanted if name not in at_hand]
    read = dict(zip(missing, each(lambda name: _state_bytes(store, name), missing), strict=True))
    keep_states(cache, read)
    return {name: at_hand.get(name) or read[name] for name in wanted}


def keep_states(cache: Path | None, states: Mapping[str, bytes]) -> None:
    """Keep states that were just written, by digest, so that the next run need not read them."""
    if cache:
        kept = DirectoryStore(cache)
        for name, data in states.items():
            kept.put(state_key(name), data, content_type="", cache_control="", if_none_match=True)


def parse_state(data: bytes, name: NormalizedName, wanted: str) -> ProjectState:
    """Read a state; IntegrityError if it is damaged or of another project."""
    key = state_key(wanted)
    state = ProjectState.from_bytes(data, key)
    if state.name != name:
        raise IntegrityError(f"{key} is of {state.name}, but the channel has it for {name}.", REPAIR)
    return state


def _state_bytes(store: Store, wanted: str) -> bytes:
    data = _from(store, wanted)
    if data is None:
        problem = (
            "does not have the digest that its name says" if store.exists(state_key(wanted)) else "is missing"
        )
        raise IntegrityError(f"{state_key(wanted)}, which a commit needs, {problem}.", REPAIR)
    return data


def _from(store: Store, wanted: str) -> bytes | None:
    found = store.get(state_key(wanted))
    return found.data if found and digest(found.data) == wanted else None
