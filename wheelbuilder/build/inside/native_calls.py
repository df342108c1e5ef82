"""How a call comes from an emulated interpreter to a native one, and back: what both sides use.

It lies in a foreign build environment as `_wheelbuilder_calls`.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

OPTIONS = "Cython.Compiler.Options"
CALL = "call"  # the word for a call that is described on standard input
SITE = os.path.dirname(os.path.abspath(__file__))
EXTENSIONS = (
    *("distutils.extension", "setuptools._distutils.extension"),
    *("setuptools.extension", "Cython.Distutils.extension"),
)


class UnexpectedError(Exception):
    """A call is not of the kind that is handed over; says why."""


def encoded(value: Any) -> Any:
    """Return a plain value as [type, content]; UnexpectedError for any other."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return ["plain", value]
    if kind in (list, tuple):
        return [kind.__name__, [encoded(it) for it in value]]
    if kind is dict:
        return ["dict", [[encoded(name), encoded(it)] for name, it in value.items()]]
    if is_extension(value):
        return [kind.__module__, [[name, encoded(it)] for name, it in vars(value).items()]]
    raise UnexpectedError(f"it is given a {kind.__module__}.{kind.__qualname__}")


def decoded(value: Any) -> Any:
    """Return the value that `encoded` was given, or its like."""
    kind, content = value
    if kind == "plain":
        return content
    if kind == "dict":
        return {decoded(name): decoded(it) for name, it in content}
    if kind in EXTENSIONS:
        made = importlib.import_module(kind).Extension("", [])
        made.__dict__ = {name: decoded(it) for name, it in content}
        return made
    items = [decoded(it) for it in content]
    return tuple(items) if kind == "tuple" else items


def is_extension(value: Any) -> bool:
    """Say whether it is an extension module of setuptools or distutils, and of no class derived from that."""
    return type(value).__qualname__ == "Extension" and type(value).__module__ in EXTENSIONS


def members(arguments: tuple[Any, ...], options: dict[str, Any]) -> list[Any]:
    """Return what `cythonize` is called for, in order."""
    modules = [*arguments, options.get("module_list")][0]
    return list(modules) if isinstance(modules, (list, tuple)) else [modules]


def cython() -> dict[str, Any]:
    """Return what of Cython a program can have changed, in a form to compare."""
    import Cython

    options = sys.modules.get(OPTIONS)
    return {
        "version": Cython.__version__,
        "file": Cython.__file__,
        "options": options and {name: shown(it) for name, it in vars(options).items() if name[:2] != "__"},
    }


def shown(value: Any) -> str:
    """Return a value as words that are the same in every process."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{shown(name)}: {shown(it)}' for name, it in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(shown, value)))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    return f"{type(value).__qualname__} {getattr(value, '__qualname__', '')}"


def say(words: str) -> None:
    """Put a line into the log."""
    print(f"wheelbuilder: {words}", file=sys.stderr, flush=True)
