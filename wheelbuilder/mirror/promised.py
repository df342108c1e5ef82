"""The digests that objects should have: by their own keys, and by the states that refer to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.layout import state_key
from wheelbuilder.mirror.read import kept_numbers, read_history, state_bytes
from wheelbuilder.mirror.states import MirrorFile, ProjectState
from wheelbuilder.mirror.store import Store, each


def named(key: str) -> str | None:
    """Return the digest that a key names; None where it names none, as with metadata."""
    parts = key.split("/")
    if parts[0] in ("files", "sdists"):
        return None if parts[-1].endswith((".metadata", ".provenance")) else parts[1]
    return parts[1].removesuffix(".json") if parts[0] == "states" else None


def promised(store: Store, states: Iterable[str], cache: Path | None) -> dict[str, str]:
    """Return the digests of states and of the files and metadata that they list, by key.

    A state that is missing or damaged stands there with its own only.
    """
    names = tuple(dict.fromkeys(states))
    found = {state_key(name): name for name in names}
    for files in each(lambda name: _files(store, name, cache), names):
        for file in files:
            found |= {file.key: file.sha256, f"{file.key}.metadata": file.metadata_sha256}
    return found


def promised_of(
    store: Store,
    keys: Iterable[str],
    sources: Iterable[Callable[[], Iterable[str]]],
    cache: Path | None,
) -> dict[str, str]:
    """Return `promised` of as many sources of states, in their order, as it takes to know these keys."""
    wanted = set(keys)
    found: dict[str, str] = {}
    for states in sources:
        if wanted <= found.keys():
            break
        found |= promised(store, states(), cache)
    return found


def kept_states(store: Store, channel: str, most: int) -> set[str]:
    """Return the states that a channel's kept commits hold, up to a number; IntegrityError for damage."""
    numbers = [number for number in kept_numbers(store, channel) if number <= most]
    kept = each(lambda number: read_history(store, channel, number), numbers)
    return {state for it in kept if it for state in it.commit.projects.values()}


def _files(store: Store, name: str, cache: Path | None) -> tuple[MirrorFile, ...]:
    with suppress(IntegrityError):
        return ProjectState.from_bytes(state_bytes(store, [name], cache=cache)[name], state_key(name)).files
    return ()
