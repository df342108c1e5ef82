"""Turns what a failed build printed into a class, the useful lines and a hint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build.outcomes import FailureClass

MOST_LINES = 8
MOST_LENGTH = 300  # characters of one line
MOST_READ = 8 << 20  # bytes of a log that are looked at, from the end: it may be as large as the disk


@dataclass(frozen=True, kw_only=True, slots=True)
class Clue:
    """A pattern in a log, the class it stands for, and what to do; `{0}` is the first group."""

    pattern: re.Pattern[str]
    failure: FailureClass
    summary: str
    hint: str = ""


def _clue(pattern: str, failure: FailureClass, summary: str, hint: str = "") -> Clue:
    return Clue(pattern=re.compile(pattern, re.MULTILINE), failure=failure, summary=summary, hint=hint)


# Ordered: what explains the others comes first.
CLUES = (
    _clue(
        r"fatal error: (\S+\.h(?:pp)?): No such file or directory",
        FailureClass.MISSING_HEADER,
        "the header {0} is missing",
        "Add the package that provides it to system-packages of the recipe.",
    ),
    _clue(
        r"(?:cannot find -l|library not found for -l)(\S+)",
        FailureClass.MISSING_LIBRARY,
        "the library {0} is missing",
        "Add the package that provides it to system-packages of the recipe.",
    ),
    _clue(
        r"No package '([^']+)' found|Package '?([\w.+-]+)'?, required by .* not found"
        r"|Package (\S+) was not found in the pkg-config search path",
        FailureClass.MISSING_LIBRARY,
        "the pkg-config module {0} is missing",
        "Add the package that provides it to system-packages of the recipe.",
    ),
    _clue(
        r"(?:command '?([\w.+-]+)'? (?:failed: )?No such file|([\w.+-]+): (?:command )?not found"
        r"|No such file or directory: '([\w./+-]+)'$)",
        FailureClass.MISSING_PROGRAM,
        "the program {0} is missing",
        "Add the package that provides it to system-packages of the recipe, or to build-requires.",
    ),
    _clue(
        r"(?:virtual memory exhausted|Cannot allocate memory|fatal error: Killed signal terminated)",
        FailureClass.OUT_OF_MEMORY,
        "the build ran out of memory",
        "Raise limits.memory of the recipe, or lower limits.jobs.",
    ),
    _clue(
        r"^\S+\.(?:c|cc|cpp|cxx|h|hpp|pyx):\d+.*error: (.+)",
        FailureClass.COMPILER,
        "the compiler stopped: {0}",
    ),
    _clue(
        r"error: command '[^']*(?:gcc|g\+\+|cc|c\+\+)' failed", FailureClass.COMPILER, "the compiler failed"
    ),
)
USEFUL = re.compile(
    r"error|fatal|cannot|not found|no such|undefined|unreachable|refused|denied", re.IGNORECASE
)
NOISE = re.compile(r"^\s*(?:warning|note)\b|Werror|ErrorHandler|error\.(?:c|h|o|py)\b", re.IGNORECASE)


def classify(log: str) -> Clue | None:
    """Return the first clue that the log gives, its text filled in; None for a plain backend failure."""
    for clue in CLUES:
        if match := clue.pattern.search(log):
            found = next((group for group in match.groups() if group), "")
            return Clue(
                pattern=clue.pattern,
                failure=clue.failure,
                summary=clue.summary.format(found),
                hint=clue.hint,
            )
    return None


def read(log: Path) -> str:
    """Return the end of a log as text; nothing where no program has printed."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MOST_READ))
        return file.read().decode(errors="replace")


def useful_lines(log: str) -> tuple[str, ...]:
    """Return the lines a person wants to see first: errors, and the last line in any case."""
    lines = [line.strip()[:MOST_LENGTH] for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if USEFUL.search(line) and not NOISE.search(line)]
    return tuple(dict.fromkeys([*errors[: MOST_LINES - 2], *lines[-2:]]))
