"""The command that prints how an installer uses a mirror."""

from __future__ import annotations

import click

from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.consumers import Installer, Kind, snippet
from wheelbuilder.mirror.layout import DEFAULT_CHANNEL


@click.command()
@click.argument("installer", type=click.Choice([str(installer) for installer in Installer]))
@click.argument("url")
@click.option("--channel", default=DEFAULT_CHANNEL, show_default=True, help="The channel to use.")
@click.option(
    "--view",
    type=click.Choice([str(kind) for kind in Kind]),
    help="gap: our wheels only. whole: everything in one index. Default: what suits the installer.",
)
def command(installer: str, url: str, channel: str, view: str | None) -> None:
    """Print the configuration with which INSTALLER uses the mirror whose root is URL."""
    kind = Kind(view) if view else None
    for line in snippet(Installer(installer), url, channel=channel, kind=kind).splitlines():
        say(line)
