"""The command that serves a store on loopback."""

from __future__ import annotations

import threading
from contextlib import suppress

import click

from wheelbuilder.cli.screen import say
from wheelbuilder.mirror.channels import channel_names
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import View
from wheelbuilder.mirror.serve import Request, serving
from wheelbuilder.mirror.stores import directory_of


@click.command()
@click.argument("store")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--quiet", is_flag=True, help="Do not print requests.")
def command(store: str, port: int, host: str, quiet: bool) -> None:
    """Serve STORE, a directory, over HTTP until interrupted."""
    directory = directory_of(store)
    names = channel_names(DirectoryStore(directory))
    with serving(directory, host=host, port=port, told=None if quiet else _tell) as server:
        say(f"serving {directory} at {server.url}")
        for channel in names:
            for view in (View.GAP, View.WHOLE):
                kind = "gap" if view.is_gap else "whole"
                say(f"  {channel}, {kind} view: {server.url}channels/{channel}/{view}/")
        if not names:
            say("  it has no channel yet", err=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


def _tell(request: Request) -> None:
    say(f"{request.status} {request.method} {request.path}", err=True)
