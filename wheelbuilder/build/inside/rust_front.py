"""Stands in a foreign root for its rustc and cargo: this machine's, which answer and compile as they would.

Whoever asks is told that the compiler runs on the root's machine, so that nobody cross-compiles: libraries,
programs and build scripts are the root's. Procedural macros are libraries that the compiler loads. They are
made for this machine, of the same libraries made once more for this machine: from the call that made each,
which is kept beside it. A program of its own, alone in a toolchain; it imports only the standard library.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from typing import Any, NoReturn

NATIVE = "/opt/wheelbuilder/native"  # where the toolchain is seen
REAL = f"{NATIVE}/lib/rust"  # this machine's own programs, and what its linker is told
CARGO = "/usr/bin/cargo"  # covered with this machine's, so that it finds itself where the root's would be
SYSROOT = "/usr"
KEPT = ".for-this-machine"  # beside libraries: how each was made, and the same for this machine
LONG = (  # options with a value
    *("allow", "cap-lints", "cfg", "check-cfg", "codegen", "color", "crate-name", "crate-type", "deny"),
    *("diagnostic-width", "edition", "emit", "error-format", "explain", "extern", "forbid", "force-warn"),
    *("json", "out-dir", "print", "remap-path-prefix", "sysroot", "target", "warn"),
)
SHORT = {"A": "allow", "C": "codegen", "D": "deny", "F": "forbid", "W": "warn"} | {it: it for it in "LlZo"}
LIBRARIES = frozenset(("lib", "rlib"))
VERSION = re.compile(r"--version|-[vV]*V[vV]*")
# What of a call is about the root's machine and its linker, or about where and how to answer.
OF_THE_ROOT = ("target", "sysroot")
LINKING = ("linker", "linker-flavor", "link-arg", "link-args", "target-cpu", "target-feature", "incremental")
ANSWERING = ("crate-type", "emit", "out-dir", "error-format", "json", "color", "diagnostic-width")
# By what a macro's own code learns of a machine, which is this one and not the root's.
ASKS_MACHINE = re.compile(rb"\btarget_(?:arch|abi|feature|has_atomic|pointer_width|endian)\b|\bARCH\b")
# Where numbers are of another size or order, by these too.
ASKS_NUMBERS = re.compile(
    rb"\b[iu]size::(?:MAX|MIN|BITS|max_value|min_value)\b|\b(?:size|align)_of(?:_val)?\b"
    rb"|\b(?:to|from)_ne_bytes\b|\bDefaultHasher\b"
)
COMMENT = re.compile(rb"^[ \t]*//.*", re.MULTILINE)  # documentation of macros has programs
OF_THIS_CALL = ("MAKEFLAGS", "MFLAGS", "CARGO_MAKEFLAGS", "WHEELBUILDER_HOLDS_SLOT")

Option = tuple[str, str]  # the long name and the value; "" and the word for what is no option with a value


def main(words: list[str]) -> NoReturn:
    """Be what the first word names, rustc or cargo."""
    with open(f"{REAL}/settings.json", encoding="ascii") as file:
        settings = json.load(file)
    is_cargo = os.path.basename(words[0]).startswith("cargo")
    program = CARGO if is_cargo else f"{REAL}/rustc"
    words = words[1:] if is_cargo else _spelled_out(words[1:])
    if any(map(VERSION.fullmatch, words)) or "host-tuple" in " ".join(words):
        _answer([program, *words], settings)
    if is_cargo:
        _become([program, *words])
    _compile(Call(words), settings)


class Call:
    """A command line of rustc, option by option."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.options = list(_options(words))

    def values(self, name: str) -> list[str]:
        """Return the values of an option."""
        return [value for option, value in self.options if option == name]

    def one(self, name: str) -> str:
        """Return the last value of an option, "" without one."""
        return (self.values(name) or [""])[-1]

    @property
    def codegen(self) -> list[str]:
        """What it asks of code generation: `opt-level=3`, which rustc also takes as `opt_level=3`."""
        return [_hyphened(value) for value in self.values("codegen")]

    @property
    def types(self) -> frozenset[str]:
        """The kinds of crate that it makes."""
        return frozenset(kind for value in self.values("crate-type") for kind in value.split(","))

    @property
    def source(self) -> str:
        """The file that it compiles, "" where it is none."""
        return next((word for option, word in self.options if not option and not word.startswith("-")), "")

    @property
    def library(self) -> str:
        """The path of the library that it makes, without a suffix; "" where it does not say."""
        extra = [value.partition("=")[2] for value in self.codegen if value.startswith("extra-filename=")]
        folder, name = self.one("out-dir"), self.one("crate-name")
        return os.path.join(folder, f"lib{name}{''.join(extra[-1:])}") if folder and name else ""


def _spelled_out(words: list[str]) -> list[str]:
    """Replace `@file` by the lines of that file."""
    found = []
    for word in words:
        if word.startswith("@"):
            with open(word[1:], encoding="utf-8") as file:
                found += file.read().splitlines()
        else:
            found.append(word)
    return found


def _options(words: list[str]) -> list[Option]:
    found, rest = [], iter(words)
    for word in rest:
        long, equals, value = word[2:].partition("=")
        if word.startswith("--") and long in LONG:
            found.append((long, value if equals else next(rest, "")))
        elif word[:1] == "-" and word[1:2] in SHORT:
            found.append((SHORT[word[1]], word[2:] or next(rest, "")))
        else:
            found.append(("", word))
    return found


def _hyphened(setting: str) -> str:
    name, equals, value = setting.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}"


def _spelled(option: Option) -> list[str]:
    name, value = option
    if not name:
        return [value]
    return [f"-{name}", value] if len(name) == 1 else [f"--{name}", value]


def _answer(argv: list[str], settings: dict[str, Any]) -> NoReturn:
    """Say what a program says of itself, with the root's machine as the one that it runs on."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, close_fds=False)
    sys.stdout.buffer.write(done.stdout.replace(settings["host"].encode(), settings["target"].encode()))
    sys.exit(done.returncode)


def _compile(call: Call, settings: dict[str, Any]) -> NoReturn:
    target = call.one("target") or settings["target"]
    if "target-cpu=native" in call.codegen:
        _refuse("-C target-cpu=native asks for the processor of another machine")
    here = "proc-macro" in call.types and target == settings["target"]
    if here and os.path.isfile(call.source):
        if name := _asks_machine(call.source, settings):
            _refuse(f"the procedural macros in {name} ask for the machine")
        _become(_for_this_machine(call.options, settings))
    if LIBRARIES & call.types and call.library and os.path.isfile(call.source):
        _keep(call)
    given = {"target", "sysroot"} & {name for name, _ in call.options}
    places = {"target": target, "sysroot": SYSROOT}
    first = [word for name, value in places.items() if name not in given for word in (f"--{name}", value)]
    _become([f"{REAL}/rustc", *first, "-C", "linker=cc", *call.words])


def _asks_machine(source: str, settings: dict[str, Any]) -> str:
    """Return the first file beside or below a source that asks for the machine, "" if there is none."""
    alike = "cargo" in settings["programs"]  # numbers of both machines are of the same size and order
    for folder, _, names in os.walk(os.path.dirname(source) or "."):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".rs") and os.path.isfile(path):
                with open(path, "rb") as file:
                    text = COMMENT.sub(b"", file.read())
                if ASKS_MACHINE.search(text) or (not alike and ASKS_NUMBERS.search(text)):
                    return path
    return ""


def _keep(call: Call) -> None:
    """Keep a call that makes a library, in the place of an earlier one and what was made by that."""
    place, name = _kept(call.library)
    os.makedirs(place, exist_ok=True)
    with open(f"{place}/{name}.{os.getpid()}", "w", encoding="utf-8") as file:
        json.dump({"words": call.words, "folder": os.getcwd(), "environment": dict(os.environ)}, file)
    os.replace(file.name, f"{place}/{name}.json")
    if os.path.exists(f"{place}/{name}.rlib"):
        os.unlink(f"{place}/{name}.rlib")


def _kept(library: str) -> tuple[str, str]:
    folder, name = os.path.split(library)
    return os.path.join(folder, KEPT), name


def _for_this_machine(options: list[Option], settings: dict[str, Any]) -> list[str]:
    """Return the command that makes for this machine what a call makes, once what it uses is made for it."""
    words = [f"{REAL}/rustc", "--sysroot", f"{NATIVE}/usr", "-C", f"linker={settings['linker']}"]
    words += ["-C", f"link-arg=-B{REAL}/"]
    for name, value in options:
        if name in OF_THE_ROOT or (name == "codegen" and _hyphened(value).partition("=")[0] in LINKING):
            continue
        if name == "L" and value.startswith("dependency="):
            words += ["-L", os.path.join(value, KEPT)]
        if name == "extern" and "=" in value:
            crate, _, path = value.partition("=")
            value = f"{crate}={_made(path, settings)}"
        words += _spelled((name, value))
    return words


def _made(path: str, settings: dict[str, Any]) -> str:
    """Return the path of a library for this machine, making it if it is missing. path: the root's.

    A procedural macro is for this machine already.
    """
    place, name = _kept(os.path.splitext(path)[0])
    made = f"{place}/{name}.rlib"
    if not os.path.exists(f"{place}/{name}.json"):
        if path.endswith(".so"):
            return path
        _refuse(f"nothing tells how {path} was made")
    with open(f"{place}/{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(made):
            _make(place, name, settings)
    return made


def _make(place: str, name: str, settings: dict[str, Any]) -> None:
    with open(f"{place}/{name}.json", encoding="utf-8") as file:
        kept = json.load(file)
    here, call = os.getcwd(), Call(kept["words"])
    os.chdir(kept["folder"])  # what the call names is relative to it
    # Others' libraries may: for speed they ask at every turn, and to look would leave few to be made.
    is_the_projects_own = not call.values("cap-lints")  # by which cargo tells them apart
    if is_the_projects_own and (asking := _asks_machine(call.source, settings)):
        _refuse(f"{asking}, of which procedural macros are made, asks for the machine")
    options = [option for option in call.options if option[0] not in ANSWERING]
    making = f"{os.path.abspath(place)}/{name}.making"
    words = _for_this_machine(options, settings)
    environment = {**kept["environment"], **{it: os.environ[it] for it in OF_THIS_CALL if it in os.environ}}
    done = subprocess.run(
        [*words, "--crate-type=lib", "--emit=link", f"--out-dir={making}"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,
    )
    os.chdir(here)
    if done.returncode:
        sys.stderr.buffer.write(done.stdout)
        _refuse(f"{name} cannot be made for this machine")
    os.replace(f"{making}/{name}.rlib", f"{place}/{name}.rlib")
    with suppress(OSError):
        os.rmdir(making)  # unless somebody was killed who has left something there


def _refuse(why: str) -> NoReturn:
    sys.exit(f"rustc: error: {why}")


def _become(argv: list[str]) -> NoReturn:
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(sys.argv)
