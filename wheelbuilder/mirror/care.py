"""Look after what a channel has published: yank files of ours (PEP 592), or take them out of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.near import did_you_mean
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import Published, amend
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.documents import NORMALIZED
from wheelbuilder.mirror.layout import WHEEL_NAME, check_channel
from wheelbuilder.mirror.merge import Edit, Merged
from wheelbuilder.mirror.read import read_states
from wheelbuilder.mirror.states import MirrorFile, ProjectState, versions
from wheelbuilder.mirror.store import Store
from wheelbuilder.plan.files import parse_filename

PIN = re.compile(r"(?P<name>[^=\s]+)={2,3}(?P<version>[^=\s]+)")
LONGEST_REASON = 500  # characters: it stands in every line of a page
MOST_NAMED = 8  # of what a hint lists


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Files of ours as an operator names them: `name==version`, or one wheel's file name.

    A version means itself alone: 1.0 does not name 1.0+local, because what is named is withdrawn.
    """

    project: NormalizedName
    version: Version
    filename: str | None = None

    def __str__(self) -> str:
        return self.filename or f"{self.project}=={self.version}"

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read one; raises ConfigurationError."""
        if text.endswith(".whl"):
            parsed = parse_filename(text) if WHEEL_NAME.fullmatch(text) else None
            if parsed is None:
                raise ConfigurationError(f"{text!r} is not the name of a wheel.", "Write it without folders.")
            return cls(project=parsed.project, version=parsed.version, filename=text)
        match = PIN.fullmatch(text)
        name = canonicalize_name(match["name"]) if match else NormalizedName("")
        version = _version(match["version"]) if match else None
        if version is None or not NORMALIZED.fullmatch(name):
            raise ConfigurationError(
                f"{text!r} names no files.", "Write name==version, or the file name of one wheel."
            )
        return cls(project=name, version=version)

    def takes(self, file: MirrorFile) -> bool:
        """Say whether it names a file."""
        if self.filename:
            return file.filename == self.filename
        parsed = parse_filename(file.filename)
        return parsed is not None and (parsed.project, parsed.version) == (self.project, self.version)


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The files of a channel that choices name, by project."""

    channel: str
    choices: tuple[Choice, ...]
    files: dict[NormalizedName, tuple[MirrorFile, ...]]

    @property
    def all(self) -> tuple[MirrorFile, ...]:
        """The files of every project."""
        return tuple(file for name in sorted(self.files) for file in self.files[name])


def select(store: Store, channel: str, texts: Iterable[str], *, cache: Path | None = None) -> Selection:
    """Find the files that are named; ConfigurationError for a word that names none of ours."""
    choices = tuple(dict.fromkeys(map(Choice.parse, texts)))
    commit = resolve(store, Reference(channel=check_channel(channel)))
    projects = {choice.project for choice in choices}
    held = {name: commit.projects[name] for name in sorted(projects) if name in commit.projects}
    states = read_states(store, held, cache=cache)
    for choice in choices:
        state = states.get(choice.project)
        if state is None or not any(map(choice.takes, state.files)):
            raise ConfigurationError(f"{channel} has no file of ours {choice}.", _near(choice, state, commit))
    files = {name: tuple(it for it in state.files if _named(it, choices)) for name, state in states.items()}
    return Selection(channel=channel, choices=choices, files=files)


def yank(
    store: Store, selection: Selection, reason: str | None, author: Author, *, cache: Path | None = None
) -> Published:
    """Mark the files as yanked for a reason, or as not yanked (None); nothing new writes nothing.

    Installers then pass them over unless a pin names their version (PEP 592).
    """
    mark = partial(_yanked, reason=None if reason is None else check_reason(reason))
    return _amend(store, selection, partial(_marked, choices=selection.choices, mark=mark), author, cache)


def remove(store: Store, selection: Selection, author: Author, *, cache: Path | None = None) -> Published:
    """Take exactly these files out of the channel; their bytes stay until a prune."""
    return _amend(store, selection, partial(_without, doomed=frozenset(selection.all)), author, cache)


def check_reason(reason: str) -> str:
    """Return a reason as pages show it, or raise ConfigurationError."""
    if not reason.strip() or not reason.isprintable() or len(reason) > LONGEST_REASON:
        raise ConfigurationError(
            f"{reason[:LONGEST_REASON]!r} is no reason that a page can show.",
            f"Write one line of at most {LONGEST_REASON} characters: installers print it.",
        )
    return reason.strip()


def _amend(
    store: Store,
    selection: Selection,
    edit: Callable[[ProjectState], Merged],
    author: Author,
    cache: Path | None,
) -> Published:
    edits: dict[NormalizedName, Edit] = dict.fromkeys(selection.files, edit)
    return amend(
        store, selection.channel, edits, run=author.run, now=author.now, note=author.note, cache=cache
    )


def _marked(
    state: ProjectState, choices: Sequence[Choice], mark: Callable[[MirrorFile], MirrorFile]
) -> Merged:
    files = (mark(file) if _named(file, choices) else file for file in state.files)
    return Merged(state=replace(state, files=tuple(files)))


def _yanked(file: MirrorFile, reason: str | None) -> MirrorFile:
    return replace(file, yanked=reason)


def _without(state: ProjectState, doomed: frozenset[MirrorFile]) -> Merged:
    # By name and digest: another writer may have marked a file in the meantime, and it is still that file.
    names = {(file.filename, file.sha256) for file in doomed}
    kept = (file for file in state.files if (file.filename, file.sha256) not in names)
    return Merged(state=replace(state, files=tuple(kept)))


def _named(file: MirrorFile, choices: Iterable[Choice]) -> bool:
    return any(choice.takes(file) for choice in choices)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except (InvalidVersion, ValueError):  # the second for numbers with thousands of digits
        return None


def _near(choice: Choice, state: ProjectState | None, commit: Commit) -> str:
    """Return a hint: what there is that comes near."""
    if state is None:
        return did_you_mean(choice.project, commit.projects) or "It has nothing of this project."
    same = [file.filename for file in state.files if versions([file.filename]) == (choice.version,)]
    if same:
        return f"Its files of this version: {some(same)}."
    if known := versions(file.filename for file in state.files):
        return f"Its versions of {choice.project}: {some(map(str, known))}."
    return f"It lists only upstream's files of {choice.project}, and those are upstream's to withdraw."


def some(words: Iterable[str]) -> str:
    """Return the first few words of many, for a hint or a note."""
    every = list(words)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(every[:MOST_NAMED]) + more
