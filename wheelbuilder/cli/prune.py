"""`wheelbuilder prune`: delete what no channel, kept commit or snapshot refers to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import click

from wheelbuilder.cli.options import author, dry_run_option, store_option
from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.channels import channel_names
from wheelbuilder.mirror.prune import prune
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.store import Listed, Store
from wheelbuilder.mirror.stores import open_existing
from wheelbuilder.mirror.unneeded import lapsed, take_off


@click.command(name="prune")
@store_option
@click.option(
    "--keep-snapshots",
    "commits",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="The newest commits of each channel that stay, besides those with pages of their own.",
)
@click.option(
    "--grace",
    type=click.IntRange(min=0, max=36500),
    default=7,
    show_default=True,
    help="Days between being found unreachable and being deleted, by a later prune.",
)
@click.option(
    "--unneeded",
    type=click.IntRange(min=0, max=36500),
    help="Also take files off the channels that no branch of any list has needed for so many days.",
)
@dry_run_option
def command(address: str, commits: int, grace: int, unneeded: int | None, dry_run: bool) -> int:
    """Mark what nothing refers to, and delete what was marked more than the grace period ago.

    A reader of an old page is not cut off, and a writer that needs a marked object takes its mark away. With
    --grace 0 nobody may publish meanwhile.
    """
    store = open_existing(address)
    if unneeded is not None:
        _take_off(store, datetime.now(UTC) - timedelta(days=unneeded), dry_run=dry_run)
    asked = partial(prune, store, commits=commits, grace=timedelta(days=grace), cache=states_cache())
    planned = asked(now=datetime.now(UTC), dry_run=True)
    _tell("will be deleted" if not dry_run else "would be deleted", planned.doomed)
    if not dry_run:
        planned = asked(now=datetime.now(UTC))
    done = "would be" if dry_run else "were"
    say(
        f"{len(planned.doomed)} objects ({_size(planned.doomed)}) {done} deleted, {len(planned.marked)}"
        f" ({_size(planned.marked)}) are marked and wait for their grace period of {grace} days."
    )
    return 0


def _take_off(store: Store, until: datetime, *, dry_run: bool) -> None:
    for channel in channel_names(store):
        for it in lapsed(store, channel, until, cache=states_cache()):
            done = "would be" if dry_run else "will be"
            say(f"{done} taken off {channel}: {it.file.filename} (no branch needs it since {it.since})")
        if not dry_run:
            take_off(store, channel, until, author("prune --unneeded"), cache=states_cache())


def _tell(what: str, listed: Sequence[Listed]) -> None:
    for it in listed:
        say(f"{what}: {it.key} ({it.size} bytes)")


def _size(listed: Sequence[Listed]) -> str:
    return f"{sum(it.size for it in listed) / 1e6:.1f} MB"
