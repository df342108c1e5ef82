"""What the GCC of an image does by itself, in its own words: where it looks, and what it is made for.

Asked once an image, under emulation: what is built in an image must keep to what its own compiler would do.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from wheelbuilder.build.engine import Engine
from wheelbuilder.errors import UnreachableError

TIMEOUT = 300.0  # seconds
QUESTIONS = {
    "triplet": "gcc -dumpmachine",
    "version": "gcc -dumpversion",
    "libgcc": "gcc -print-libgcc-file-name",
    "command": "gcc -O2 -### -x c /dev/null -o program 2>&1",
    "macros": "gcc -O2 -dM -E -x c /dev/null",
    "C++ macros": "g++ -O2 -dM -E -x c++ /dev/null",
    "C": "gcc -E -v -x c /dev/null 2>&1",
    "C++": "g++ -E -v -x c++ /dev/null 2>&1",
}
MARK = "-- wheelbuilder: "
SEARCHED = re.compile(r"^#include <\.\.\.>.*?:\n(.*?)^End of search list", re.MULTILINE | re.DOTALL)
MACRO = re.compile(r"^#define (\w+) (.*)$", re.MULTILINE)
# Of its own command lines: what decides the instructions, and how objects are linked.
MACHINE = re.compile(r"-m(?:arch|cpu|fpu|float-abi)=\S+|-mthumb|-marm")
LINKING = re.compile(
    r"--as-needed|--build-id(?:=\S+)?|--hash-style=\w+|--fix-cortex-a53-\d+|--no-add-needed|--eh-frame-hdr"
)
KEYWORDS = re.compile(r"now|relro|norelro|separate-code|noseparate-code|max-page-size=\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gcc:
    """An image's own GCC. home: the folder of its libgcc and start files.

    machine, linking: the options that it gives to its compiler and its linker by itself. headers: the
    folders that it searches for C; cxx_headers: those before them for C++, () where there is no C++;
    libraries: those that it tells the linker of. macros, cxx_macros: what it predefines for each.
    """

    triplet: str
    version: str
    home: str
    machine: tuple[str, ...]
    linking: tuple[str, ...]
    headers: tuple[str, ...]
    cxx_headers: tuple[str, ...]
    libraries: tuple[str, ...]
    macros: dict[str, str]
    cxx_macros: dict[str, str]


def ask(engine: Engine, image: str) -> Gcc:
    """Ask the GCC that comes first in an image's own PATH; UnreachableError where it does not answer."""
    script = "\n".join(f"echo '{MARK}{name}'\n{command}" for name, command in QUESTIONS.items())
    done = engine.run(image, ("/bin/sh", "-c", script), workdir="/tmp", timeout=TIMEOUT, name="gcc")  # noqa: S108
    answers = dict(_answers(done.stdout))
    if not answers.get("macros"):
        words = done.stderr.strip().splitlines() or [f"it ended with status {done.exit_code}"]
        raise UnreachableError(f"The GCC of {image} does not say what it is: {words[0]}")
    return read(answers)


def read(answers: dict[str, str]) -> Gcc:
    """Return what the answers to QUESTIONS say."""
    home = posixpath.dirname(posixpath.normpath(answers["libgcc"].strip()))
    compiling, linking = _command_lines(answers["command"])
    headers, cxx_headers = (_searched(answers[language]) for language in ("C", "C++"))
    return Gcc(
        triplet=answers["triplet"].strip(),
        version=answers["version"].strip(),
        home=home,
        machine=tuple(word for word in compiling if MACHINE.fullmatch(word)),
        linking=tuple(_linking(linking)),
        headers=headers,
        cxx_headers=cxx_headers[: len(cxx_headers) - len(headers)],
        libraries=tuple(
            dict.fromkeys(posixpath.normpath(word[2:]) for word in linking if word.startswith("-L"))
        ),
        macros=dict(MACRO.findall(answers["macros"])),
        cxx_macros=dict(MACRO.findall(answers["C++ macros"])),
    )


def _answers(output: str) -> Iterator[tuple[str, str]]:
    for part in output.split(MARK)[1:]:
        name, _, answer = part.partition("\n")
        yield name, answer


def _command_lines(output: str) -> tuple[list[str], list[str]]:
    """Return the words with which GCC would start its compiler proper, and those for its linker."""
    lines = [shlex.split(line) for line in output.splitlines() if line.startswith(" /")]
    compiling = next((words for words in lines if words[0].endswith("/cc1")), [])
    linking = next((words for words in lines if words[0].endswith(("/collect2", "/ld"))), [])
    return compiling, linking


def _linking(words: list[str]) -> Iterator[str]:
    """Yield options of the linker that hold for the whole link: those before the first input."""
    for before, word in pairwise(words):
        if word.endswith(".o"):
            return
        if LINKING.fullmatch(word):
            yield word
        elif before == "-z" and KEYWORDS.fullmatch(word):
            yield from ("-z", word)


def _searched(output: str) -> tuple[str, ...]:
    found = SEARCHED.search(output)
    return tuple(posixpath.normpath(line.strip()) for line in found[1].splitlines()) if found else ()
