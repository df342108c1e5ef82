"""Withdraw from the gap view what upstream has wheels for by now, and reinstate where it has them no more.

A file of ours is retired only if upstream serves everybody whom it serves: the target it was built for, and
every target of the list whose tags accept it. The whole view goes on listing it, so lock files keep working.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import Published, amend
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.merge import Edit, Merged
from wheelbuilder.mirror.read import read_states
from wheelbuilder.mirror.states import MirrorFile, ProjectState, timestamp, versions
from wheelbuilder.mirror.store import Store
from wheelbuilder.plan.files import IndexFile, accepts, parse_filename, unservable
from wheelbuilder.plan.upstream import Progress, UpstreamIndex

UNKNOWN = datetime.max.replace(tzinfo=UTC)  # sorts behind every date


class Verdict(StrEnum):
    """What is to become of a file."""

    RETIRE = "retire"
    REINSTATE = "reinstate"
    WAIT = "wait"  # the grace period is not over
    UNDATED = "undated"  # upstream does not say since when
    KEEP = "keep"  # rebuilt on purpose, when upstream's wheel was there


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A file of ours that upstream has a wheel for, or had. theirs: those wheels, one a target.

    since: when the last of them was uploaded; None if it is not known.
    """

    project: NormalizedName
    file: MirrorFile
    verdict: Verdict
    theirs: tuple[IndexFile, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What a file is judged by.

    targets: of the list. known: all of the image table, by name, for files built for one that the list
    no longer has. grace: how long upstream's wheel must have been there; zero asks for no date.
    """

    targets: tuple[Target, ...]
    known: Mapping[str, Target]
    now: datetime
    grace: timedelta


def survey(
    store: Store,
    channel: str,
    index: UpstreamIndex,
    terms: Terms,
    *,
    cache: Path | None = None,
    progress: Progress = lambda _done, _all: None,
) -> tuple[Finding, ...]:
    """Ask upstream about every version of which a channel lists files of ours; changes nothing."""
    commit = resolve(store, Reference(channel=channel))
    states = read_states(store, commit.projects, cache=cache)
    ours = {name: state.served for name, state in sorted(states.items()) if state.served}
    upstream = index.files({name: _versions(files) for name, files in ours.items()}, progress)
    found = (
        judge(name, file, upstream.get(name) or (), terms) for name, files in ours.items() for file in files
    )
    return tuple(finding for finding in found if finding)


def judge(
    project: NormalizedName, file: MirrorFile, upstream: Sequence[IndexFile], terms: Terms
) -> Finding | None:
    """Say what is to become of a file of ours, None where everything stays as it is."""
    wheels = [_oldest(_wheels(file, target, upstream)) for target in _served(file, terms)]
    theirs = tuple(dict.fromkeys(wheel for wheel in wheels if wheel))
    if None in wheels and file.retired is not None:
        return Finding(project=project, file=file, verdict=Verdict.REINSTATE)
    if None in wheels or not wheels or file.retired is not None:
        return None
    times = [_time(wheel) for wheel in theirs]
    since = None if None in times else max(time for time in times if time)
    verdict = Verdict.KEEP if _is_deliberate(file, since) else _verdict(since, terms)
    return Finding(project=project, file=file, verdict=verdict, theirs=theirs, since=since)


def apply(
    store: Store, channel: str, findings: Iterable[Finding], author: Author, *, cache: Path | None = None
) -> Published:
    """Retire and reinstate as was found, in one commit; nothing to change writes nothing."""
    marks: dict[NormalizedName, dict[tuple[str, str], str | None]] = {}
    for finding in findings:
        if finding.verdict in (Verdict.RETIRE, Verdict.REINSTATE):
            retired = timestamp(author.now) if finding.verdict is Verdict.RETIRE else None
            marks.setdefault(finding.project, {})[finding.file.filename, finding.file.sha256] = retired
    edits: dict[NormalizedName, Edit] = {name: partial(_marked, marks=it) for name, it in marks.items()}
    return amend(store, channel, edits, run=author.run, now=author.now, note=author.note, cache=cache)


def _marked(state: ProjectState, marks: Mapping[tuple[str, str], str | None]) -> Merged:
    files = (
        replace(file, retired=marks[file.filename, file.sha256])
        if (file.filename, file.sha256) in marks
        else file
        for file in state.files
    )
    return Merged(state=replace(state, files=tuple(files)))


def _is_deliberate(file: MirrorFile, since: datetime | None) -> bool:
    """Say whether a file has a build tag because upstream's wheel, which it outranks, would not do."""
    parsed, ours = parse_filename(file.filename), _moment(file.upload_time)
    return bool(parsed and parsed.build) and (since is None or ours is None or since <= ours)


def _verdict(since: datetime | None, terms: Terms) -> Verdict:
    if not terms.grace:
        return Verdict.RETIRE
    if since is None:
        return Verdict.UNDATED
    return Verdict.RETIRE if since + terms.grace <= terms.now else Verdict.WAIT


def _served(file: MirrorFile, terms: Terms) -> tuple[Target, ...]:
    """Return the targets whose users may install a file."""
    listed = [target for target in terms.targets if accepts(target, file.as_index_file())]
    own = terms.known.get(file.target or "")
    return tuple(dict.fromkeys((*([own] if own else []), *listed)))


def _wheels(file: MirrorFile, target: Target, upstream: Iterable[IndexFile]) -> list[IndexFile]:
    """Return upstream's wheels of the same version that an installer on the target takes.

    Yanked ones do not count, nor what no page of ours can list: the plan would build again.
    """
    wanted = versions([file.filename])
    usable = (it for it in upstream if it.is_wheel and it.yanked is None and not unservable(it))
    return [it for it in usable if versions([it.filename]) == wanted and accepts(target, it)]


def _oldest(wheels: Sequence[IndexFile]) -> IndexFile | None:
    """Return the wheel that has been there longest; one without a date only where none has one."""
    return min(wheels, key=lambda wheel: (_time(wheel) or UNKNOWN, wheel.filename), default=None)


def _time(file: IndexFile) -> datetime | None:
    return _moment(file.upload_time)


def _moment(time: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(time or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _versions(files: Iterable[MirrorFile]) -> tuple[Version, ...]:
    parsed = (parse_filename(file.filename) for file in files)
    return tuple(dict.fromkeys(it.version for it in parsed if it))
