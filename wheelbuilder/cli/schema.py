"""`wheelbuilder schema`: print the JSON schema of recipes or of lists."""

from __future__ import annotations

import click

from wheelbuilder.cli.screen import say_json
from wheelbuilder.inputs.schemas import NAMES, schema


@click.command(name="schema")
@click.argument("name", metavar="recipe|list", type=click.Choice(NAMES))
def command(name: str) -> None:
    """Print the JSON schema (2020-12) of recipes or of lists.

    An editor with a TOML language server finds it by the first line of a file:

        #:schema ./recipe.schema.json
    """
    say_json(schema(name))
