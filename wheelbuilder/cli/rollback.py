"""`wheelbuilder rollback`: make a channel hold again what it held before."""

from __future__ import annotations

import click

from wheelbuilder.cli.options import author, store_option
from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.channels import Reference, resolve, rollback
from wheelbuilder.mirror.layout import check_channel
from wheelbuilder.mirror.stores import open_existing


@click.command(name="rollback")
@click.argument("channel")
@click.argument("number", type=click.IntRange(min=1), required=False)
@store_option
@click.option("--note", default="", help="Why; kept in the commit.")
def command(channel: str, number: int | None, address: str, note: str) -> int:
    """Make CHANNEL hold again what its commit NUMBER held (default: the one before the newest).

    The history goes on: this is a new commit, and rolling back to the one before it undoes it.
    """
    store = open_existing(address)
    if number is None:
        number = resolve(store, Reference(channel=check_channel(channel))).number - 1
    words = f"rolled back to {number}" + (f": {note}" if note else "")
    head, changed = rollback(store, check_channel(channel), number, author(words))
    what = "holds again" if changed else "holds already"
    say(f"{channel} {what} what its commit {number} held: commit {head.commit.number}.")
    return 0
