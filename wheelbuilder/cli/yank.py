"""`wheelbuilder yank`: let installers pass over files of ours (PEP 592)."""

from __future__ import annotations

import click

from wheelbuilder.cli.options import author, channel_option, counted, store_option
from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.care import check_reason, select, some, yank
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.stores import open_existing


@click.command(name="yank")
@click.argument("pins", metavar="PIN...", nargs=-1, required=True)
@store_option
@channel_option
@click.option("--reason", required=True, help="Why, in one line: installers print it.")
def command(pins: tuple[str, ...], address: str, channel: str, reason: str) -> int:
    """Yank files of ours: installers take them only for a pin that names their version.

    PIN is name==version, or the file name of one wheel. Nothing is yanked if one of them names nothing.
    """
    reason = check_reason(reason)
    store = open_existing(address)
    selection = select(store, channel, pins, cache=states_cache())
    words = f"yanked {some(map(str, selection.choices))}: {reason}"
    done = yank(store, selection, reason, author(words), cache=states_cache())
    for file in selection.all:
        already = " (already, for the same reason)" if file.yanked == reason else ""
        say(f"{file.filename}{already}")
    changed = sum(file.yanked != reason for file in selection.all)
    say(f"Yanked {changed} of {counted(len(selection.all), 'file')} of {channel}: commit {done.number}.")
    return 0
