"""`wheelbuilder retire`: withdraw from the gap view what upstream has wheels for by now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from wheelbuilder.cli.bars import counting
from wheelbuilder.cli.options import (
    author,
    counted,
    dry_run_option,
    images_option,
    list_argument,
    store_option,
)
from wheelbuilder.cli.planning import Chosen, read_inputs, upstream_index
from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.retire import Finding, Terms, Verdict, apply, survey
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.stores import open_existing

GRACE = 14  # days: time to find out that upstream's wheel does not work, and for upstream to yank it


@click.command(name="retire")
@list_argument
@store_option
@click.option(
    "--grace",
    type=click.IntRange(min=0, max=36500),
    default=GRACE,
    show_default=True,
    help="Days that upstream's wheel must have been there. 0: at once, also where no date is known.",
)
@images_option
@click.option("--upstream", help="The simple index to ask instead of the list's.")
@dry_run_option
def command(
    list_path: Path, address: str, grace: int, images: Path | None, upstream: str | None, dry_run: bool
) -> int:
    """Take wheels of ours off the gap view of LIST's channel where upstream has wheels that serve as well.

    The whole view goes on listing them, and their bytes stay: lock files keep working. What was retired
    comes back if upstream's wheel is gone or yanked.
    """
    chosen = Chosen(list_path=list_path, targets=(), pins=(), strict=False, images=images, upstream=upstream)
    catalogue, listed = read_inputs(chosen)
    store = open_existing(address)
    known = {str(target): target for target in catalogue.targets}
    terms = Terms(targets=listed.targets, known=known, now=datetime.now(UTC), grace=timedelta(days=grace))
    with counting("reading the index") as told:
        findings = survey(
            store,
            listed.channel,
            upstream_index(chosen, listed),
            terms,
            cache=states_cache(),
            progress=told,
        )
    for finding in findings:
        say(_line(finding, terms))
    say(_done(store, listed.channel, findings, dry_run=dry_run))
    return 0


def _done(store: Store, channel: str, findings: Sequence[Finding], *, dry_run: bool) -> str:
    retired, reinstated = (
        counted(sum(finding.verdict is verdict for finding in findings), "file")
        for verdict in (Verdict.RETIRE, Verdict.REINSTATE)
    )
    if dry_run:
        return f"Would retire {retired} of {channel} and reinstate {reinstated}."
    note = f"retired {retired} that upstream has wheels for, reinstated {reinstated}"
    done = apply(store, channel, findings, author(note), cache=states_cache())
    return f"Retired {retired} of {channel}, reinstated {reinstated}: commit {done.number}."


def _line(finding: Finding, terms: Terms) -> str:
    file = finding.file
    ours = f"{finding.verdict}: {file.filename} (ours, {file.upload_time[:10]})"
    if finding.verdict is Verdict.REINSTATE:
        return f"{ours}: upstream's wheel is gone or yanked; it was retired {(file.retired or '')[:10]}"
    theirs = ", ".join(f"{wheel.filename} ({_date(wheel.upload_time)})" for wheel in finding.theirs)
    words = {
        Verdict.WAIT: f"; the grace period ends {(finding.since or terms.now) + terms.grace:%Y-%m-%d}",
        Verdict.UNDATED: "; --grace 0 retires it nevertheless",
        Verdict.KEEP: "; ours was built again under a build tag when that was there, `remove` withdraws it",
    }
    return f"{ours}: upstream has {theirs}{words.get(finding.verdict, '')}"


def _date(time: str | None) -> str:
    return time[:10] if time else "no date known"
