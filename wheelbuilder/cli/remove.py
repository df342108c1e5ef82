"""`wheelbuilder remove`: take files of ours out of a channel."""

from __future__ import annotations

import click

from wheelbuilder.cli.options import author, channel_option, counted, dry_run_option, store_option
from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.care import check_reason, remove, select, some
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.stores import open_existing


@click.command(name="remove")
@click.argument("pins", metavar="PIN|FILENAME...", nargs=-1, required=True)
@store_option
@channel_option
@click.option("--reason", help="Why; kept in the commit.")
@dry_run_option
def command(pins: tuple[str, ...], address: str, channel: str, reason: str | None, dry_run: bool) -> int:
    """Take files of ours out of a channel; the bytes stay until `prune`, and `rollback` undoes it.

    PIN is name==version. Whoever has a file in a lock file may still download it until then; `yank`
    is the milder way. Nothing is removed if one of the words names nothing.
    """
    why = f": {check_reason(reason)}" if reason else ""
    store = open_existing(address)
    selection = select(store, channel, pins, cache=states_cache())
    for file in selection.all:
        say(file.filename)
    if dry_run:
        say(f"Would remove {counted(len(selection.all), 'file')} from {channel}.")
        return 0
    words = f"removed {some(map(str, selection.choices))}{why}"
    done = remove(store, selection, author(words), cache=states_cache())
    say(f"Removed {counted(len(selection.all), 'file')} from {channel}: commit {done.number}.")
    return 0
