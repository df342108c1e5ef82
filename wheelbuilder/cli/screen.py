"""What commands print: lines, in which foreign text is made visible, and JSON documents."""

from __future__ import annotations

import json

import click

from wheelbuilder.shown import visible, without_secrets


def say(line: str = "", *, err: bool = False) -> None:
    """Print one line. err: to standard error."""
    click.echo(visible(without_secrets(line)), err=err)


def say_removal(what: str, could: bool, *, dry_run: bool) -> None:
    """Say what became of something that is removed unless a run uses it. could: as its removal answered."""
    removed = "would remove" if dry_run else "removed"
    say(f"{removed if could else 'a run uses'} {what}")


def say_json(values: object, *, indent: int | None = 2) -> None:
    """Print a JSON document on standard output; it is ASCII, whatever it holds."""
    click.echo(json.dumps(values, indent=indent))
