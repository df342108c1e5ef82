"""Check the files that states name: that they are there, how large they are, and every byte of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import scratch
from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.audit_findings import Finding, Kind, Watch, error, headers, read, remark
from wheelbuilder.mirror.audit_look import Look
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.layout import state_key
from wheelbuilder.mirror.merge import shadows
from wheelbuilder.mirror.states import MirrorFile, Namesakes
from wheelbuilder.mirror.store import Object, Store, each
from wheelbuilder.mirror.wheels import file_digest

SMALL = 4 << 20  # bytes up to which an object is read into memory, with its headers
AT_ONCE = 64  # objects that are read between two words to the watcher
Sizes = Mapping[str, int]
Memo = MutableMapping[str, tuple[Finding, ...]]  # what was found in objects whose bytes were read before


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """Who refers to a file. current: whether a channel holds it now; live: or a snapshot has it on its pages.

    Else only an earlier commit has it.
    """

    file: MirrorFile
    current: bool
    live: bool
    whose: str


def uses(looks: Iterable[Look]) -> dict[str, Use]:
    """Return the files that commits refer to, by key; the newest use of each."""
    found: dict[str, Use] = {}
    for look in looks:
        pinned = look.pinned
        for state, whose in look.needed.items():
            current, live = state in look.current, state in look.current or state in pinned
            for file in look.files.get(state, ()):
                use = Use(file=file, current=current, live=live, whose=pinned.get(state, whose))
                known = found.get(file.key)
                if known is None or (use.current, use.live) > (known.current, known.live):
                    found[file.key] = use
    return found


def presence(store: Store, used: Mapping[str, Use], sizes: Sizes) -> Iterator[Finding]:
    """Find files and metadata that are not there, and files of another size."""
    for key, use in used.items():
        there = key in sizes or store.exists(key)
        if not there:
            yield _missing(use, key, "needs it, but it is missing")
        elif sizes.get(key, use.file.size) != use.file.size:
            words = f"has {sizes[key]} bytes instead of {use.file.size}"
            yield error(key, Kind.DAMAGED, words)
        metadata = f"{key}.metadata"
        if metadata not in sizes and not store.exists(metadata):
            if there:
                yield error(metadata, Kind.MISSING, f"{use.whose} promises it, but it is missing")
            else:
                yield _missing(use, metadata, "promises it, but it is missing")


def _missing(use: Use, key: str, words: str) -> Finding:
    if use.live:
        return error(key, Kind.MISSING, f"{use.whose} {words}")
    return remark(key, Kind.MISSING, f"{use.whose} {words}: nobody can go back to that")


def shadowing(looks: Iterable[Look]) -> Iterator[Finding]:
    """Find files of ours that upstream serves with other bytes; pages do not list them."""
    for look in looks:
        for state in look.states.values():
            theirs = Namesakes(state.upstream if state.files else ())
            for file in state.files:
                if reason := shadows(file, theirs):
                    yield remark(file.key, Kind.SHADOWS, f"shadows: {reason}")


def contents(
    store: Store, used: Mapping[str, Use], sizes: Sizes, memo: Memo, watch: Watch
) -> Iterator[Finding]:
    """Read every file and its metadata and compare the digests; what is missing was found before."""
    wanted = {key: use.file.sha256 for key, use in used.items() if sizes.get(key) == use.file.size}
    wanted |= {f"{key}.metadata": use.file.metadata_sha256 for key, use in used.items()}
    there = {key: sha256 for key, sha256 in wanted.items() if key in sizes}
    yield from digests(store, there, sizes, memo, lambda done: watch("files", done, len(there)))


def states(
    store: Store, looks: Iterable[Look], sizes: Sizes, watch: Watch, *, deep: bool
) -> Iterator[Finding]:
    """Find states of earlier commits that are missing or damaged; without them nobody can go back.

    An error where a kept commit can restore it, or a snapshot stands on it.
    """
    looks = tuple(looks)
    current = {state for look in looks for state in look.current}
    pinned = {state: whose for look in looks for state, whose in look.pinned.items()}
    wanted = {state for look in looks for state in look.sources} | pinned.keys()
    earlier = {state: whose for look in looks for state, whose in look.needed.items() if state not in current}
    for state, whose in earlier.items():
        key = state_key(state)
        if key not in sizes and not store.exists(key):
            finding = error if state in wanted else remark
            yield finding(key, Kind.MISSING, f"{pinned.get(state, whose)} needs it, but it is missing")
    yield from _lacking(store, looks, sizes)
    if deep:
        there = {state_key(state): state for state in earlier if state_key(state) in sizes}
        yield from digests(store, there, sizes, {}, lambda done: watch("earlier states", done, len(there)))


def _lacking(store: Store, looks: Iterable[Look], sizes: Sizes) -> Iterator[Finding]:
    for look in looks:
        for key, state in look.lacking:
            if state in look.sources or state_key(state) in sizes or store.exists(state_key(state)):
                yield error(key, Kind.DAMAGED, f"does not bring the state {state[:12]}, which it changed")


def digests(
    store: Store, wanted: Mapping[str, str], sizes: Sizes, memo: Memo, watch: Callable[[int], None]
) -> Iterator[Finding]:
    """Compare the SHA-256 digests of objects that are there; `memo` spares reading them again."""
    keys = sorted(wanted)
    for start in range(0, len(keys), AT_ONCE):
        batch = keys[start : start + AT_ONCE]
        new = [key for key in batch if key not in memo]
        found = each(lambda key: _verdict(store, key, wanted[key], sizes.get(key, 0)), new)
        memo.update(zip(new, found, strict=True))
        for key in batch:
            yield from memo[key]
        watch(start + len(batch))


def _verdict(store: Store, key: str, wanted: str, size: int) -> tuple[Finding, ...]:
    damaged = error(key, Kind.DAMAGED, "does not have the digest that it should have")
    try:
        if size > SMALL:
            told = _large_digest(store, key)
            return () if told in (wanted, None) else (damaged,)
    except IntegrityError as damage:
        return (error(key, Kind.DAMAGED, str(damage)),)
    found = read(store, key)
    if found is None:
        return ()
    if not isinstance(found, Object):
        return (error(key, Kind.DAMAGED, str(found)),)
    if digest(found.data) != wanted:
        return (damaged,)
    return tuple(filter(None, [headers(key, found)]))


def _large_digest(store: Store, key: str) -> str | None:
    with scratch.temporary("audit") as folder:
        path = Path(folder, "object")
        return file_digest(path) if store.download(key, path) else None
