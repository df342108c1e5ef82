"""Reading a channel: its head, its states, and its contents as the planner wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import check_channel, commit_key, head_key, state_key
from wheelbuilder.mirror.states import REPAIR, Commit, ProjectState, digest
from wheelbuilder.mirror.store import Store, each
from wheelbuilder.plan.files import IndexFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The current commit with its bytes; before the first one, number 0 and no ETag."""

    commit: Commit
    data: bytes = b""
    etag: str | None = None

    @property
    def digest(self) -> str:
        """The digest that the next commit names as its parent."""
        return digest(self.data) if self.data else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """A channel's contents: for each project our files, as the planner sees them."""

    name: str
    number: int  # of the commit; 0 before the first
    projects: Mapping[NormalizedName, tuple[IndexFile, ...]]


def contents(store: Store, channel: str, *, cache: Path | None = None) -> Channel:
    """Read our files of a channel; `cache` is a folder that keeps states between runs, by digest."""
    head = read_head(store, check_channel(channel))
    wanted = {name: head.commit.projects[name] for name in sorted(head.commit.gap)}
    states = read_states(store, wanted, cache=cache)
    projects = {name: tuple(file.as_index_file() for file in state.served) for name, state in states.items()}
    return Channel(name=channel, number=head.commit.number, projects=projects)


def read_head(store: Store, channel: str) -> Head:
    """Read a channel's current commit; number 0 where nothing was ever published."""
    key = head_key(channel)
    found = store.get(key)
    if found is None:
        return Head(commit=Commit(number=0))
    return Head(commit=Commit.from_bytes(found.data, key), data=found.data, etag=found.etag)


def read_commit(store: Store, channel: str, number: int) -> Commit | None:
    """Read an earlier commit, or None if it is not kept; commit 0 is the empty one."""
    if number == 0:
        return Commit(number=0)
    key = commit_key(channel, number)
    found = store.get(key)
    return Commit.from_bytes(found.data, key) if found else None


def read_states(
    store: Store, digests: Mapping[NormalizedName, str], *, cache: Path | None = None
) -> dict[NormalizedName, ProjectState]:
    """Read project states by their digests, several at a time; IntegrityError if one is not what it says."""
    kept = DirectoryStore(cache) if cache else None
    names = list(digests)
    return dict(
        zip(names, each(lambda name: _read_state(store, kept, name, digests[name]), names), strict=True)
    )


def _read_state(store: Store, cache: Store | None, name: NormalizedName, wanted: str) -> ProjectState:
    key = state_key(wanted)
    for source in (cache, store):
        found = source.get(key) if source else None
        if found and digest(found.data) == wanted:
            if cache and source is store:
                cache.put(key, found.data, content_type="", cache_control="", if_none_match=True)
            return _of_project(ProjectState.from_bytes(found.data, key), name, key)
    if found:
        raise IntegrityError(f"{key} does not have the digest that its name says.", REPAIR)
    raise IntegrityError(f"{key}, which the channel needs for {name}, is missing.", REPAIR)


def _of_project(state: ProjectState, name: NormalizedName, key: str) -> ProjectState:
    if state.name != name:
        raise IntegrityError(f"{key} is of {state.name}, but the channel has it for {name}.", REPAIR)
    return state
