"""The program's entry and its one error boundary: every failure is one sentence and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import traceback

import click

from wheelbuilder import __version__
from wheelbuilder.cli.main import wheelbuilder
from wheelbuilder.cli.screen import say
from wheelbuilder.errors import ConfigurationError, InterruptedRunError, WheelbuilderError

BUG = 70  # EX_SOFTWARE of sysexits.h
CLOSED_PIPE = 141  # what a shell says of a program that a closed pipe ended


def main() -> None:
    """Run the command line and exit with the code that the outcome stands for."""
    signal.signal(signal.SIGTERM, _interrupt)  # ends everything in the same order as Ctrl-C does
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know every letter of a name
            stream.reconfigure(errors="backslashreplace")
    code = run()
    if code == InterruptedRunError.exit_code:
        # What was to be kept is kept; threads that wait for a silent server would hold the exit up.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def run() -> int:
    """Run the command line and return its exit code."""
    try:
        return int(wheelbuilder.main(standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        say("interrupted", err=True)
        return InterruptedRunError.exit_code
    except click.ClickException as error:
        return _usage(error)
    except WheelbuilderError as error:
        return _tell(error.message, error.hint, error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at exit
        return CLOSED_PIPE
    except OSError as error:
        what = error.filename or "The output"
        return _tell(
            f"{what} does not work: {error.strerror or error}.", "Check it and this user's rights.", 2
        )
    except Exception as error:  # noqa: BLE001  (a bug of ours: its traceback is for us, not for the screen)
        return _tell(f"This is a bug in wheelbuilder {__version__}: {error!r}", _kept_traceback(error), BUG)


def _tell(message: str, hint: str, code: int) -> int:
    say(f"error: {message}", err=True)
    if hint:
        say(f"hint: {hint}", err=True)
    return code


def _usage(error: click.ClickException) -> int:
    words = io.StringIO()
    error.show(words)
    for line in words.getvalue().splitlines():
        say(line, err=True)
    return ConfigurationError.exit_code


def _kept_traceback(error: Exception) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="wheelbuilder-bug-", suffix=".log", delete=False) as file:
        traceback.print_exception(error, file=file)
    return f"Please report it with {file.name}."


if __name__ == "__main__":
    main()
