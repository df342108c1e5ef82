"""`wheelbuilder unyank`: let installers take yanked files of ours again (PEP 592)."""

from __future__ import annotations

import click

from wheelbuilder.cli.options import author, channel_option, counted, store_option
from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.care import check_reason, select, some, yank
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.stores import open_existing


@click.command(name="unyank")
@click.argument("pins", metavar="PIN...", nargs=-1, required=True)
@store_option
@channel_option
@click.option("--reason", help="Why; kept in the commit.")
def command(pins: tuple[str, ...], address: str, channel: str, reason: str | None) -> int:
    """Undo `yank`. PIN is name==version, or the file name of one wheel."""
    why = f": {check_reason(reason)}" if reason else ""
    store = open_existing(address)
    selection = select(store, channel, pins, cache=states_cache())
    words = f"unyanked {some(map(str, selection.choices))}{why}"
    done = yank(store, selection, None, author(words), cache=states_cache())
    for file in selection.all:
        say(file.filename if file.yanked is not None else f"{file.filename} (was not yanked)")
    changed = sum(file.yanked is not None for file in selection.all)
    say(f"Unyanked {changed} of {counted(len(selection.all), 'file')} of {channel}: commit {done.number}.")
    return 0
