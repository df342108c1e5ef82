"""Runs when the Python of a foreign build environment starts, and sees to it that its Cython runs natively.

It lies in the environment as `_wheelbuilder_native`; every start pays for it, so it does and imports little.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

TRANSLATOR = "Cython.Build.Dependencies"  # has `cythonize`, which the others import from there
PROGRAM = os.path.dirname(__file__) + "/_wheelbuilder_cython.py"
# Options of an interpreter that change nothing of what Cython writes, but for where it looks (see `start`).
HARMLESS = "BEIPRqsu"


def start(python: str, machine: str) -> None:
    """Hand over to a native interpreter. machine: what this architecture is called by `uname -m`."""
    called = module_called(getattr(sys, "orig_argv", []))  # Python 3.10
    if called and called[0] == "cython" and (option := where_it_looks()):
        status = os.spawnv(os.P_WAIT, python, [python, "-S", PROGRAM, machine, option, *called[1:]])
        if status == 0:
            os._exit(0)
    sys.meta_path.insert(0, Finder(python))


def module_called(command: Sequence[str]) -> list[str]:
    """Return the module that an interpreter's command runs, and its words; nothing if that is not plain.

    As getopt has it: options can be glued together, and the module to its option.
    """
    for number, word in enumerate(command[1:], 2):
        if word[:1] != "-" or word == "-":
            break
        before, option, module = word[1:].partition("m")
        if before.strip(HARMLESS):
            break
        if option:
            return [module, *command[number:]] if module else list(command[number:])
    return []


def where_it_looks() -> str:
    """Return `-m` for a module that looks in the current directory first, `-Pm` for one that does not.

    Nothing where it would find another Cython, or other files to include, than the native one.
    """
    flags = sys.flags
    if "PYTHONPATH" in os.environ and not flags.ignore_environment:
        return ""
    if getattr(flags, "safe_path", flags.isolated):  # Python 3.11
        return "-Pm"
    try:
        return "" if any(name.partition(".")[0] == "cython" for name in os.listdir()) else "-m"
    except OSError:
        return ""


class Finder:
    """Finds a deputy for one module of Cython, and nothing else."""

    def __init__(self, python: str) -> None:
        self._python = python

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of the deputy, once."""
        if name != TRANSLATOR:
            return None
        sys.meta_path.remove(self)
        deputy: Any = self
        return importlib.machinery.ModuleSpec(name, deputy)

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        """Leave that to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the deputy."""
        from _wheelbuilder_cython import stand_in

        stand_in(module, self._python)
