"""Turns what a failed build printed into a class, the useful lines, a hint, and what is missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from wheelbuilder.build.clues import CLUES, Clue
from wheelbuilder.build.missing import Missing, missing
from wheelbuilder.build.outcomes import FailureClass

MOST_LINES = 8
MOST_LENGTH = 300  # characters of one line
MOST_MISSING = 5  # things of one kind that are looked up


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Why a build failed, as its log tells. missing: what could be looked up in a package index."""

    failure: FailureClass
    summary: str
    hint: str
    missing: tuple[Missing, ...] = ()


USEFUL = re.compile(
    r"error|fatal|can ?not|could not|unable to|not found|no such|make sure|undefined|unreachable|refused"
    r"|denied",
    re.IGNORECASE,
)
SAYS_SOMETHING = re.compile(r"\w")  # which rows of asterisks do not
NOISE = re.compile(
    r"^(?:warning|note|copying|adding|creating|byte-compiling|hard linking|reading|writing|checking)\b"
    r"|^(?:\S*/)?(?:[\w-]+-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(?:-\d+)? -"
    r"|: (?:warning|note): |Werror|ErrorHandler|error\.(?:c|h|o|py)\b",
    re.IGNORECASE,
)
# What Cython says of a source that it does not translate.
REFUSED = re.compile(r"^\S+\.(?:pyx|pxd|pxi):\d+:\d+: (?!warning).+", re.MULTILINE)
COMPILER_ERROR = " error: "
# The last words of a Python program that ended with them. What another program did is told by that one.
LAST_WORDS = re.compile(r"(?!subprocess\.)(?:[\w.]+(?:Error|Exception)|error): \S.*")


# One of these stands in or before every line that a clue is about. Of a long log few lines are left
# by this one pass, where each clue would be another.
TROUBLE = re.compile(
    r"rror|RROR|No such|ot found|NOT find|an ?not|an't|ould|nable|make sure|nstall|eed|equire|emory|SIGKILL"
    r"|removed|support|declared|ackage|ibrary|undefined|failed|child_exception|is not|not set|non-zero"
    r"|has no|than|[.]py[xdi]:"
)


def classify(log: str) -> Finding | None:
    """Return what the first clue in the log's text says; None for a plain backend failure."""
    text = _troubled(log)
    for clue in CLUES:
        if match := clue.pattern.search(text):
            return Finding(
                failure=clue.failure,
                summary=clue.summary.format(_named(match)),
                hint=clue.hint,
                missing=tuple(_missing(clue, text, match.start())),
            )
    return None


def _troubled(log: str) -> str:
    """Return the lines that may hold a clue, each with the two after it, which may say what is meant."""
    kept, until = [], 0
    lines = [line[:MOST_LENGTH] for line in log.splitlines() if line]
    for number, line in enumerate(lines):
        if TROUBLE.search(line):
            until = number + 3
        if number < until:
            kept.append(line)
    return "\n".join(kept)


def _missing(clue: Clue, text: str, start: int) -> Iterator[Missing]:
    """Yield what the clue names, each once: a compiler that goes on may miss several headers."""
    if clue.kind is None:
        return
    names: dict[str, None] = {}
    for match in clue.pattern.finditer(text, start):
        names |= dict.fromkeys(filter(None, match.groups()))
        if len(names) >= MOST_MISSING:
            break
    for name in list(names)[:MOST_MISSING]:
        if found := missing(clue.kind, name):
            yield found


def is_certain(log: str) -> bool:
    """Say whether Cython has refused the same line twice, natively and then emulated, and that was the end.

    A project may go on with what an earlier Cython has made of its source, and fail at that.
    """
    refused = list(REFUSED.finditer(log))
    again = any(times > 1 for times in Counter(match[0] for match in refused).values())
    return again and COMPILER_ERROR not in log[refused[-1].end() :]


def _named(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group), "")


def useful_lines(log: str) -> tuple[str, ...]:
    """Return the lines a person wants to see first: errors, and the last line in any case."""
    lines = [line.strip()[:MOST_LENGTH] for line in log.splitlines() if SAYS_SOMETHING.search(line)]
    errors = [line for line in lines if USEFUL.search(line) and not NOISE.search(line)]
    return tuple(dict.fromkeys([*errors[: MOST_LINES - 2], *lines[-2:]]))


def last_words(lines: tuple[str, ...]) -> str:
    """Return the error that a Python program says last, of the useful lines of its log; "" without one."""
    return lines[-1] if lines and LAST_WORDS.fullmatch(lines[-1]) else ""
