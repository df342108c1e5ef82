"""The coverage proof of several branches as tables: the gaps, and how many each branch has on each target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table
from rich.text import Text

from wheelbuilder.cli.console import Screen
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.coverage import Coverage, Gap
from wheelbuilder.shown import visible

Row = tuple[str, str, list[str], list[str]]  # pin, reason, branches, targets


def print_branches(covered: Sequence[Coverage], *, err: bool) -> None:
    """Print the gaps of all branches, and how many each has on each target."""
    console = Screen(stderr=err)
    rows = _rows(covered)
    if rows:
        console.print(_gaps(rows, covered))
        console.print()
    console.print("How many pins have no wheel, of those that apply", style="italic")
    console.print(_overview(covered))
    if not rows:
        console.print("Nothing would be compiled.")


def _overview(covered: Sequence[Coverage]) -> Table:
    targets = list(dict.fromkeys(it.target for it in covered))
    table = Table(box=None, pad_edge=False)
    table.add_column("branch", no_wrap=True)
    for target in targets:
        table.add_column(_heading(target), justify="right", no_wrap=True)
    for branch in dict.fromkeys(it.branch for it in covered):
        cells = {it.target: _cell(it) for it in covered if it.branch == branch}
        table.add_row(branch, *(cells[target] for target in targets))
    return table


def _heading(target: Target) -> str:
    """Return a target's name in three short lines."""
    return f"{target.interpreter}\n{target.policy}\n{target.arch}"


def _cell(covered: Coverage) -> str:
    return f"{len(covered.compiled) + len(covered.missing)} of {covered.pins}"


def _gaps(rows: Iterable[Row], covered: Sequence[Coverage]) -> Table:
    """Return one row for each pin and reason, with the branches and targets that share them."""
    all_branches, all_targets = {it.branch for it in covered}, {str(it.target) for it in covered}
    table = Table(title="Pins without a wheel", title_justify="left", box=None, pad_edge=False)
    for column in ("pin", "branches", "targets", "why"):
        table.add_column(column, no_wrap=column == "pin")
    for pin, reason, branches, targets in rows:
        where = "all" if set(branches) == all_branches else "\n".join(branches)
        on = "all" if set(targets) == all_targets else "\n".join(targets)
        table.add_row(pin, where, on, Text(visible(reason)))
    return table


def _rows(covered: Sequence[Coverage]) -> list[Row]:
    """Return the gaps, united where pin and reason agree and every branch has them on the same targets."""
    where: dict[tuple[str, str, str], list[str]] = {}
    for branch, target, gap in _found(covered):
        where.setdefault((str(gap.pin), gap.reason, branch), []).append(target)
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (pin, reason, branch), targets in where.items():
        together.setdefault((pin, reason, tuple(targets)), []).append(branch)
    return [
        (pin, reason, branches, list(targets))
        for (pin, reason, targets), branches in sorted(together.items(), key=lambda row: row[0][:2])
    ]


def _found(covered: Iterable[Coverage]) -> Iterator[tuple[str, str, Gap]]:
    for it in covered:
        for gap in it.compiled:
            yield it.branch, str(it.target), gap
        for gap in it.missing:
            yield it.branch, str(it.target), Gap(pin=gap.pin, reason=f"cannot be had: {gap.reason}")
