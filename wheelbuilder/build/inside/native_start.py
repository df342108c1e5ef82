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


def start(python: str, machine: str) -> None:
    """Hand over to a native interpreter. machine: what this architecture is called by `uname -m`."""
    words = getattr(sys, "orig_argv", [])  # Python 3.10
    if words[1:3] == ["-m", "cython"]:
        status = os.spawnv(os.P_WAIT, python, [python, "-S", PROGRAM, machine, "-m", *words[3:]])
        if status == 0:
            os._exit(0)
    sys.meta_path.insert(0, Finder(python))


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
