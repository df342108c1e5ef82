"""Stands in for Cython under emulation, and lets a native interpreter translate: what it writes is the same.

It lies in a foreign build environment as `_wheelbuilder_cython`. It hands over a call of `cythonize`, or of
the command that was before it, if it consists of plain values, and returns what comes back: for that it need
not import Cython's compiler, which takes seconds. Whatever is not as expected is left to the emulated Cython.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from types import ModuleType
from typing import Any

from wheelbuilder.build.inside.native_calls import (
    CALL,
    EXTENSIONS,
    UnexpectedError,
    cython,
    decoded,
    encoded,
    is_extension,
    members,
    say,
)
from wheelbuilder.build.inside.native_start import PROGRAM

TRANSLATOR = "Cython.Build.Dependencies"
# What a class derived from those can have: nothing that Cython would ask for.
DERIVED = ("__init__", "__module__", "__doc__", "__annotations__", "__firstlineno__", "__static_attributes__")
# What the old command asks of itself, apart from options that begin with `cython_`.
ASKED = ("no_c_in_traceback", "inplace", "force", "build_lib", "build_temp")
TRANSLATED = (".pyx", ".py")
# Options of `cythonize` with which it writes files that no source of an extension asks for.
ELSEWHERE = ("build_dir", "common_utility_include_dir", "shared_utility_qualified_name")
WRITTEN = (".c", ".cpp", ".cxx", ".cc", ".h", ".html")


def stand_in(module: ModuleType, python: str) -> None:
    """Make a module stand in for `Cython.Build.Dependencies`, which it imports when it must."""

    def cythonize(*arguments: Any, **options: Any) -> Any:
        modules = members(arguments, options)
        if is_compiled_only(modules, options):
            return modules
        try:
            if set(vars(module)) != known:
                raise UnexpectedError("its modules were changed")
            refuse_again(modules, seen)
            request = described(arguments, options)
            answer = handed_over(python, request, arguments, options)
        except UnexpectedError as reason:
            say(f"Cython runs emulated: {reason}")
        else:
            handed.append(request)
            return answer
        changes = {name: value for name, value in vars(module).items() if name not in known}
        vars(real()).update(changes)
        catch_up(handed)
        return real().cythonize(*arguments, **options)

    def other(name: str) -> Any:
        if name == "__path__":  # each `from` asks whether this is a package
            raise AttributeError(name)
        return getattr(real(), name)

    vars(module).update(cythonize=cythonize, __getattr__=other)
    known, seen, handed = set(vars(module)), set[str](), list[Any]()


def is_compiled_only(modules: list[Any], options: dict[str, Any]) -> bool:
    """Say whether nothing is translated or copied: such extensions come back as they are."""
    known: Any = known_classes()
    elsewhere = any(map(options.get, ELSEWHERE))
    return not elsewhere and all(
        isinstance(it, known)
        and type(it.sources) is list
        and all(type(name) is str and not name.endswith(TRANSLATED) for name in it.sources)
        for it in modules
    )


@functools.cache
def real() -> Any:
    """Import what was stood in for, in its place."""
    package = sys.modules["Cython.Build"]
    spec = importlib.machinery.PathFinder.find_spec(TRANSLATOR, package.__path__)
    assert spec and spec.loader
    module = sys.modules[TRANSLATOR] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(package)["Dependencies"] = module
    return module


def catch_up(handed: list[Any]) -> None:
    """Make the calls that were handed over: nothing is translated again, but Cython learns of the sources."""
    for request in handed:
        options = {name: decoded(value) for name, value in request["options"].items()}
        real().cythonize(*map(decoded, request["arguments"]), **{**options, "force": False})
    handed.clear()


def amend(command: Any, python: str) -> None:
    """Let the old command, which does not call `cythonize`, hand over what it translates."""
    emulated, mkpath = command.cython_sources, command.mkpath

    @functools.wraps(emulated)
    def cython_sources(self: Any, sources: Any, extension: Any) -> Any:
        if not any(isinstance(it, str) and it.endswith(TRANSLATED) for it in sources):
            return emulated(self, sources, extension)
        try:
            if type(self).mkpath is not mkpath or getattr(self, "dry_run", False):
                raise UnexpectedError("the command is a changed one")
            request = described((sources, plain(extension), options_of(self)), {})
            return asked(python, {**request, "command": True})
        except UnexpectedError as reason:
            say(f"Cython runs emulated: {reason}")
        return emulated(self, sources, extension)

    command.cython_sources = cython_sources


def plain(extension: Any) -> dict[str, Any]:
    """Return all that an extension holds; UnexpectedError if its class, a derived one, can have more."""
    classes = [it for it in type(extension).__mro__ if it.__module__ not in EXTENSIONS and it is not object]
    if not isinstance(extension, known_classes()) or {name for it in classes for name in vars(it)} - {
        *DERIVED
    }:
        raise UnexpectedError(f"it is given a {type(extension).__module__}.{type(extension).__qualname__}")
    return vars(extension)


def known_classes() -> tuple[type, ...]:
    """Return those extension classes that have been imported."""
    return tuple(vars(sys.modules[it])["Extension"] for it in EXTENSIONS if it in sys.modules)


def options_of(command: Any) -> dict[str, Any]:
    """Return what the old command asks of itself."""
    names = [*ASKED, *(name for name in vars(command) if name.startswith("cython_"))]
    return {name: getattr(command, name) for name in names if hasattr(command, name)}


def handed_over(
    python: str, request: dict[str, Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> list[Any]:
    """Let a native interpreter make a call, and return what it returns; UnexpectedError if it does not."""
    told = asked(python, request)
    given = [it for it in members(arguments, options) if is_extension(it)]
    return [restored(index, value, given) for index, value in told]


def asked(python: str, request: dict[str, Any]) -> Any:
    """Return what a native interpreter answers to a request; UnexpectedError if it does not."""
    started = time.time()
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as answer:
        words = ("-S", PROGRAM, os.uname()[4], sys.executable, CALL, str(answer.fileno()))
        try:
            done = subprocess.run(
                (python, *words),
                input=json.dumps(request).encode(),
                pass_fds=(answer.fileno(),),
                check=False,
            )
        except OSError as error:
            raise UnexpectedError(f"the native interpreter does not start: {error}") from None
        if done.returncode:
            outdate(started)
            raise UnexpectedError("the native one did not do it")
        answer.seek(0)
        return json.load(answer)


def refuse_again(modules: list[Any], seen: set[str]) -> None:
    """Refuse sources of an earlier call, of which Cython keeps in mind what it has found in them."""
    words = [it for each in modules for it in (each.sources if is_extension(each) else [each])]
    sources = {it for it in words if isinstance(it, str) and it.endswith(TRANSLATED)}
    if again := sources & seen:
        raise UnexpectedError(f"it has been called for {min(again)} before")
    seen |= sources


def described(arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return a call, and what it depends on, as JSON has it."""
    return {
        "arguments": [encoded(it) for it in arguments],
        "options": {name: encoded(value) for name, value in options.items()},
        "cython": cython(),
        "loaded": [it for it in sys.modules if it.startswith("Cython.")],
        "setuptools": "setuptools" in sys.modules,
        "uname": list(os.uname()),
        "path": list(sys.path),
        "standard": os.path.dirname(os.__file__),
    }


def restored(index: int, value: Any, given: list[Any]) -> Any:
    """Return an extension that came back: one of those given, or a new one."""
    made = decoded(value)
    if index < 0:
        return made
    vars(given[index]).update(vars(made))
    return given[index]


def outdate(started: float) -> None:
    """Make what a failed translation has written older than any source, so that it is made again."""
    for folder, _, names in os.walk("."):
        for path in (os.path.join(folder, name) for name in names if name.endswith(WRITTEN)):
            if not os.path.islink(path) and os.stat(path).st_mtime >= started - 2:
                os.utime(path, (1, 1))
