"""`wheelbuilder import`: check wheels that were built elsewhere and publish them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.channel import Channel
from wheelbuilder.cli.options import author, counted, dry_run_option, store_option
from wheelbuilder.cli.screen import say
from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.lists import RequirementsList, default_upstream, read_list
from wheelbuilder.inputs.recipes import Recipes
from wheelbuilder.mirror.amend import Published
from wheelbuilder.mirror.care import some
from wheelbuilder.mirror.import_trials import Means, hindrance, try_all
from wheelbuilder.mirror.imports import Checked, Complaint, Terms, check, rehearsed, shadowing, take_over
from wheelbuilder.mirror.layout import blob_key, check_channel
from wheelbuilder.mirror.read import contents, states_cache
from wheelbuilder.mirror.stores import open_store
from wheelbuilder.mirror.wheels import NewWheel
from wheelbuilder.plan.upstream import UpstreamIndex

HINT = "Build it again or repair it (`auditwheel repair`); one bad wheel keeps the others back too."


@click.command(name="import")
@click.argument(
    "wheels", metavar="WHEEL...", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False)
)
@store_option
@click.option("--channel", help="Where to publish. Default: the list's channel.")
@click.option(
    "--list", "list_path", type=click.Path(path_type=Path), help="The wheels are for targets of this list."
)
@click.option("--target", help="The wheels are for this target; kept with each file.")
@click.option("--images", type=click.Path(path_type=Path), help="The image table.")
@click.option(
    "--upstream",
    help="The simple index whose file names must not be shadowed. Default: the list's, or the usual one.",
)
@click.option("--no-upstream", is_flag=True, help="Do not ask upstream: for machines that cannot reach it.")
@click.option("--no-trial", is_flag=True, help="Do not install and import the wheels in a bare root.")
@dry_run_option
def command(
    wheels: tuple[Path, ...],
    address: str,
    channel: str | None,
    list_path: Path | None,
    target: str | None,
    images: Path | None,
    upstream: str | None,
    no_upstream: bool,
    no_trial: bool,
    dry_run: bool,
) -> int:
    """Check wheels that were built elsewhere as ours are checked, and publish them as one commit.

    All are checked first: structure, RECORD, METADATA, name, version, tags, native code, what that
    needs against what the platform tag promises, that upstream does not serve the same name with other
    bytes, and that the wheel installs and imports in a bare root, where there is an engine and a root for
    one of its targets. One that is refused keeps all of them back.
    """
    catalogue = Catalogue.read(images or default_path())
    listed = read_list(list_path, catalogue) if list_path else None
    where = _channel(channel, listed)
    index = UpstreamIndex(_asked(upstream, listed), cache_home() / "http")
    recipes = listed.recipes if listed else Recipes({})
    store = open_store(address)
    checked, complaints = check(wheels, _terms(catalogue, listed, target))
    good = [it.wheel for it in checked]
    if not complaints and not no_upstream:
        complaints = shadowing(good, index)
    _refuse(complaints, len(wheels))
    words = author(f"imported {some(sorted(wheel.filename for wheel in good))}")
    rehearsal = rehearsed(store, where, good, words, cache=states_cache())  # before a trial takes its time
    if not no_trial:
        served = Channel(files=contents(store, where, cache=states_cache()).projects, download=store.download)
        means = Means(catalogue=catalogue, recipes=recipes, index=index, ask=not no_upstream, channel=served)
        _refuse(_try(checked, means), len(wheels))
    if dry_run:
        _list(good)
        say(_intention(good, rehearsal, f"{where} of {store.address}"))
        return 0
    done = take_over(store, where, good, words, cache=states_cache())
    _tell(good, done, f"{where} of {store.address}")
    return 0


def _try(checked: Sequence[Checked], means: Means) -> list[Complaint]:
    """Try the wheels, say of each where or why not, and return what is wrong with some."""
    if why := hindrance():
        say(f"No wheel is tried: {why}", err=True)
        return []
    complaints = []
    for tried in try_all(checked, means):
        if tried.complaint:
            complaints.append(tried.complaint)
        else:
            say(str(tried), err=True)
    return complaints


def _intention(wheels: Sequence[NewWheel], rehearsal: Published, where: str) -> str:
    if not rehearsal.changed:
        return f"Already published in {where}: nothing would change."
    new = "" if rehearsal.number else ", a new channel"
    return f"Would publish {counted(len(wheels), 'wheel')} in {where}{new}."


def _channel(channel: str | None, listed: RequirementsList | None) -> str:
    if channel is not None:
        return check_channel(channel)
    if listed is None:
        raise ConfigurationError("Where are the wheels to be published?", "Give --channel, or a --list.")
    return listed.channel


def _asked(upstream: str | None, listed: RequirementsList | None) -> str:
    if upstream is not None:
        return upstream
    return listed.upstream if listed else default_upstream()


def _terms(catalogue: Catalogue, listed: RequirementsList | None, target: str | None) -> Terms:
    recipes = listed.recipes if listed else None
    if target is not None:
        chosen = catalogue.target(target)
        return Terms(
            catalogue=catalogue,
            targets=(chosen,),
            whose=f"--target {chosen}",
            chosen=chosen,
            recipes=recipes,
        )
    if listed:
        return Terms(
            catalogue=catalogue, targets=listed.targets, whose=f"the list {listed.name}", recipes=recipes
        )
    return Terms(catalogue=catalogue, targets=catalogue.targets, whose="the image table")


def _refuse(complaints: Sequence[Complaint], number: int) -> None:
    if not complaints:
        return
    if number == 1:
        raise IntegrityError(f"{complaints[0]}; nothing was published.", HINT)
    for complaint in complaints:
        say(f"refused: {complaint}", err=True)
    raise IntegrityError(
        f"{len(complaints)} of {counted(number, 'wheel')} refused; nothing was published.", HINT
    )


def _list(wheels: Sequence[NewWheel]) -> None:
    for wheel in wheels:
        say(blob_key(wheel.sha256, wheel.filename))


def _tell(wheels: Sequence[NewWheel], done: Published, where: str) -> None:
    _list(wheels)
    what = f"Published {counted(len(wheels), 'wheel')} in" if done.changed else "Already published in"
    say(f"{what} {where}: commit {done.number}.")
