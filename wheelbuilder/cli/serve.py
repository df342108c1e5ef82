"""The command that serves a store on loopback."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import click

from wheelbuilder.mirror.layout import View, channels
from wheelbuilder.mirror.serve import Request, serving
from wheelbuilder.mirror.stores import open_store


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--quiet", is_flag=True, help="Do not print requests.")
def command(directory: Path, port: int, host: str, quiet: bool) -> None:
    """Serve the store in DIRECTORY over HTTP until interrupted."""
    with serving(directory, host=host, port=port, told=None if quiet else _tell) as server:
        names = channels(listed.key for listed in open_store(str(directory)).list("channels/"))
        click.echo(f"serving {directory} at {server.url}")
        for channel in names:
            for view in (View.GAP, View.WHOLE):
                kind = "gap" if view.is_gap else "whole"
                click.echo(f"  {channel}, {kind} view: {server.url}channels/{channel}/{view}/")
        if not names:
            click.echo("  it has no channel yet", err=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


def _tell(request: Request) -> None:
    click.echo(f"{request.status} {request.method} {request.path}", err=True)
