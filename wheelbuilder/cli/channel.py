"""`wheelbuilder channel`: which channels a store has, what they hold, and the end of one that is lost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from wheelbuilder.cli.console import show_table
from wheelbuilder.cli.needs import file_documents, print_needs
from wheelbuilder.cli.options import author, counted, dry_run_option, json_option, store_option
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.mirror.channels import Reference, channel_names, resolve
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.forget import forget
from wheelbuilder.mirror.layout import check_channel, snapshot_prefix
from wheelbuilder.mirror.read import gap_states, read_commit, states_cache
from wheelbuilder.mirror.remains import give_up, remains
from wheelbuilder.mirror.snapshots import snapshots
from wheelbuilder.mirror.store import Store, each
from wheelbuilder.mirror.stores import open_existing

COLUMNS = ("commit", "time", "projects", "in the gap view", "run", "note")


@click.group(name="channel")
def command() -> None:
    """Show the channels of a store and their commits."""


@command.command(name="list")
@store_option
@json_option
def list_command(address: str, as_json: bool) -> None:
    """List the channels with their newest commits."""
    store = open_existing(address)
    names = channel_names(store)
    rows = [
        (name, *_row(commit))
        for name, commit in zip(
            names, each(lambda name: resolve(store, Reference(channel=name)), names), strict=True
        )
    ]
    if as_json:
        say_json([dict(zip(("channel", *COLUMNS), row, strict=True)) for row in rows])
    elif rows:
        show_table(("channel", *COLUMNS), rows)
    else:
        say(f"{store.address} has no channels.")


@command.command(name="show")
@click.argument("channel")
@store_option
@click.option("--commits", "count", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--files", is_flag=True, help="Also name each file, and the branches that need it.")
@json_option
def show_command(channel: str, address: str, count: int, files: bool, as_json: bool) -> None:
    """Show the newest commits of CHANNEL, or CHANNEL@NUMBER and those before, and the snapshots.

    Also how many of its files each branch of each list needs; --json names each file with its branches.
    """
    store = open_existing(address)
    reference = Reference.parse(channel)
    newest = resolve(store, reference)
    rows = [_row(commit) for commit in (newest, *_before(store, reference.channel, newest, count - 1))]
    taken = snapshots(store, reference.channel)
    states = gap_states(store, newest, cache=states_cache())
    if as_json:
        commits = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        listed = [asdict(snapshot) for snapshot in taken]
        return say_json({"commits": commits, "snapshots": listed, "files": file_documents(states)})
    show_table(COLUMNS, rows)
    for snapshot in taken:
        folder = snapshot_prefix(reference.channel, snapshot.number)
        say(f"snapshot {snapshot.number}, {snapshot.time}: {folder} {snapshot.note}".rstrip())
    say()
    print_needs(states, files=files)
    return None


@command.command(name="remove")
@click.argument("channel")
@store_option
@dry_run_option
def remove_command(channel: str, address: str, dry_run: bool) -> None:
    """Remove what is left of CHANNEL once its head and all its commits are lost.

    Its wheels stay until a prune finds that no other channel has them. Nobody may publish to it meanwhile.
    """
    store = open_existing(address)
    left = remains(store, channel)
    for listed in left:
        say(f"{'would' if dry_run else 'will'} be deleted: {listed.key} ({listed.size} bytes)")
    if not dry_run:
        left = give_up(store, channel)
    say(f"{len(left)} objects {'would be' if dry_run else 'were'} deleted.")


@command.command(name="forget")
@click.argument("channel")
@click.argument("list_name", metavar="LIST_NAME")
@store_option
def forget_command(channel: str, list_name: str, address: str) -> None:
    """Forget what the list called LIST_NAME needs of CHANNEL, because it does not run any more.

    What no other list needs is unneeded from then on: see prune --unneeded.
    """
    store, why = open_existing(address), author(f"the list {list_name} does not run any more")
    done = forget(store, check_channel(channel), list_name, why, cache=states_cache())
    say(f"{channel}: commit {done.number}; {counted(len(done.changed), 'project')} changed.")


def _before(store: Store, channel: str, newest: Commit, count: int) -> list[Commit]:
    numbers = range(newest.number - 1, max(newest.number - 1 - count, 0), -1)
    return [commit for commit in each(lambda it: read_commit(store, channel, it), numbers) if commit]


def _row(commit: Commit) -> tuple[Any, ...]:
    sizes = (len(commit.projects), len(commit.gap))
    return (commit.number, commit.time, *sizes, commit.run, commit.note)
