"""`wheelbuilder sync`: copy a mirror from one store to another."""

from __future__ import annotations

from collections.abc import Sequence

import click

from wheelbuilder.cli.bars import counting
from wheelbuilder.cli.options import dry_run_option
from wheelbuilder.cli.screen import say
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.stores import open_existing, open_store
from wheelbuilder.mirror.sync import PRUNED, copy, survey


@click.command(name="sync")
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST")
@click.option("--channel", "channels", multiple=True, help="Only this channel; may be repeated.")
@dry_run_option
def command(source: str, destination: str, channels: Sequence[str], dry_run: bool) -> int:
    """Copy the mirror in SRC to DST, directories or s3://bucket/prefix: only what differs.

    Nothing that DST had is deleted. An interrupted copy goes on where it was; DST is a good mirror at
    every moment.
    """
    there, here = open_existing(source), open_store(destination)
    if there.address == here.address:
        raise ConfigurationError(f"{here.address} is to be copied into itself.", "Give another DST.")
    copying = survey(there, here, channels)
    for move in copying.moves:
        if move.old != move.new.number:
            say(f"{move.channel}: commit {move.old or 'none'} -> {move.new.number}")
        elif move.ahead:
            say(f"{move.channel}: {destination} is ahead, at commit {move.old}, and keeps it")
    objects = (*copying.shared, *copying.history)
    if dry_run:
        for listed in objects:
            say(f"would be copied: {listed.key} ({listed.size} bytes)")
        say(f"{len(objects)} objects ({copying.size / 1e6:.1f} MB) would be copied.")
        return 0
    with counting("copying") as told:
        left_out = copy(there, here, copying, progress=told, cache=states_cache())
    for key in left_out:
        tool = "a prune" if key.startswith(PRUNED) else "'audit --deep --repair'"
        say(f"not copied: {key} is damaged; no commit refers to it, and {tool} of {there.address} removes it")
    say(f"{len(objects) - len(left_out)} objects ({copying.size / 1e6:.1f} MB) copied.")
    return 0
