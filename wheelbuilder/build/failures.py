"""Turns what a failed build printed into a class, the useful lines and a hint."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wheelbuilder.build.outcomes import FailureClass

MOST_LINES = 8
MOST_LENGTH = 300  # characters of one line


@dataclass(frozen=True, kw_only=True, slots=True)
class Clue:
    """A pattern in a log, the class it stands for, and what to do; `{0}` is the first group."""

    pattern: re.Pattern[str]
    failure: FailureClass
    summary: str
    hint: str = ""


def _clue(pattern: str, failure: FailureClass, summary: str, hint: str = "") -> Clue:
    return Clue(pattern=re.compile(pattern, re.MULTILINE), failure=failure, summary=summary, hint=hint)


PACKAGE = "Add the package that provides it to system-packages of the recipe."
PROGRAM = "Add the package that provides it to system-packages of the recipe, or to build-requires."
# A message of the compiler, but not about the little programs with which a build asks what there is.
AT = r"^[ \t]*(?!\S*(?:conftest|_configtest|CheckFunctionExists|testfile)\b)\S+:\d+(?::\d+)?: "

# Ordered: what explains the others comes first. Every pattern is linear in the length of a line.
CLUES = (
    _clue(
        AT + r"fatal error: '?([^\s':]+\.(?:h|hh|hpp|hxx|inc|pxd)|[\w/]+)'?"
        r"(?:: No such file or directory| file not found)",
        FailureClass.MISSING_HEADER,
        "the header {0} is missing",
        PACKAGE,
    ),
    _clue(
        r"ERROR: C(?:\+\+)? header '([^']+)' not found",
        FailureClass.MISSING_HEADER,
        "the header {0} is missing",
        PACKAGE,
    ),
    _clue(
        r"(?:cannot find -l|library not found for -l)([\w.+-]+)"
        r"|ERROR: C(?:\+\+)? (?:shared or static )?library '([^']+)' not found",
        FailureClass.MISSING_LIBRARY,
        "the library {0} is missing",
        PACKAGE,
    ),
    _clue(
        r"No package '([^']+)' found|Package '?([\w.+-]+)'?, required by .* not found"
        r"|Package (\S+) was not found in the pkg-config search path"
        r"|ERROR: Dependency (?:lookup for )?\"?([\w.+-]+)\"? (?:not found|with method .* failed)",
        FailureClass.MISSING_LIBRARY,
        "the pkg-config module {0} is missing",
        PACKAGE,
    ),
    _clue(
        r"CMake Error at [^\n]*\n+\s*(?:Could NOT find (\w+)|By not providing \"Find(\w+)\.cmake\""
        r"|Could not find a package configuration file provided by \"(\w+)\")",
        FailureClass.MISSING_LIBRARY,
        "CMake does not find {0}",
        PACKAGE,
    ),
    _clue(
        r"command '?([\w.+-]+)'? failed: No such file|unable to execute '([\w.+-]+)': No such file"
        r"|(?<![\w.+-])[\w-]*sh: (?:(?:line )?\d+: )?([\w.+/-]+): (?:command )?not found"
        r"|make(?:\[\d+\])?: ([\w.+/-]+): (?:Command not found|No such file or directory)"
        r"|/env: '?([\w.+-]+)'?: No such file or directory"
        r"|FileNotFoundError: \[Errno 2\] No such file or directory: '([a-z][a-z0-9_+-]*)'$"
        r"|(?<![\w-])(\w{1,40}[-_]config) (?:executable )?not found"
        r"|ERROR: Program '?([\w.+-]+)'? not found|error: linker `([\w.+-]+)` not found"
        r"|No (CMAKE_\w+_COMPILER) could be found|([Cc]argo), the Rust package manager, is not installed"
        r"|can't find (Rust compiler)|Do you have `?([Cc]argo)`? in your PATH|ERROR: Unknown (compiler)\(s\)",
        FailureClass.MISSING_PROGRAM,
        "the program {0} is missing",
        PROGRAM,
    ),
    _clue(
        r"virtual memory exhausted|Cannot allocate memory|fatal error: Killed signal terminated"
        r"|internal compiler error: Killed|^MemoryError$",
        FailureClass.OUT_OF_MEMORY,
        "the build ran out of memory",
        "Raise limits.memory of the recipe, or lower limits.jobs.",
    ),
    _clue(
        AT + r"(?:fatal )?error: (.+)|^error\[E\d+\]: (.+)|^\S+\.(?:pyx|pxd|pxi):\d+:\d+: (?!warning)(.+)",
        FailureClass.COMPILER,
        "the compiler stopped: {0}",
    ),
    _clue(r"undefined reference to [`']([^`'\n]+)'", FailureClass.COMPILER, "the linker does not find {0}"),
    _clue(
        r"error: command '[^']*(?:gcc|g\+\+|cc|c\+\+|clang)' failed|error: could not compile `",
        FailureClass.COMPILER,
        "the compiler failed",
    ),
    _clue(
        r"^ModuleNotFoundError: No module named '([\w.]+)'",
        FailureClass.REQUIREMENTS,
        "the Python module {0} is missing",
        "Add the project that provides it to build-requires of the recipe.",
    ),
)
USEFUL = re.compile(
    r"error|fatal|cannot|not found|no such|undefined|unreachable|refused|denied", re.IGNORECASE
)
NOISE = re.compile(
    r"^(?:warning|note|copying|adding|creating|byte-compiling|hard linking|reading|writing|checking)\b"
    r"|^(?:\S*/)?(?:[\w-]+-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(?:-\d+)? -"
    r"|: (?:warning|note): |Werror|ErrorHandler|error\.(?:c|h|o|py)\b",
    re.IGNORECASE,
)


def classify(log: str) -> Clue | None:
    """Return the first clue that the log gives, its text filled in; None for a plain backend failure."""
    text = "\n".join(line[:MOST_LENGTH] for line in log.splitlines() if line)
    for clue in CLUES:
        if match := clue.pattern.search(text):
            found = next((group for group in match.groups() if group), "")
            return Clue(
                pattern=clue.pattern,
                failure=clue.failure,
                summary=clue.summary.format(found),
                hint=clue.hint,
            )
    return None


def useful_lines(log: str) -> tuple[str, ...]:
    """Return the lines a person wants to see first: errors, and the last line in any case."""
    lines = [line.strip()[:MOST_LENGTH] for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if USEFUL.search(line) and not NOISE.search(line)]
    return tuple(dict.fromkeys([*errors[: MOST_LINES - 2], *lines[-2:]]))
