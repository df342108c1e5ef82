"""Options that several commands have, and words that they share."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.quantities import seconds, size
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.layout import DEFAULT_CHANNEL

store_option = click.option(
    "--store", "address", required=True, help="The mirror: a directory, or s3://bucket/prefix."
)
channel_option = click.option("--channel", default=DEFAULT_CHANNEL, show_default=True, help="The channel.")


def _here(_ctx: click.Context, _param: click.Parameter, value: str) -> Path:
    """Return the path of a list; one that is an address would be told as a path with slashes missing."""
    if "://" in value or not value:
        raise ConfigurationError(f"{value!r} is not the path of a list.", "Give the path of a TOML file.")
    return Path(value)


list_argument = click.argument("list_path", metavar="LIST", callback=_here)
images_option = click.option("--images", type=click.Path(path_type=Path), help="The image table.")
upstream_option = click.option("--upstream", help="The simple index whose wheels need not be built.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


class Duration(click.ParamType[float]):
    """A duration such as 90s, 20m or 3h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        try:
            return value if isinstance(value, float) else seconds(value)
        except ValueError as error:
            self.fail(f"{value!r} is no duration: {error}", param, ctx)


class Size(click.ParamType[int]):
    """A size such as 512M or 4G, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        try:
            return value if isinstance(value, int) else size(value)
        except ValueError as error:
            self.fail(f"{value!r} is no size: {error}", param, ctx)


def author(note: str) -> Author:
    """Return who makes a commit by hand, now."""
    return Author(run=f"by {_user()}", now=datetime.now(UTC), note=note)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return "an operator"
