"""Runs when the Python of a foreign build environment starts, and sees to it that its Cython runs natively.

It lies in the environment as `_wheelbuilder_start`; every start pays for it, so it does and imports little.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys

TYPE_CHECKING = False  # that of `typing`, the import of which takes a tenth of a second here
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any

TRANSLATOR = "Cython.Build.Dependencies"  # has `cythonize`, which the others import from there
COMMAND = "Cython.Distutils.old_build_ext"  # has a command that translates without it
COMPILER = "Cython.Compiler.Main"  # setuptools imports it only to know that it is there
PROGRAM = os.path.dirname(__file__) + "/_wheelbuilder_translator.py"
# Options of an interpreter that change nothing of what Cython writes, but for where it looks (see `start`).
HARMLESS = "BEIPRqsu"


def start(python: str, machine: str) -> None:
    """Hand over to a native interpreter. machine: what this architecture is called by `uname -m`."""
    called = module_called(getattr(sys, "orig_argv", []))  # Python 3.10
    if called and called[0] == "cython" and (option := where_it_looks()):
        status = os.spawnv(os.P_WAIT, python, [python, "-S", PROGRAM, machine, option, *called[1:]])
        if status == 0:
            os._exit(0)
    sys.meta_path[:0] = [Finder(name, python) for name in (TRANSLATOR, COMMAND, COMPILER)]


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
    """Finds one module of Cython: a deputy for it, the module amended, or one that loads when it is used."""

    def __init__(self, name: str, python: str) -> None:
        self._name, self._python = name, python
        self._loader: Any = None  # of what is amended

    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return what loads that module, once."""
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        loader: Any = self
        if name == TRANSLATOR:
            return importlib.machinery.ModuleSpec(name, loader)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and name == COMMAND:
            self._loader, spec.loader = spec.loader, loader
        elif spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            from importlib.util import LazyLoader

            spec.loader = LazyLoader(spec.loader)
        return spec

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        """Leave that to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the deputy, or the module itself."""
        from wheelbuilder.build.inside.native_cython import amend, stand_in

        if self._name == TRANSLATOR:
            stand_in(module, self._python)
            return
        assert module.__spec__
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        amend(module.old_build_ext, self._python)
