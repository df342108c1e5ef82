"""Keeps copies of what the URLs of a list give: all of them or none, and none that says nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.branches import Branch
from wheelbuilder.inputs.demands import Demands, parse_demands
from wheelbuilder.inputs.differences import BranchDifference, Setting, between, compared
from wheelbuilder.inputs.http import shown
from wheelbuilder.inputs.pins import Constraints, parse_constraints
from wheelbuilder.inputs.sources import Fetch, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """What a URL gives, beside the copy that is kept of it.

    text, old: the new text and the kept one, None where there is none. difference: of constraints, or
    of requirements.
    """

    branch: str
    source: Source
    text: str
    old: str | None
    difference: BranchDifference | Setting

    @property
    def is_new(self) -> bool:
        """Whether it is not what is kept."""
        return self.text != self.old


def fetched(branches: Iterable[Branch], fetch: Fetch) -> tuple[Copy, ...]:
    """Fetch every URL and write nothing.

    Raises UnreachableError for the first that cannot be had, and ConfigurationError for one that gives
    neither pins nor requirements: a page that says sorry must not replace a good copy.
    """
    return tuple(
        _copy(branch, source, fetch)
        for branch in branches
        for source in branch.sources
        if source.url is not None
    )


def write(copies: Sequence[Copy]) -> None:
    """Write the copies that are new: all beside the old ones first, then each over its own.

    Raises ConfigurationError, and leaves all as it was, where one cannot be written.
    """
    with ExitStack() as undone:
        written = [(_written(copy, undone), copy.source.path) for copy in copies if copy.is_new]
        for partial, path in written:
            partial.replace(path)


def _copy(branch: Branch, source: Source, fetch: Fetch) -> Copy:
    text = source.fetched(fetch)
    old = source.path.read_bytes().decode(errors="replace") if source.is_kept else None
    compare = _pinned if source == branch.constraints else _required
    difference = compare(old or "", text, branch, source)
    return Copy(branch=branch.name, source=source, text=text, old=old, difference=difference)


def _pinned(old: str, new: str, branch: Branch, source: Source) -> BranchDifference:
    return between(_pins(old, branch, source, allow_empty=True), _pins(new, branch, source))


def _pins(text: str, branch: Branch, source: Source, *, allow_empty: bool = False) -> Constraints:
    empty = allow_empty or branch.allow_empty
    return parse_constraints(text, branch.name, file=shown(source.base), allow_empty=empty)


def _required(old: str, new: str, branch: Branch, source: Source) -> Setting:
    before, after = (_demands(text, branch, source) for text in (old, new))
    if after.refused and not after.wanted:
        raise ConfigurationError(
            f"{shown(source.base)} has no requirement that can be read: {after.refused[0]}.",
            "Check the URL.",
        )
    texts = [tuple(str(demand.requirement) for demand in side.wanted) for side in (before, after)]
    return compared("requirements", *texts)


def _demands(text: str, branch: Branch, source: Source) -> Demands:
    return parse_demands(text, branch.name, place=source.place, base=source.base, read=lambda _: "")


def _written(copy: Copy, undone: ExitStack) -> Path:
    """Write a text beside its place. undone: removes what has not been moved to its place in the end."""
    path = copy.source.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, delete=False) as file:
            partial = Path(file.name)
            undone.callback(partial.unlink, missing_ok=True)
            file.write(copy.text.encode())
        partial.chmod(0o644)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}; nothing was changed.", "Check the folder."
        ) from None
    return partial
