"""`wheelbuilder snapshot`: give a commit pages of its own, for builds that pin a URL."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from wheelbuilder.cli.bars import counting
from wheelbuilder.cli.options import dry_run_option, store_option
from wheelbuilder.cli.screen import say
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.layout import View, snapshot_prefix
from wheelbuilder.mirror.snapshots import drop, keys, take
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.stores import open_existing


@click.command(name="snapshot")
@click.argument("commit", metavar="CHANNEL[@NUMBER]")
@store_option
@click.option("--note", default="", help="Why; kept with the snapshot.")
@click.option("--remove", is_flag=True, help="Remove the snapshot CHANNEL@NUMBER.")
@dry_run_option
def command(commit: str, address: str, note: str, remove: bool, dry_run: bool) -> int:
    """Write the pages of a commit under its own number, where they never change."""
    store, reference = open_existing(address), Reference.parse(commit)
    if remove:
        _remove(store, reference, dry_run=dry_run)
        return 0
    held = resolve(store, reference)
    folder = snapshot_prefix(reference.channel, held.number)
    if dry_run:
        say(f"Would write {4 * (len(held.projects) + 1)} pages at most below {folder}")
        return 0
    with counting("writing pages") as told:
        taken = take(
            store,
            reference.channel,
            held,
            now=datetime.now(UTC),
            note=note,
            progress=told,
        )
    say(f"Snapshot {taken.number} of {reference.channel}, taken {taken.time}:")
    for view in View:
        say(f"  {folder}{view}/")
    return 0


def _remove(store: Store, reference: Reference, *, dry_run: bool) -> None:
    if reference.number is None:
        raise ConfigurationError("Which snapshot is to be removed?", "Write CHANNEL@NUMBER.")
    resolve(store, Reference(channel=reference.channel))  # a channel that is not there has a word of its own
    doomed = keys(store, reference.channel, reference.number)
    for key in doomed:
        say(key)
    if dry_run:
        return say(f"Would remove these {len(doomed)} pages.")
    drop(store, reference.channel, reference.number)
    return say(f"Removed snapshot {reference.number} of {reference.channel}: {len(doomed)} pages.")
