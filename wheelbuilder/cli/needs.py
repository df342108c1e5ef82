"""Who needs the files of a channel, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from wheelbuilder.cli.console import show_table
from wheelbuilder.cli.options import counted
from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.needs import as_tree
from wheelbuilder.mirror.states import MirrorFile, ProjectState

COLUMNS = ("list", "branch", "files that it needs")


def print_needs(states: Iterable[ProjectState], *, files: bool) -> None:
    """Print how many files each branch of each list needs. files: also who needs each of them."""
    states = tuple(states)
    counts = Counter((owner, branch) for state in states for owner, branch, _ in _branches(state))
    show_table(COLUMNS, [(*branch, count) for branch, count in sorted(counts.items())])
    ours = [(state, file) for state in states for file in state.in_gap]
    idle = sum(not _needed(*it) for it in ours)
    say(f"{counted(len(ours), 'file')} in the gap view; no branch needs {idle} of them.")
    for state, file in ours if files else ():
        for line in need_lines(state, file):
            say(line)


def need_lines(state: ProjectState, file: MirrorFile) -> Iterator[str]:
    """Yield in words who needs a file."""
    needed = _needed(state, file)
    if not needed:
        since = state.unneeded.get(file.filename)
        yield f"{file.filename}: no branch needs it{f', since {since}' if since else ''}"
    for owner, branches in needed.items():
        for branch, targets in branches.items():
            yield f"{file.filename}: {owner}, branch {branch}, on {', '.join(targets)}"


def file_documents(states: Iterable[ProjectState]) -> list[dict[str, Any]]:
    """Return each file of the gap view as JSON values, with the lists, branches and targets that need it."""
    return [
        {
            "project": state.name,
            "filename": file.filename,
            "sha256": file.sha256,
            "needed_by": _needed(state, file),
            "unneeded_since": state.unneeded.get(file.filename),
        }
        for state in states
        for file in state.in_gap
    ]


def _needed(state: ProjectState, file: MirrorFile) -> dict[str, dict[str, list[str]]]:
    return as_tree(need for need in state.needs if need.filename == file.filename).get(file.filename, {})


def _branches(state: ProjectState) -> set[tuple[str, str, str]]:
    """Return the files of a project once for each branch that needs them."""
    return {(need.owner, need.branch, need.filename) for need in state.needs}
