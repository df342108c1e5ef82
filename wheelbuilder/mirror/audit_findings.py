"""What an audit finds, as values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.layout import cache_control, content_type
from wheelbuilder.mirror.store import Object, Store

Watch = Callable[[str, int, int], None]  # what is being read, how many are done, of how many


class Severity(StrEnum):
    """Whether a finding makes the store unclean.

    Errors are what readers could see wrong and what a repair can put right. The loss of what only a rollback
    or a curious person needs is information once nothing can bring it back.
    """

    ERROR = "error"
    INFORMATION = "information"


class Kind(StrEnum):
    """What a finding is about, which decides what a repair does."""

    MISSING = "missing"
    DAMAGED = "damaged"
    HEADERS = "headers"
    EXTRA = "extra"
    SHADOWS = "shadows"
    ORPHAN = "orphan"
    BUSY = "busy"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Finding:
    """One thing that is not as it should be: the key, and in words what about it."""

    severity: Severity
    key: str
    kind: Kind
    complaint: str


def error(key: str, kind: Kind, complaint: str) -> Finding:
    """Return a finding that makes the store unclean. complaint: what begins with the key is cut."""
    complaint = complaint.removeprefix(f"{key} ").removeprefix(f"{key}: ")
    return Finding(severity=Severity.ERROR, key=key, kind=kind, complaint=complaint)


def remark(key: str, kind: Kind, complaint: str) -> Finding:
    """Return a finding that is information."""
    return Finding(severity=Severity.INFORMATION, key=key, kind=kind, complaint=complaint)


def is_clean(findings: Iterable[Finding]) -> bool:
    """Say whether no finding is an error."""
    return all(finding.severity is not Severity.ERROR for finding in findings)


def read(store: Store, key: str) -> Object | IntegrityError | None:
    """Return what a key holds, or the store's own word that it is damaged."""
    try:
        return store.get(key)
    except IntegrityError as damage:
        return damage


def headers(key: str, found: Object) -> Finding | None:
    """Compare the headers that an object is stored with, in a store that keeps any, with those of its key."""
    if found.content_type is None:
        return None
    wanted = {"content type": content_type(key), "Cache-Control": cache_control(key)}
    stored = {"content type": found.content_type, "Cache-Control": found.cache_control}
    wrong = [name for name, value in stored.items() if value != wanted[name]]
    if not wrong:
        return None
    words = " and ".join(f"{name} {stored[name] or '(none)'} instead of {wanted[name]}" for name in wrong)
    return error(key, Kind.HEADERS, f"is stored with the {words}")


def silent(what: str, done: int, total: int) -> None:
    """Watch nothing."""
