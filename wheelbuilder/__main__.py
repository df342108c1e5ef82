"""The program's entry and its one error boundary: every expected failure is one sentence and an exit code."""

from __future__ import annotations

import sys

import click

from wheelbuilder.cli.main import wheelbuilder
from wheelbuilder.errors import InterruptedRunError, WheelbuilderError


def main() -> None:
    """Run the command line and exit with the code that the outcome stands for."""
    sys.exit(run())


def run() -> int:
    """Run the command line and return its exit code."""
    try:
        return int(wheelbuilder.main(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return InterruptedRunError.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except WheelbuilderError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        return error.exit_code


if __name__ == "__main__":
    main()
