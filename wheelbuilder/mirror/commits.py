"""What a channel holds as a whole: commits, the way back from one to its parent, and their documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import NormalizedName

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.tables import Table
from wheelbuilder.mirror.documents import REPAIR, canonical, digest, project_name, sealed, unsealed
from wheelbuilder.mirror.layout import SHA256

Entry = tuple[str, bool] | None  # a project's state and whether the gap view has it; None: no such project
ROOT = ""  # stands for the root pages among project names


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """What a channel holds as a whole.

    parent: digest of the commit before, "" for the first. projects: digest of each project's state.
    gap: the projects that the gap view has. time: RFC 3339. run: who published. note: why, for people.
    """

    number: int
    parent: str = ""
    projects: Mapping[NormalizedName, str] = field(default_factory=dict)
    gap: frozenset[NormalizedName] = frozenset()
    time: str = ""
    run: str = ""
    note: str = ""

    @classmethod
    def parse(cls, table: Table, where: str) -> Commit:
        """Read one; IntegrityError names `where` if it is damaged."""
        try:
            projects = {project_name(name, where): value for name, value in table.mapping("projects").items()}
            commit = cls(
                number=table.get("number", int),
                parent=table.get("parent", str),
                projects=projects,
                gap=frozenset(project_name(name, where) for name in table.strings("gap")),
                time=table.get("time", str),
                run=table.get("run", str),
                note=table.get("note", str),
            )
        except ConfigurationError as error:
            raise IntegrityError(str(error), REPAIR) from None
        if (
            commit.number < 1
            or not commit.gap <= projects.keys()
            or not all(map(SHA256.fullmatch, projects.values()))
        ):
            raise IntegrityError(f"{where} does not hang together.", REPAIR)
        return commit

    @property
    def digest(self) -> str:
        """The digest that the next commit names as its parent; "" for the empty commit 0."""
        return digest(canonical(self.values())) if self.number else ""

    def values(self) -> dict[str, Any]:
        """Return the commit as JSON values."""
        names = ("number", "parent", "time", "run", "note")
        return {name: getattr(self, name) for name in names} | {
            "projects": dict(self.projects),
            "gap": sorted(self.gap),
        }

    def entry(self, name: NormalizedName) -> Entry:
        """Return what the commit holds of a project."""
        return (self.projects[name], name in self.gap) if name in self.projects else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The way back from a commit to its parent: the parent's own values, and the projects that differ."""

    parent: str
    time: str
    run: str
    note: str
    projects: Mapping[NormalizedName, Entry]

    @classmethod
    def parse(cls, table: Table, where: str) -> Step:
        """Read one; IntegrityError names `where` if it is damaged."""
        try:
            entries = table.get("projects", dict)
            return cls(
                parent=table.get("parent", str),
                time=table.get("time", str),
                run=table.get("run", str),
                note=table.get("note", str),
                projects={project_name(name, where): _entry(entry) for name, entry in entries.items()},
            )
        except (ConfigurationError, ValueError, TypeError) as error:
            raise IntegrityError(f"{where} is damaged: {error}", REPAIR) from None

    def values(self) -> dict[str, Any]:
        """Return the step as JSON values."""
        names = ("parent", "time", "run", "note")
        projects = {name: list(entry) if entry else None for name, entry in self.projects.items()}
        return {name: getattr(self, name) for name in names} | {"projects": projects}


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """A commit as it is kept: with the way back, and the states that it brought, as they are stored.

    step: None for the first commit. A commit without its predecessor in the store brings all its states.
    """

    commit: Commit
    step: Step | None
    states: Mapping[str, bytes]

    def to_bytes(self) -> bytes:
        """Return the one form of this document."""
        states = {name: data.decode("ascii") for name, data in self.states.items()}
        step = self.step.values() if self.step else None
        return sealed({"commit": self.commit.values(), "step": step, "states": states})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> History:
        """Read it; IntegrityError names `where` if it is damaged, ConfigurationError if it is newer."""
        table = Table(unsealed(data, where), where)
        step = table.values.get("step")
        return cls(
            commit=Commit.parse(table.table("commit"), where),
            step=Step.parse(table.table("step"), where) if step is not None else None,
            states={name: text.encode() for name, text in table.mapping("states").items()},
        )


def step_back(commit: Commit, parent: Commit) -> Step:
    """Return the way from a commit back to its parent."""
    return Step(
        parent=parent.parent,
        time=parent.time,
        run=parent.run,
        note=parent.note,
        projects={name: parent.entry(name) for name in differing(commit, parent)},
    )


def parent_of(commit: Commit, step: Step, where: str) -> Commit:
    """Follow a step; IntegrityError if it does not lead to the parent that the commit names."""
    projects, gap = dict(commit.projects), set(commit.gap)
    for name, entry in step.projects.items():
        projects.pop(name, None)
        gap.discard(name)
        if entry:
            projects[name] = entry[0]
            gap |= {name} if entry[1] else set()
    parent = Commit(
        number=commit.number - 1,
        parent=step.parent,
        projects=projects,
        gap=frozenset(gap),
        time=step.time,
        run=step.run,
        note=step.note,
    )
    if parent.digest != commit.parent:
        raise IntegrityError(f"{where} does not hang together.", REPAIR)
    return parent


def ancestors(commit: Commit, steps: Iterable[Step], where: str) -> tuple[Commit, ...]:
    """Follow steps one by one; returns the commits from the newest, given one included, to the oldest."""
    chain = [commit]
    for step in steps:
        chain.append(parent_of(chain[-1], step, where))
    return tuple(chain)


def differing(one: Commit, other: Commit) -> list[NormalizedName]:
    """Return the projects of which two commits do not hold the same, sorted."""
    same = one.projects.items() & other.projects.items()
    moved = one.gap ^ other.gap
    both = one.projects.keys() | other.projects.keys()
    return sorted(name for name in both if name in moved or (name, one.projects.get(name, "")) not in same)


def touched(new: Commit, old: Commit) -> frozenset[str]:
    """Return the projects whose pages differ between two commits, and ROOT if the root pages do."""
    roots = new.gap != old.gap or new.projects.keys() != old.projects.keys()
    return frozenset({*differing(new, old), *([ROOT] if roots else [])})


def _entry(values: Any) -> Entry:
    if values is None:
        return None
    state, in_gap = values
    return str(state), bool(in_gap)
