"""`wheelbuilder diff`: what differs between two commits."""

from __future__ import annotations

from dataclasses import asdict

import click

from wheelbuilder.cli.options import json_option, store_option
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.mirror.channels import Difference, Kind, Reference, diff, resolve
from wheelbuilder.mirror.stores import open_existing

SIGNS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~", Kind.NEEDS: "~"}


@click.command(name="diff")
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@store_option
@click.option("--ours", is_flag=True, help="Only wheels of ours, not upstream's files.")
@json_option
def command(old: str, new: str, address: str, ours: bool, as_json: bool) -> int:
    """Say what B has that A has not, and the reverse; each is a CHANNEL or a CHANNEL@NUMBER.

    Also of which projects other branches need the files.
    """
    store = open_existing(address)
    one, other = (resolve(store, Reference.parse(text)) for text in (old, new))
    found = [it for it in diff(store, one, other) if it.ours or not ours]
    if as_json:
        say_json([asdict(difference) for difference in found])
        return 0
    for difference in found:
        say(_line(difference))
    if not found:
        say(f"{old} and {new} hold the same.")
    return 0


def _line(difference: Difference) -> str:
    whose = "" if difference.ours else " (upstream's)"
    details = f": {difference.details}" if difference.details else ""
    return f"{SIGNS[difference.kind]} {difference.filename or difference.project}{whose}{details}"
