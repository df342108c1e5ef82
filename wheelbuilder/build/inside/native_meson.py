"""Runs Meson in a native interpreter: it is pure Python, and asks the target's own interpreter about Python.

It lies in a foreign build environment as `_wheelbuilder_meson`. What Meson starts is what it would start
under emulation: the compiler, the programs of the project, and the target's interpreter as `python3`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from wheelbuilder.build.inside.native_calls import say
from wheelbuilder.build.inside.native_guise import be_interpreter
from wheelbuilder.build.inside.native_start import FINAL

MOST = 255 - FINAL  # of what a status can say beside that
AGAIN = "setup"  # the command that can be given again where it has failed: it starts anew then
RUNS_PYTHON = "runpython"  # the command that runs a script in Meson's own interpreter
# The module that answers from Meson's own interpreter; where it installs to depends on that.
TELLS_ITS_OWN = "mesonbuild.modules.python3"


def configure(shown: str, executable: str) -> NoReturn:
    """Be Meson, called with the words in `sys.argv`. executable: the target's interpreter.

    Any exception is unexpected, and leaves it to the emulated one: Meson tells of its errors by a status.
    """
    words = sys.argv[1:]
    if words[:1] == [RUNS_PYTHON] or is_elsewhere():
        sys.exit(f"wheelbuilder: {shown} is left to the emulated one")
    be_interpreter(executable)
    from mesonbuild.coredata import version
    from mesonbuild.mesonmain import main

    sys.meta_path.insert(0, Refusal())
    status = status_of(main)
    sys.stdout.flush()
    if words[:1] != [AGAIN]:
        sys.exit(final(status))
    failed = bool(status)
    how = "runs emulated, the native one did not do it" if failed else "ran natively"
    say(f"Meson {version} {how}: {shown} {' '.join(words)}")
    sys.exit(failed)


def is_elsewhere() -> bool:
    """Say whether the emulated interpreter might find another Meson."""
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return any(os.path.exists(os.path.join(folder, "mesonbuild")) for folder in folders if folder)


def status_of(program: Callable[[], int]) -> int | str | None:
    """Run a program, and return what it hands to `sys.exit`: it was done if that is nothing or 0."""
    try:
        return program()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code


def final(status: int | str | None) -> int:
    """Return a status that says the same, and that nobody else is to do it."""
    if not status:
        return 0
    return FINAL + (status if isinstance(status, int) and 0 < status <= MOST else 1)


class Refusal:
    """Finds no module, and ends what asks for one that would tell about this interpreter."""

    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        """Leave a module to the others."""
        if name == TELLS_ITS_OWN:
            from mesonbuild.mesonlib import MesonException

            raise MesonException(f"{name} is left to the emulated Meson")
