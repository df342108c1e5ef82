"""The command line in this process: the same way from words to an exit code, and no process to start."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.__main__ import run


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command printed, and the exit code that it would have ended with."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what is wrong; a hint follows it."""
        lines = self.err.splitlines()
        (line,) = (it for it in lines if it.startswith("error: "))
        assert lines.index(line) == len(lines) - 2 and lines[-1].startswith("hint: "), self.err
        return line.removeprefix("error: ")


def command(*words: str | Path) -> Said:
    """Run `wheelbuilder` with these words."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["wheelbuilder", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run()
    finally:
        sys.argv = before
    return Said(code=code, out=out.getvalue(), err=err.getvalue())
