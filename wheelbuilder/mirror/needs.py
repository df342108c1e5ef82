"""Which branches of which lists need a project's files: what lists claim, and how claims are merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Tree = dict[str, dict[str, dict[str, list[str]]]]  # file, list, branch: targets


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Need:
    """A file that an installer takes for the pin of a branch on a target. owner: the name of the list."""

    filename: str
    owner: str
    branch: str
    target: str

    @property
    def slot(self) -> tuple[str, str, str]:
        """What can need one file of a project only."""
        return self.owner, self.branch, self.target


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What a run knows of the needs that its list has of a project.

    branches, targets: all of the list. judged: the targets that the run has looked at; of the others, and of
    other lists, it knows nothing. seen: the files that the run knows the project to have, None for all there
    are; a need of another one is of a job of the same list that has looked later.
    """

    owner: str
    branches: tuple[str, ...]
    targets: tuple[str, ...]
    judged: tuple[str, ...]
    seen: tuple[str, ...] | None = None
    needs: tuple[Need, ...] = ()

    def merged(self, known: Iterable[Need]) -> tuple[Need, ...]:
        """Return what is needed, by all that was known and by this claim."""
        known = {*known}
        later = {need.slot for need in known if self._has_not_seen(need)}
        ours = {need for need in self.needs if need.slot not in later}
        taken = {need.slot for need in ours}
        kept = {need for need in known if need.slot not in taken and self._leaves(need)}
        return tuple(sorted(kept | ours))

    def _has_not_seen(self, need: Need) -> bool:
        return need.owner == self.owner and self.seen is not None and need.filename not in self.seen

    def _leaves(self, need: Need) -> bool:
        if need.owner != self.owner or self._has_not_seen(need):
            return True
        is_listed = need.branch in self.branches and need.target in self.targets
        return is_listed and need.target not in self.judged


def as_tree(needs: Iterable[Need]) -> Tree:
    """Return needs as the JSON values that a state has."""
    tree: Tree = {}
    for need in sorted(needs):
        branches = tree.setdefault(need.filename, {}).setdefault(need.owner, {})
        branches.setdefault(need.branch, []).append(need.target)
    return tree


def changes(
    old: tuple[Iterable[Need], Mapping[str, str]], new: tuple[Iterable[Need], Mapping[str, str]]
) -> Iterator[str]:
    """Yield in words what became of needs, and of since when files are not needed, of one project."""
    (needed, idle), (needed_now, idle_now) = (({*needs}, dict(unneeded)) for needs, unneeded in (old, new))
    for words, found in (("needed by", needed_now - needed), ("no longer needed by", needed - needed_now)):
        for filename, owners in as_tree(found).items():
            for owner, branches in owners.items():
                for branch, targets in branches.items():
                    yield f"{filename} is {words} {owner}, branch {branch}, on {', '.join(targets)}"
    for filename in sorted(idle.keys() & idle_now.keys()):
        if idle[filename] != idle_now[filename]:
            yield f"{filename} is not needed since {idle_now[filename]}, not {idle[filename]}"


def of_tree(tree: Mapping[str, Any]) -> tuple[Need, ...]:
    """Read what `as_tree` gave; ValueError where it did not."""
    try:
        needs = tuple(_needs(tree))
    except (AttributeError, TypeError):
        raise ValueError("is not a table of files, lists, branches and targets") from None
    if not all(isinstance(need.target, str) for need in needs):
        raise ValueError("names targets that are no strings")
    return needs


def _needs(tree: Mapping[str, Any]) -> Iterator[Need]:
    for filename, owners in tree.items():
        for owner, branches in owners.items():
            for branch, targets in branches.items():
                for target in targets:
                    yield Need(filename=filename, owner=owner, branch=branch, target=target)
