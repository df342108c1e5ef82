"""The coverage proof for people and for programs: lines or a table, or JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wheelbuilder.cli.screen import say
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.pins import Quarantined, Untold
from wheelbuilder.mirror.channels import Reference
from wheelbuilder.mirror.store import Store
from wheelbuilder.plan.coverage import Coverage, Gap, lines

if TYPE_CHECKING:
    from wheelbuilder.report.simulate import Simulated


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """A list's coverage by a commit of a channel, and what keeps it from being known.

    unread: the lines of its constraints that nobody can read. untold: pins whose dependencies nothing says.
    """

    covered: tuple[Coverage, ...]
    unread: tuple[Quarantined, ...]
    untold: tuple[Untold, ...]
    store: Store
    commit: Reference
    upstream: str
    catalogue: Catalogue

    @property
    def complete(self) -> bool:
        """Whether a consumer finds a wheel for every pin."""
        return all(it.complete for it in self.covered) and not self.unread and not self.untold


def print_proof(covered: Sequence[Coverage], *, err: bool) -> None:
    """Print a line for each target; where there are several branches, the gaps and a table of branches."""
    if len({it.branch for it in covered}) > 1:
        # Imported where it is needed: what draws tables costs every run of one branch a tenth of its start.
        from wheelbuilder.cli.proof_tables import print_branches

        print_branches(covered, err=err)
        return
    for line in lines(covered):
        say(line, err=err)


def proof_document(
    covered: Sequence[Coverage],
    unread: Sequence[Quarantined],
    untold: Sequence[Untold] = (),
    simulated: Sequence[Simulated] = (),
) -> list[dict[str, Any]]:
    """Return the coverage of each branch and target as JSON values, with what keeps it unproven."""
    tried = {(it.branch, it.target): _simulation(it) for it in simulated}
    return [
        _document(
            it,
            [line for line in unread if line.origin.branch == it.branch],
            [each for each in untold if each.pin.origin.branch == it.branch],
        )
        | tried.get((it.branch, it.target), {})
        for it in covered
    ]


def _document(covered: Coverage, unread: Sequence[Quarantined], untold: Sequence[Untold]) -> dict[str, Any]:
    return {
        "branch": covered.branch,
        "target": str(covered.target),
        "pins": covered.pins,
        "compiled": [_gap(gap) for gap in covered.compiled],
        "missing": [_gap(gap) for gap in covered.missing],
        "quarantined": [str(line) for line in unread],
        "untold": [str(each) for each in untold],
        "line": covered.line,
    }


def _simulation(found: Simulated) -> dict[str, Any]:
    disagreements = [
        {"project": it.pin.name, "version": it.pin.version_text, "proven": it.proven, "said": it.said}
        for it in found.disagreements
    ]
    return {
        "simulation": {
            "installer": found.installer,
            "pins": found.pins,
            "gaps": found.gaps,
            "remarks": list(found.remarks),
            "disagreements": disagreements,
            "line": found.line,
        }
    }


def _gap(gap: Gap) -> dict[str, str]:
    return {"project": gap.pin.name, "version": gap.pin.version_text, "reason": gap.reason}
