"""A progress bar on standard error where that is a terminal, and nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Told = Callable[[int, int], None]  # how much is done, of how much


@contextmanager
def counting(title: str) -> Iterator[Told]:
    """Show a bar while the block runs; it is told how far things are."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    # Imported where it is needed: a job that nobody watches does without.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from wheelbuilder.cli.console import Screen

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Screen(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
