"""A plan for people and for programs: tables on a terminal, or one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wheelbuilder.cli.console import Screen
from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.plan.decisions import Build, Postponed, Unavailable
from wheelbuilder.plan.plans import KINDS, NOT_APPLICABLE, Plan
from wheelbuilder.shown import visible


def print_plan(plan: Plan, listed: RequirementsList, *, to_stderr: bool = False) -> None:
    """Print counts, builds with their reasons, what cannot be had, and lines that could not be read."""
    console = Screen(stderr=to_stderr)
    console.print(_counts(plan))
    _print_rows(console, "Would be built", plan.builds)
    _print_rows(console, "Failed lately and not tried", plan.postponed)
    _print_rows(console, "Cannot be had", plan.unavailable)
    quarantined = [str(line) for branch in listed.branches for line in branch.quarantined]
    _print_lines(console, "Lines that cannot be read (they pin nothing)", quarantined)
    _print_lines(console, "Warnings", listed.warnings)
    if not plan.builds:
        console.print("Nothing would be built.")


def plan_document(plan: Plan, listed: RequirementsList) -> dict[str, Any]:
    """Return the plan as JSON values."""
    return {
        "list": listed.name,
        "channel": listed.channel,
        "targets": [str(target) for target in plan.targets],
        "counts": {str(target): counts for target, counts in plan.counts().items()},
        "decisions": [_decision(decision) for decision in plan.decisions],
        "not_applicable": {str(target): list(gaps) for target, gaps in plan.gaps.items()},
        "quarantined": [asdict(line) for branch in listed.branches for line in branch.quarantined],
        "warnings": list(listed.warnings),
    }


def _decision(decision: Any) -> dict[str, Any]:
    known = {
        "project": decision.pin.name,
        "version": decision.pin.version_text,
        "branches": decision.pin.branches,
        "origin": str(decision.pin.origin),
        "target": str(decision.target),
        "decision": KINDS[type(decision)],
    }
    if isinstance(decision, Build):
        build = {"sdist": decision.sdist.filename, "sha256": decision.sdist.sha256, "key": decision.key}
        words = {"reason": decision.reason, "again": decision.again, "rung": decision.recipe.rung}
        return known | words | {"build_tag": decision.build_tag} | build
    if isinstance(decision, Postponed):
        return known | {"reason": decision.reason, "key": decision.failure.key}
    if isinstance(decision, Unavailable):
        return known | {"reason": decision.reason}
    return known | {"wheel": decision.wheel.filename}


def _counts(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("target", no_wrap=True)
    hidden = set() if plan.postponed else {KINDS[Postponed]}
    kinds = [kind for kind in (*KINDS.values(), NOT_APPLICABLE) if kind not in hidden]
    for kind in kinds:
        table.add_column(kind, justify="right")
    for target, counts in plan.counts().items():
        table.add_row(str(target), *(str(counts[kind]) for kind in kinds))
    return table


def _print_rows(console: Console, title: str, decisions: Iterable[Build | Postponed | Unavailable]) -> None:
    """Print one row for each pin and reason, with the targets that share them."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("pin", "targets", "why"):
        table.add_column(column, no_wrap=column == "pin")
    rows = sorted(decisions, key=_pin_and_reason)
    for (_, _, reason), group in groupby(rows, key=_pin_and_reason):
        same = list(group)
        targets = "\n".join(str(decision.target) for decision in same)
        table.add_row(Text(str(same[0].pin)), targets, Text(reason))
    if table.row_count:
        console.print()
        console.print(table)


def _pin_and_reason(decision: Build | Postponed | Unavailable) -> tuple[Any, Any, str]:
    words = [decision.reason]
    if isinstance(decision, Build):
        rung = decision.recipe.rung
        words += [decision.again, f"its recipe allows the rung {rung} only" if rung else ""]
    return decision.pin.name, decision.pin.version, "\n".join(map(visible, filter(None, words)))


def _print_lines(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print()
        console.print(title, style="italic")
        for line in lines:
            console.print(visible(line), soft_wrap=True)
