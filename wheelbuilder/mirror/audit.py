"""Check a store in both directions: head, history, states, pages, blobs and digests, and orphans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from packaging.utils import NormalizedName

from wheelbuilder.errors import ConfigurationError, WheelbuilderError
from wheelbuilder.mirror.commits import Commit, History
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.layout import (
    View,
    channels,
    check_channel,
    commit_key,
    head_key,
    page_key,
    state_key,
)
from wheelbuilder.mirror.merge import shadows
from wheelbuilder.mirror.pages import Page, project_pages, root_pages
from wheelbuilder.mirror.read import Head, read_head
from wheelbuilder.mirror.states import MirrorFile, ProjectState
from wheelbuilder.mirror.store import Store, each

MOST_TURNS = 5  # how often an audit begins again because a publisher moved the head


class Severity(StrEnum):
    """Whether a finding makes the store unclean."""

    ERROR = "error"
    INFORMATION = "information"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Finding:
    """One thing that is not as it should be: the key, and in words what about it."""

    severity: Severity
    key: str
    complaint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Channel:
    """A channel as far as it can be read."""

    name: str
    head: Head
    states: Mapping[NormalizedName, ProjectState]


def audit(store: Store, channel: str | None = None, *, deep: bool = False) -> tuple[Finding, ...]:
    """Return everything that is wrong with a channel, or with all; `deep` also reads every blob.

    What nothing refers to is information: a writer may have died, or be at work. ConfigurationError if
    the store has no such channel.
    """
    sizes = {listed.key: listed.size for listed in store.list()}
    names = (check_channel(channel),) if channel else channels(sizes)
    if not names or (channel and head_key(channel) not in sizes):
        what = f"channel {channel!r}" if channel else "channel at all"
        raise ConfigurationError(f"{store.address} has no {what}.", "Check the address, or publish first.")
    findings = [finding for name in names for finding in _at_rest(store, name, sizes, deep=deep)]
    if channel is None:
        findings += _orphans(store, sizes, names)
    return tuple(sorted(set(findings)))


def is_clean(findings: Iterable[Finding]) -> bool:
    """Say whether no finding is an error."""
    return all(finding.severity is not Severity.ERROR for finding in findings)


def _at_rest(store: Store, name: str, sizes: Mapping[str, int], *, deep: bool) -> list[Finding]:
    """Audit a channel; again while publishers move its head, for then the halves do not belong together."""
    for _ in range(MOST_TURNS):
        before = store.get(head_key(name))
        findings = list(_channel_findings(store, name, sizes, deep=deep))
        after = store.get(head_key(name))
        if (before and before.etag) == (after and after.etag):
            break
        sizes = {listed.key: listed.size for listed in store.list()}
    return findings


def _channel_findings(store: Store, name: str, sizes: Mapping[str, int], *, deep: bool) -> Iterator[Finding]:
    try:
        head = read_head(store, name)
    except WheelbuilderError as error:
        yield _error(head_key(name), str(error))
        return
    yield from _history(store, name, head)
    states, findings = _read_states(store, head.commit)
    yield from findings
    channel = _Channel(name=name, head=head, states=states)
    yield from _pages(store, channel, sizes)
    for state in states.values():
        yield from _files(state, sizes)
    if deep:
        yield from _bytes(store, {file.key: file for state in states.values() for file in state.files})


def _history(store: Store, name: str, head: Head) -> Iterator[Finding]:
    """Follow the parents from the head back to the first commit."""
    wanted = head.commit.digest
    for number in range(head.commit.number, 0, -1):
        key = commit_key(name, number)
        found = store.get(key)
        if found is None:
            yield _error(key, "is missing from the history")
            return
        commit = History.from_bytes(found.data, key).commit
        if commit.digest != wanted:
            yield _error(key, "is not the commit that its successor, or the head, was made from")
            return
        wanted = commit.parent


def _read_states(store: Store, commit: Commit) -> tuple[dict[NormalizedName, ProjectState], list[Finding]]:
    states: dict[NormalizedName, ProjectState] = {}
    findings = []
    names = sorted(commit.projects)
    objects = each(lambda name: store.get(state_key(commit.projects[name])), names)
    for name, found in zip(names, objects, strict=True):
        key = state_key(commit.projects[name])
        if found is None:
            findings.append(_error(key, f"the state of {name} is missing"))
        elif digest(found.data) != commit.projects[name]:
            findings.append(_error(key, "does not have the digest that its name says"))
        else:
            try:
                states[name] = ProjectState.from_bytes(found.data, key)
            except WheelbuilderError as error:
                findings.append(_error(key, str(error)))
    return states, findings


def _pages(store: Store, channel: _Channel, sizes: Mapping[str, int]) -> Iterator[Finding]:
    commit = channel.head.commit
    for name, state in channel.states.items():
        for page in project_pages(channel.name, state):
            yield from _page(store, page)
        if bool(state.in_gap) != (name in commit.gap):
            yield _error(head_key(channel.name), f"is wrong about {name} in the gap view")
    for page in root_pages(channel.name, commit.gap, commit.projects):
        yield from _page(store, page)
    known = {page_key(channel.name, view, name) for view in View for name in (None, *commit.projects)}
    for view in View:
        folder = f"channels/{channel.name}/{view}/"
        for key in sizes:
            if key.startswith(folder) and key not in known:
                yield _error(key, "is a page of no project of the channel")


def _page(store: Store, page: Page) -> Iterator[Finding]:
    found = store.get(page.key)
    if page.data is None and found is not None:
        yield _error(page.key, "is a page without files: it must not be there")
    elif page.data is not None and found is None:
        yield _error(page.key, "the page is missing")
    elif found and found.data != page.data:
        yield _error(page.key, "the page is not what the project's state renders to")


def _files(state: ProjectState, sizes: Mapping[str, int]) -> Iterator[Finding]:
    for file in state.files:
        if file.key not in sizes:
            yield _error(file.key, f"the pages of {state.name} link to it, but it is missing")
        elif sizes[file.key] != file.size:
            yield _error(file.key, f"has {sizes[file.key]} bytes instead of {file.size}")
        if f"{file.key}.metadata" not in sizes:
            yield _error(f"{file.key}.metadata", f"the pages of {state.name} promise it, but it is missing")
        if reason := shadows(file, state.upstream):
            yield Finding(severity=Severity.INFORMATION, key=file.key, complaint=f"shadows: {reason}")


def _bytes(store: Store, files: Mapping[str, MirrorFile]) -> Iterator[Finding]:
    """Read every blob and its metadata and compare the digests; what is missing was found before."""
    wanted = {key: file.sha256 for key, file in files.items()}
    wanted |= {f"{key}.metadata": file.metadata_sha256 for key, file in files.items()}
    for key in sorted(wanted):
        found = store.get(key)
        if found and digest(found.data) != wanted[key]:
            yield _error(key, "does not have the digest that the pages give")


def _orphans(store: Store, sizes: Mapping[str, int], names: Iterable[str]) -> Iterator[Finding]:
    """Find states and blobs that no commit of any channel refers to."""
    commits = [commit for name in names for commit in _commits(store, name)]
    referred = {state_key(state) for commit in commits for state in commit.projects.values()}
    for found in each(store.get, sorted(referred)):
        blobs = _blobs(found.data) if found else []
        referred |= {f"{key}{ending}" for key in blobs for ending in ("", ".metadata", ".provenance")}
    for key in sizes:
        if key.startswith(("files/", "states/")) and key not in referred:
            yield Finding(severity=Severity.INFORMATION, key=key, complaint="no commit refers to it")


def _commits(store: Store, name: str) -> Iterator[Commit]:
    """Yield every commit of a channel that can be read; the others were told of already."""
    with suppress(WheelbuilderError):
        yield read_head(store, name).commit
    for listed in store.list(commit_key(name, 0).removesuffix("0.json")):
        found = store.get(listed.key)
        with suppress(WheelbuilderError):
            if found:
                yield History.from_bytes(found.data, listed.key).commit


def _blobs(state: bytes) -> list[str]:
    try:
        return [file.key for file in ProjectState.from_bytes(state, "").files]
    except WheelbuilderError:
        return []


def _error(key: str, complaint: str) -> Finding:
    return Finding(severity=Severity.ERROR, key=key, complaint=complaint)
