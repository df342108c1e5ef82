"""What a native interpreter runs in a foreign build environment: Cython or Meson, as it lies there.

It lies in the environment as `_wheelbuilder_main`. What stands in the place of the environment's programs
starts it, and so does the emulated side. It ends with 0 or above FINAL, or else the emulated one is to do it.
"""

from __future__ import annotations

import os
import sys

from wheelbuilder.build.inside.native_calls import CALL, SITE
from wheelbuilder.build.inside.native_guise import be_machine, own_path
from wheelbuilder.build.inside.native_meson import configure
from wheelbuilder.build.inside.native_translator import answer, translate


def main() -> None:
    """Make a call that is described on standard input, or be a program, a script or a module.

    A module is `-m`, or `-Pm` if it is not looked for in the current directory, and then its name.
    """
    machine, executable, what, *words = sys.argv[1:]
    if what == CALL:
        answer(int(words[0]))
        return
    be_machine([*os.uname()[:4], machine])
    if what in ("-m", "-Pm"):
        name = words.pop(0)
        first, shown = [SITE], f"python {what} {name}"
        first += [os.getcwd()] if what == "-m" else []
        what = f"{SITE}/{name.replace('.', '/')}.py"
    else:
        first, shown = [os.path.dirname(os.path.realpath(what))], os.path.basename(what)
    sys.path[:] = [*first, *own_path(), SITE]
    sys.argv = [what, *words]
    if "meson" in os.path.basename(what):
        configure(shown, executable)
    translate(shown)


if __name__ == "__main__":
    main()
