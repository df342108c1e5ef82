"""The coverage proof for people and for programs: lines or a table, or JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wheelbuilder.cli.screen import say
from wheelbuilder.inputs.pins import Quarantined
from wheelbuilder.plan.coverage import Coverage, Gap, lines


def print_proof(covered: Sequence[Coverage], *, err: bool) -> None:
    """Print a line for each target; where there are several branches, the gaps and a table of branches."""
    if len({it.branch for it in covered}) > 1:
        # Imported where it is needed: what draws tables costs every run of one branch a tenth of its start.
        from wheelbuilder.cli.proof_tables import print_branches

        print_branches(covered, err=err)
        return
    for line in lines(covered):
        say(line, err=err)


def proof_document(covered: Sequence[Coverage], unread: Sequence[Quarantined]) -> list[dict[str, Any]]:
    """Return the coverage of each branch and target as JSON values. unread: lines whose pins nobody knows."""
    return [_document(it, [line for line in unread if line.origin.branch == it.branch]) for it in covered]


def _document(covered: Coverage, unread: Sequence[Quarantined]) -> dict[str, Any]:
    return {
        "branch": covered.branch,
        "target": str(covered.target),
        "pins": covered.pins,
        "compiled": [_gap(gap) for gap in covered.compiled],
        "missing": [_gap(gap) for gap in covered.missing],
        "quarantined": [str(line) for line in unread],
        "line": covered.line,
    }


def _gap(gap: Gap) -> dict[str, str]:
    return {"project": gap.pin.name, "version": gap.pin.version_text, "reason": gap.reason}
