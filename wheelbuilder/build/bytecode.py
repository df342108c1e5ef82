"""Byte-compiles a target's Python with a native interpreter: byte-code does not depend on the architecture.

A root or an environment without it is right all the same, and slow: every start compiles what it imports,
under emulation seven times slower than here.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import lru_cache
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.blueprints import toolchains
from wheelbuilder.build.toolchain_layout import started_outside

TIME_LIMIT = 600.0  # seconds
VERSION = "import sys; print(sys.version_info[:2], sys.version_info.releaselevel)"


def compile_tree(folder: Path, python: tuple[int, int], inside: str) -> bool:
    """Byte-compile `folder`, which the target sees at `inside`; False if no native Python fits.

    The files are not checked against their sources when they are loaded (PEP 552, unchecked-hash):
    what they lie in is read-only there. Sources for other Pythons do not compile; that is no error.
    """
    command = native_python(python)
    if command is None:
        return False
    process.run(
        (
            *(*command, "-I", "-m", "compileall", "-q", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-j", str(os.cpu_count() or 1), "-s", str(folder), "-p", inside, str(folder)),
        ),
        timeout=TIME_LIMIT,
    )
    return True


def native_python(python: tuple[int, int]) -> tuple[str, ...] | None:
    """Return what starts a CPython of this minor version on this machine, or None if there is none.

    Our own, an installed one, or that of a native toolchain; releases of one version share their byte-code.
    """
    if sys.version_info[:2] == python and sys.version_info.releaselevel == "final":
        return (sys.executable,)
    name = f"python{python[0]}.{python[1]}"
    installed = ((name,),) if shutil.which(name) else ()
    unpacked = (started_outside(path) for path in sorted(toolchains().glob(f"*/usr/bin/{name}")))
    return next((command for command in (*installed, *unpacked) if _is_final(command, python)), None)


@lru_cache(maxsize=16)
def _is_final(command: tuple[str, ...], python: tuple[int, int]) -> bool:
    return process.run((*command, "-I", "-c", VERSION), timeout=60).stdout.strip() == f"{python} final"
