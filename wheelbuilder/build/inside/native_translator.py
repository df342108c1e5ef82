"""Translates with the environment's own Cython, in a native interpreter, as the emulated one would.

It lies in a foreign build environment as `_wheelbuilder_translator`, and is run, not imported: by what is
there in the place of Cython's programs, and by the emulated side, which describes a call on standard input.
"""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import Any

from wheelbuilder.build.inside.native_calls import SITE, cython, decoded, encoded, is_extension, members, say

# Parts of Cython that are imported to ask something or to call `cythonize`, not to change it.
HARMLESS = ("Cython.Build", "Cython.Compiler.Version", "Cython.Distutils", "Cython.Tempita")
# The options of the program `cythonize` with which it compiles nothing.
TRANSLATING = ("-3", "-2", "--3str", "-f", "--force", "-q", "--quiet", "-k", "--keep-going", "-a")
ASKING = ("-V", "--version", "-h", "--help")


def main() -> None:
    """Make a call that is described on standard input, or be one of Cython's programs."""
    machine, what, *words = sys.argv[1:]
    if what == "call":
        with open(int(words[0]), "w", encoding="ascii") as answer:
            request = json.load(sys.stdin)
            be_like(request)
            json.dump(sources(request) if "command" in request else called(request), answer)
    else:
        be_machine([*os.uname()[:4], machine])
        run(what, words)


def be_machine(uname: list[str]) -> None:
    """Answer like the target: sources can ask for its name while they are translated."""
    os.uname = lambda: os.uname_result(uname)


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


def own_path() -> list[str]:
    """Return where the native standard library lies."""
    return [path for path in sys.path if path.startswith(sys.base_prefix)]


def run(what: str, words: list[str]) -> None:
    """Be the program `cython` or `cythonize`, or what `python -m cython` runs: `-m`, or `-Pm`."""
    module = what in ("-m", "-Pm")
    name = f"python {what} cython" if module else os.path.basename(what)
    first = {"-m": [SITE, os.getcwd()], "-Pm": [SITE]}.get(what, [os.path.dirname(what)])
    sys.path[:] = [*first, *own_path(), SITE]
    sys.argv = [f"{SITE}/cython.py" if module else what, *words]
    if name == "cythonize":
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

        say(f"Cython {__version__} ran natively: {name} {' '.join(words)}")
    sys.exit(status)


if __name__ == "__main__":
    main()
