"""`wheelbuilder promote`: make a channel hold what another one holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from wheelbuilder.cli.coverage import proof
from wheelbuilder.cli.options import author, counted, store_option
from wheelbuilder.cli.planning import Chosen
from wheelbuilder.cli.proofs import Proof, print_proof
from wheelbuilder.cli.screen import say
from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.audit import Severity, audit
from wheelbuilder.mirror.channels import Reference, promote, resolve
from wheelbuilder.mirror.layout import check_channel
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.stores import open_existing


@click.command(name="promote")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@store_option
@click.option(
    "--require-coverage",
    "lists",
    metavar="LIST",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Only if a consumer of this list would compile nothing; may be repeated.",
)
@click.option("--require-audit", is_flag=True, help="Only if a deep audit of the store finds no error.")
@click.option("--note", default="", help="Why; kept in the commit.")
def command(
    source: str, target: str, address: str, lists: Sequence[Path], require_audit: bool, note: str
) -> int:
    """Make channel TO hold what FROM holds: a channel, or one of its commits as CHANNEL@NUMBER.

    No wheel is copied or moved. Exit status 4 if a required proof fails; then nothing is changed.
    """
    store = open_existing(address)
    reference, channel = Reference.parse(source), check_channel(target)
    reference = Reference(channel=reference.channel, number=resolve(store, reference).number)
    for path in lists:
        _require_coverage(address, reference, path)
    if require_audit:
        _require_audit(store)
    words = f"promoted from {reference}" + (f": {note}" if note else "")
    head, changed = promote(store, reference, channel, author(words))
    what = "now holds" if changed else "held already"
    say(f"{channel} {what} what {reference} holds: commit {head.commit.number}.")
    return 0


def _require_coverage(address: str, reference: Reference, path: Path) -> None:
    chosen = Chosen(list_path=path, targets=(), pins=(), strict=False, images=None, upstream=None)
    proven = proof(chosen, address, reference)
    print_proof(proven.covered, err=True)
    if lacks := _lacks(proven):
        raise IntegrityError(
            f"{reference} does not cover {path}: {', '.join(lacks)}.",
            f"Run 'wheelbuilder coverage {path} --store {address} --channel {reference}' for details.",
        )


def _lacks(proven: Proof) -> list[str]:
    """Say what keeps a proof from being complete; each pin counts once, on however many targets."""
    compiled = {str(gap.pin) for it in proven.covered for gap in it.compiled}
    missing = {str(gap.pin) for it in proven.covered for gap in it.missing}
    found = (
        (len(compiled), f"a consumer would still compile {counted(len(compiled), 'pin')}"),
        (len(missing), f"{counted(len(missing), 'pin')} cannot be had at all"),
        (len(proven.unread), f"{counted(len(proven.unread), 'line')} cannot be read"),
        (len(proven.untold), f"nothing says yet what {counted(len(proven.untold), 'pin')} would need"),
    )
    return [words for number, words in found if number]


def _require_audit(store: Store) -> None:
    errors = [finding for finding in audit(store, deep=True) if finding.severity is Severity.ERROR]
    if errors:
        raise IntegrityError(
            f"{store.address} is not clean: {errors[0].key}: {errors[0].complaint}"
            + (f" (and {len(errors) - 1} more)." if len(errors) > 1 else "."),
            "Run 'wheelbuilder audit' on it.",
        )
