"""Makes a native interpreter answer as the target's, as far as what it runs asks for that.

It lies in a foreign build environment as `_wheelbuilder_guise`.
"""

from __future__ import annotations

import os
import sys

EI_DATA, ELFDATA2MSB = 5, 2  # of an ELF header: which byte tells the order, and what it says for big-endian


def be_machine(uname: list[str]) -> None:
    """Answer `uname` for the target."""
    os.uname = lambda: os.uname_result(uname)


def be_interpreter(executable: str) -> None:
    """Name the target's interpreter as the one that runs, and its byte order: what is started is that one."""
    with open(executable, "rb") as file:
        header = file.read(EI_DATA + 1)
    sys.executable = executable
    sys.byteorder = "big" if header[EI_DATA] == ELFDATA2MSB else "little"


def own_path() -> list[str]:
    """Return where the native standard library lies."""
    return [path for path in sys.path if path.startswith(sys.base_prefix)]
