"""Runs when the Python of a foreign build environment starts: its Cython and its Meson are to run natively.

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
PROGRAM = os.path.dirname(__file__) + "/_wheelbuilder_main.py"
# What a native program adds to its status that has failed and is not to be tried again: more than signals do.
FINAL = 192
CYTHON, MESON = "cython", "mesonbuild.mesonmain"  # what `-m` runs
SCRIPT = "meson.py"  # that of a Meson which a project brings along
# Options of an interpreter that change nothing of what those do, but for where they look (see `start`).
HARMLESS = "BEIPRqsu"


def start(python: str, machine: str, projects: Sequence[str]) -> None:
    """Hand over to a native interpreter. machine: what this architecture is called by `uname -m`.

    projects: what of Cython and Meson is to run there.
    """
    called = called_by(getattr(sys, "orig_argv", []))  # Python 3.10
    if called and is_native(called, projects):
        status = os.spawnv(os.P_WAIT, python, [python, "-S", PROGRAM, machine, sys.executable, *called])
        if status == 0 or status > FINAL:
            os._exit(status and status - FINAL)
    if "cython" in projects:
        sys.meta_path[:0] = [Finder(name, python) for name in (TRANSLATOR, COMMAND, COMPILER)]


def called_by(command: Sequence[str]) -> list[str]:
    """Return `-m`, the module that an interpreter's command runs, and its words; or the script and its words.

    Nothing if the command is not plain. `-Pm` for a module that is not looked for in the current directory.
    As getopt has it: options can be glued together, and the module to its option.
    """
    for number, word in enumerate(command[1:], 2):
        if word[:1] != "-":
            return [word, *command[number:]]
        before, option, module = word[1:].partition("m")
        if word == "-" or before.strip(HARMLESS):
            break
        if option:
            here = "-Pm" if getattr(sys.flags, "safe_path", sys.flags.isolated) else "-m"  # Python 3.11
            words = [module, *command[number:]] if module else command[number:]
            return [here, *words] if words else []
    return []


def is_native(called: Sequence[str], projects: Sequence[str]) -> bool:
    """Say whether a native interpreter is to run that: it would find the same there."""
    if called[0] not in ("-m", "-Pm"):
        if os.path.basename(called[0]) != SCRIPT or "meson" not in projects:
            return False
        return os.path.exists(f"{os.path.dirname(os.path.realpath(called[0]))}/mesonbuild/mesonmain.py")
    known = {CYTHON: "cython", MESON: "meson"}
    return known.get(called[1]) in projects and not is_elsewhere(called[0], called[1].partition(".")[0])


def is_elsewhere(option: str, package: str) -> bool:
    """Say whether the emulated interpreter might find another one, or other files to include."""
    if "PYTHONPATH" in os.environ and not sys.flags.ignore_environment:
        return True
    try:
        return option == "-m" and any(name.partition(".")[0] == package for name in os.listdir())
    except OSError:
        return True


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
