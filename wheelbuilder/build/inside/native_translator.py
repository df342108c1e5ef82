"""Translates with the environment's own Cython, in a native interpreter, as the emulated one would.

It lies in a foreign build environment as `_wheelbuilder_translator`. It is one of Cython's programs, or makes
a call that the emulated side describes on standard input.
"""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import Any, NoReturn

from wheelbuilder.build.inside.native_calls import cython, decoded, encoded, is_extension, members, say
from wheelbuilder.build.inside.native_guise import be_machine, own_path

# Parts of Cython that are imported to ask something or to call `cythonize`, not to change it.
HARMLESS = ("Cython.Build", "Cython.Compiler.Version", "Cython.Distutils", "Cython.Tempita")
# The options of the program `cythonize` with which it compiles nothing.
TRANSLATING = ("-3", "-2", "--3str", "-f", "--force", "-q", "--quiet", "-k", "--keep-going", "-a")
ASKING = ("-V", "--version", "-h", "--help")


def answer(descriptor: int) -> None:
    """Make the call that is described on standard input, and write what it returns to a descriptor."""
    with open(descriptor, "w", encoding="ascii") as written:
        request = json.load(sys.stdin)
        be_like(request)
        json.dump(sources(request) if "command" in request else called(request), written)


def be_like(request: dict[str, Any]) -> None:
    """Make this process like the emulated one, as far as Cython asks for that."""
    be_machine(request["uname"])
    standard = request["standard"]
    sys.path[:] = [*own_path(), *(it for it in request["path"] if not it.startswith(standard)), standard]
    if request["setuptools"]:
        import setuptools  # noqa: F401
    refuse_without_distutils()


def called(request: dict[str, Any]) -> list[Any]:
    """Call `cythonize` as the emulated side would; exit status 1 for whatever is different here.

    Return, for each extension, which of those given it is (-1: a new one), and what it holds.
    """
    from Cython.Build.Dependencies import cythonize

    refuse_differences(request)
    arguments = tuple(map(decoded, request["arguments"]))
    options = {name: decoded(value) for name, value in request["options"].items()}
    modules = cythonize(*arguments, **options)
    say(f"Cython {request['cython']['version']} ran natively for {', '.join(it.name for it in modules)}")
    given = [id(it) for it in members(arguments, options) if is_extension(it)]
    return [[given.index(id(it)) if id(it) in given else -1, encoded(it)] for it in modules]


def sources(request: dict[str, Any]) -> list[str]:
    """Let the old command translate as the emulated one would; return what there is to compile."""
    import Cython.Compiler.Main  # noqa: F401
    from Cython.Distutils.old_build_ext import old_build_ext

    refuse_differences(request)
    given, extension, options = map(decoded, request["arguments"])
    command = old_build_ext.__new__(old_build_ext)
    vars(command).update(options, mkpath=lambda path: os.makedirs(path or ".", exist_ok=True))
    made = old_build_ext.cython_sources(command, given, SimpleNamespace(**extension))
    say(f"Cython {request['cython']['version']} ran natively for {extension['name']}")
    return list(made)


def refuse_differences(request: dict[str, Any]) -> None:
    """End if the emulated side uses another Cython, or has changed its own."""
    unknown = [it for it in request["loaded"] if it not in sys.modules and not it.startswith(HARMLESS)]
    here, there = cython(), request["cython"]
    if there["options"] is None:
        del here["options"]
    changed = sorted(name for name in here if here[name] != there[name])
    if unknown or changed:
        sys.exit(f"wheelbuilder: not as expected: {', '.join([*unknown, *changed])}")


def refuse_without_distutils() -> None:
    """End where neither setuptools nor this standard library has it: Debian packs it apart."""
    try:
        import distutils.extension  # noqa: F401
    except ImportError:
        sys.exit("wheelbuilder: there is no native distutils")


def translate(shown: str) -> NoReturn:
    """Be the program `cython` or `cythonize`, or that module, with the words in `sys.argv`."""
    words = sys.argv[1:]
    if shown == "cythonize":
        options = {word for word in words if word.startswith("-")}
        if not options <= set(TRANSLATING):
            sys.exit(f"wheelbuilder: cythonize {' '.join(words)} is left to the emulated one")
        refuse_without_distutils()
        from Cython.Build.Cythonize import main as program
    else:
        from Cython.Compiler.Main import setuptools_main as program
    status = program()
    if not status and not set(words) & set(ASKING):
        from Cython import __version__

        say(f"Cython {__version__} ran natively: {shown} {' '.join(words)}")
    sys.exit(status)
