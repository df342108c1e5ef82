"""Check a store in both directions: head, history, states, pages, files, digests, records, and orphans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror import audit_files
from wheelbuilder.mirror.audit_channel import PATIENCE, at_rest
from wheelbuilder.mirror.audit_files import Memo, Sizes, Use
from wheelbuilder.mirror.audit_findings import (
    Finding,
    Kind,
    Severity,
    Watch,
    is_clean,
    remark,
    silent,
)
from wheelbuilder.mirror.audit_look import Look
from wheelbuilder.mirror.audit_records import audit_records
from wheelbuilder.mirror.layout import CHANNEL, blob_keys, check_channel, state_key
from wheelbuilder.mirror.store import Store

__all__ = ["Examined", "Finding", "Kind", "Severity", "audit", "examine", "is_clean"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What an audit has seen: the channels, the files they refer to, what is stored, and what is wrong."""

    looks: tuple[Look, ...]
    used: Mapping[str, Use]
    sizes: Sizes
    findings: tuple[Finding, ...]


def audit(
    store: Store,
    channel: str | None = None,
    *,
    deep: bool = False,
    patience: float = PATIENCE,
    watch: Watch = silent,
) -> tuple[Finding, ...]:
    """Return everything that is wrong with a channel, or with all; `deep` also reads every byte.

    What nothing refers to is information: a writer may have died, or be at work. patience: seconds without a
    write after which an unfinished publication is taken for one that died. ConfigurationError if the store
    has no such channel.
    """
    return examine(store, channel, deep=deep, patience=patience, watch=watch).findings


def examine(
    store: Store,
    channel: str | None = None,
    *,
    deep: bool = False,
    patience: float = PATIENCE,
    memo: Memo | None = None,
    watch: Watch = silent,
) -> Examined:
    """Audit and return what was seen besides. memo: what is known of objects that need not be read again."""
    names = _names(store, channel)
    looks = tuple(at_rest(store, name, deep=deep, patience=patience, watch=watch) for name in names)
    sizes = {listed.key: listed.size for listed in store.list()}  # after the heads: has all they refer to
    used = audit_files.uses(looks)
    findings = [finding for look in looks for finding in look.findings]
    findings += audit_files.states(store, looks, sizes, watch, deep=deep)
    findings += audit_files.presence(store, used, sizes)
    findings += audit_files.shadowing(looks)
    memo = {} if memo is None else memo
    if deep:
        findings += audit_files.contents(store, used, sizes, memo, watch)
    if deep and channel is None:
        findings += audit_records(store, looks, used, sizes, memo, watch)
    if channel is None:
        findings += _orphans(looks, used, sizes)
        findings += _outside(sizes)
    return Examined(looks=looks, used=used, sizes=sizes, findings=tuple(sorted(set(findings))))


def _names(store: Store, channel: str | None) -> tuple[str, ...]:
    there = sorted(name for name in store.folders("channels/") if CHANNEL.fullmatch(name))
    asked = (name for name in there if channel in (None, name))
    names = [name for name in asked if any(store.list(f"channels/{name}/"))]  # a folder may be empty
    if channel:
        check_channel(channel)
    if not names:
        what = f"channel {channel!r}" if channel else "channel at all"
        raise ConfigurationError(f"{store.address} has no {what}.", "Check the address, or publish first.")
    return tuple(names)


def _orphans(looks: Iterable[Look], used: Iterable[str], sizes: Iterable[str]) -> Iterator[Finding]:
    """Find states and files that no commit of any channel refers to."""
    referred = {state_key(state) for look in looks for state in look.needed}
    referred |= {key for blob in used for key in blob_keys(blob)}
    for key in sizes:
        if key.startswith(("files/", "states/")) and key not in referred:
            yield remark(key, Kind.ORPHAN, "no commit refers to it")


def _outside(sizes: Iterable[str]) -> Iterator[Finding]:
    """Find what lies among the channels and is below no name that a channel can have."""
    for key in sizes:
        if key.startswith("channels/") and not CHANNEL.fullmatch(key.removeprefix("channels/").split("/")[0]):
            yield remark(key, Kind.ORPHAN, "is below no name that a channel can have")
