"""Put right what an audit finds: planned as a whole on a journal, shown, then carried out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.audit import Examined, Finding, Kind, Severity, examine
from wheelbuilder.mirror.audit_channel import PATIENCE
from wheelbuilder.mirror.audit_files import Memo
from wheelbuilder.mirror.audit_findings import Watch, read, silent
from wheelbuilder.mirror.audit_look import Look
from wheelbuilder.mirror.documents import SCHEMA, digest, is_sealed
from wheelbuilder.mirror.layout import (
    blob_keys,
    commit_key,
    commits_prefix,
    head_key,
    snapshots_key,
    state_key,
)
from wheelbuilder.mirror.repair_deeds import Deed, Remedy, Repairs, write
from wheelbuilder.mirror.repair_files import replace_states, restore_metadata, right_gap, take_off
from wheelbuilder.mirror.repair_history import keep_head, restore_commits, restore_head, restore_states
from wheelbuilder.mirror.repair_journal import Journal
from wheelbuilder.mirror.repair_pages import restore_list, restore_pages, restore_snapshots
from wheelbuilder.mirror.repair_records import restore_marks, restore_records
from wheelbuilder.mirror.store import Object, Store

MOST_ROUNDS = 6  # each makes readable what the next one needs: heads, then states and commits, then pages


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """A repair as planned. before, after: what an audit finds now, and once it is carried out.

    heads: ETags of the heads that were seen. needed: keys that the store relies on then.
    """

    before: tuple[Finding, ...]
    after: tuple[Finding, ...]
    remedies: tuple[Remedy, ...]
    journal: Journal
    heads: Mapping[str, str | None]
    needed: frozenset[str]

    @property
    def lost(self) -> tuple[Remedy, ...]:
        """What cannot be restored."""
        return tuple(remedy for remedy in self.remedies if remedy.deed is Deed.LOST)

    def carry_out(self) -> None:
        """Write and delete; raises UnreachableError if another writer was there since the audit."""
        if len(self.journal):
            self.journal.carry_out(self.heads, self.needed)


def plan(
    store: Store,
    *,
    deep: bool,
    now: datetime,
    cache: Path | None = None,
    patience: float = PATIENCE,
    watch: Watch = silent,
) -> Repair:
    """Audit, and plan what puts right as much as can be; writes nothing. cache: a folder that keeps states.

    Raises ConfigurationError where a newer wheelbuilder has written.
    """
    memo: Memo = {}
    repairs = Repairs(store=Journal(store), now=now, cache=cache)
    seen = examine(store, deep=deep, patience=patience, memo=memo, watch=watch)
    before, heads = seen.findings, {head_key(it.name): it.head.etag for it in seen.looks if it.head}
    for _ in range(MOST_ROUNDS):
        done = len(repairs.store)
        _round(repairs, seen)
        if len(repairs.store) == done:
            break
        for key in repairs.store.touched:
            memo.pop(key, None)
        seen = examine(repairs.store, deep=deep, patience=patience, memo=memo, watch=watch)
    return Repair(
        before=before,
        after=seen.findings,
        remedies=tuple(repairs.remedies),
        journal=repairs.store,
        heads=heads,
        needed=frozenset(_needed(seen)),
    )


def _needed(seen: Examined) -> Iterator[str]:
    """Yield the states and files that heads and snapshots have."""
    for look in seen.looks:
        yield from map(state_key, (*look.current, *look.pinned))
        yield from (commit_key(look.name, number) for number in look.snapshots)
    for key, use in seen.used.items():
        if use.live:
            yield from blob_keys(key)


def _round(repairs: Repairs, seen: Examined) -> None:
    """Repair what can be with what is readable now, lowest things first."""
    errors = [finding for finding in seen.findings if finding.severity is Severity.ERROR]
    for finding in errors:
        _refuse_newer(repairs.store, finding.key)
    restore_marks(repairs)
    _rewrite(repairs, errors)
    keys = {finding.key for finding in errors if finding.kind is not Kind.HEADERS}
    if _heads(repairs, seen.looks, keys):
        return
    lost = _states(repairs, seen.looks, keys)
    for look in seen.looks:
        restore_commits(repairs, look, {key for key in keys if key.startswith(commits_prefix(look.name))})
        if snapshots_key(look.name) in keys:
            restore_list(repairs, look)
        mine = {key for key in keys if key.startswith(f"channels/{look.name}/") and key.endswith(".html")}
        restore_pages(repairs, look, mine)
        restore_snapshots(repairs, look, mine)
        if lost & look.current:
            replace_states(repairs, look, lost)
        elif head_key(look.name) in keys and look.head:
            right_gap(repairs, look)
        elif look.current <= {digest for digest in look.needed if repairs.store.exists(state_key(digest))}:
            keep_head(repairs, look)
    _files(repairs, seen, keys)
    restore_records(repairs, keys)


def _rewrite(repairs: Repairs, errors: Iterable[Finding]) -> None:
    for finding in errors:
        found = read(repairs.store, finding.key) if finding.kind is Kind.HEADERS else None
        if isinstance(found, Object):
            write(repairs.store, finding.key, found.data)
            repairs.note(finding.key, Deed.RESTORED, "the same bytes with the right headers")


def _heads(repairs: Repairs, looks: Iterable[Look], keys: set[str]) -> bool:
    """Restore heads; says whether any was, for then everything has to be looked at again."""
    done = len(repairs.store)
    for look in looks:
        if head_key(look.name) in keys:
            restore_head(repairs, look)
    return len(repairs.store) > done


def _states(repairs: Repairs, looks: tuple[Look, ...], keys: set[str]) -> frozenset[str]:
    """Restore states; returns those that are lost, without those that only earlier commits need."""
    bad = {key.removeprefix("states/").removesuffix(".json") for key in keys if key.startswith("states/")}
    if not bad:
        return frozenset()
    lost = restore_states(repairs, looks, bad)
    current = {state for look in looks for state in look.current}
    for state in sorted(lost - current):
        repairs.store.delete([state_key(state)])
        repairs.note(state_key(state), Deed.LOST, f"cannot be restored: {_without(looks, state)}")
    return lost & current


def _without(looks: tuple[Look, ...], state: str) -> str:
    """Say what the loss of an earlier state means."""
    for look in looks:
        if state in look.pinned:
            return f"{look.pinned[state]} cannot be checked; 'wheelbuilder snapshot --remove' removes it"
    whose = next((look.needed[state] for look in looks if state in look.needed), "an earlier commit")
    return f"{whose} cannot be rolled back to"


def _files(repairs: Repairs, seen: Examined, keys: set[str]) -> None:
    bad = {key for key in keys if key in seen.used}
    metadata = {key for key in keys if key.removesuffix(".metadata") in seen.used} - bad
    of_bad = {key for key in metadata if key.removesuffix(".metadata") in bad}
    bad_metadata = restore_metadata(repairs, seen.used, metadata - of_bad)
    if bad | bad_metadata:
        take_off(repairs, seen.looks, seen.used, bad | bad_metadata)
        repairs.store.delete(sorted(bad | of_bad))
    strays = {key for key in keys if key.startswith("files/") and key.endswith(".provenance")}
    for key in sorted(strays):
        repairs.store.delete([key])
        repairs.note(key, Deed.LOST, "cannot be restored")


def _refuse_newer(store: Store, key: str) -> None:
    """Raise ConfigurationError for a document that a newer wheelbuilder wrote: it is not damaged."""
    found = read(store, key)
    if not isinstance(found, Object) or not key.endswith(".json"):
        return
    try:
        values = json.loads(found.data)
    except ValueError:
        return
    schema = values.get("schema") if isinstance(values, dict) else None
    if not isinstance(schema, int) or schema <= SCHEMA:
        return
    if is_sealed(found.data) or state_key(digest(found.data)) == key:
        raise ConfigurationError(
            f"{key} has schema {schema}, and this wheelbuilder knows none after {SCHEMA}.",
            "A newer wheelbuilder wrote it: repair with that one.",
        )
