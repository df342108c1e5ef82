"""Walk a channel's history from its head backwards: what each kept commit should be, and what it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from wheelbuilder.errors import IntegrityError, WheelbuilderError
from wheelbuilder.mirror.audit_findings import Finding, Kind, error, headers, read
from wheelbuilder.mirror.commits import Commit, History, ancestors, parent_of
from wheelbuilder.mirror.documents import REPAIR, digest
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import commit_key, head_key
from wheelbuilder.mirror.read import read_commit
from wheelbuilder.mirror.store import Object, Store, each

AT_ONCE = 32  # commits that are read at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """A commit that is kept or should be.

    expected: what the head or the commit after it says it is, None if neither can be read. history: what is
    kept, None unless it is right.
    """

    number: int
    key: str
    expected: Commit | None
    history: History | None
    findings: tuple[Finding, ...]

    @property
    def commit(self) -> Commit | None:
        """The commit, as far as anything tells what it is."""
        return self.history.commit if self.history else self.expected

    @property
    def lacking(self) -> frozenset[str]:
        """The states that it changed and does not bring."""
        return brought(self.history) - self.history.states.keys() if self.history else frozenset()


def walk(store: Store, channel: str, head: Head | None, numbers: Collection[int]) -> Iterator[Visit]:
    """Visit the commits of a channel, newest first. head: None if it cannot be read; numbers: those stored.

    A kept commit with a step back must have its predecessor beside it; one without begins a stretch of
    history, because what was before it has been pruned, or is lost.
    """
    documents = _Documents(store=store, channel=channel, left=sorted(numbers, reverse=True))
    known = _known(head, channel)
    newest = max(known, default=0)
    number = max({*numbers, newest}, default=0)
    expected = known.get(number) if number == newest else None
    while number > 0:
        visit = _visit(documents, channel, number, expected)
        yield visit
        expected = _before(visit, known)
        number = number - 1 if expected else max({it for it in (*numbers, newest) if it < number}, default=0)
        if number == newest:
            expected = known.get(number)


def off_the_line(store: Store, channel: str, commit: Commit) -> str | None:
    """Say how a head contradicts a kept commit that follows from the one before it, or None.

    Then the head is wrong, and not that commit: a write has moved it back long after it was sent, or it is
    another channel's.
    """
    number = commit.number
    try:
        kept = read_commit(store, channel, number) if number else None
        before = read_commit(store, channel, number - 1) if number > 1 else None
        if kept and before and kept.digest != commit.digest and kept.parent == before.digest:
            return f"is not the commit {number} that is kept"
        first = read_commit(store, channel, number - 2) if before and not kept and number > 2 else None
    except WheelbuilderError:
        return None
    if before and first and before.digest != commit.parent and before.parent == first.digest:
        return f"does not follow from the commit {number - 1} that is kept"
    return None


def brought(history: History) -> frozenset[str]:
    """Return the digests of the states that a kept commit should bring."""
    commit, step = history.commit, history.step
    names = commit.projects.keys() if step is None else step.projects.keys() & commit.projects.keys()
    return frozenset(commit.projects[name] for name in names)


@dataclass(kw_only=True, slots=True)
class _Documents:
    """The stored commits, read several at a time, in falling order."""

    store: Store
    channel: str
    left: list[int]
    read: dict[int, Object | IntegrityError | None] = field(default_factory=dict)

    def get(self, number: int) -> Object | IntegrityError | None:
        if number not in self.read and self.left and number >= self.left[-1]:
            batch = [it for it in self.left if it <= number][:AT_ONCE]
            found = each(lambda it: read(self.store, commit_key(self.channel, it)), batch)
            self.read = dict(zip(batch, found, strict=True))
        return self.read.pop(number, None)


def _known(head: Head | None, channel: str) -> Mapping[int, Commit]:
    if head is None or not head.commit.number:
        return {}
    try:
        chain = ancestors(head.commit, head.unsettled, head_key(channel))
    except IntegrityError:  # the seal holds, so somebody wrote it so: the kept commits decide
        chain = (head.commit,)
    return {commit.number: commit for commit in chain if commit.number}


def _before(visit: Visit, known: Mapping[int, Commit]) -> Commit | None:
    if visit.history is None:
        return known.get(visit.number - 1)
    if visit.history.step is None:
        return None
    return parent_of(visit.history.commit, visit.history.step, visit.key)


def _visit(documents: _Documents, channel: str, number: int, expected: Commit | None) -> Visit:
    key = commit_key(channel, number)
    found = documents.get(number)
    history, findings = None, []
    if found is None:
        findings.append(error(key, Kind.MISSING, "is missing from the history"))
    else:
        try:
            history = _checked(found, key, number, expected)
        except WheelbuilderError as damage:
            findings.append(error(key, Kind.DAMAGED, str(damage)))
    if history and isinstance(found, Object) and (finding := headers(key, found)):
        findings.append(finding)
    return Visit(
        number=number, key=key, expected=expected, history=history, findings=tuple(filter(None, findings))
    )


def _checked(found: Object | IntegrityError, key: str, number: int, expected: Commit | None) -> History:
    if isinstance(found, IntegrityError):
        raise found
    history = History.from_bytes(found.data, key)
    if expected and history.commit.digest != expected.digest:
        raise IntegrityError(
            f"{key} is not the commit that its successor, or the head, was made from.", REPAIR
        )
    if history.commit.number != number or (history.step and number == 1):
        raise IntegrityError(f"{key} is not commit {number}.", REPAIR)
    if history.step:
        parent_of(history.commit, history.step, key)
    wrong = history.states.keys() - brought(history)
    wrong |= {name for name, data in history.states.items() if digest(data) != name}
    if wrong:
        raise IntegrityError(f"{key} brings states that it did not change, or other bytes.", REPAIR)
    return history
