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

TIME_LIMIT = 600.0  # seconds
VERSION = "import sys; print(sys.version_info[:2], sys.version_info.releaselevel)"


def compile_tree(folder: Path, python: tuple[int, int], inside: str) -> bool:
    """Byte-compile `folder`, which the target sees at `inside`; False if no native Python fits.

    The files are not checked against their sources when they are loaded (PEP 552, unchecked-hash):
    what they lie in is read-only there. Sources for other Pythons do not compile; that is no error.
    """
    interpreter = native_python(python)
    if interpreter is None:
        return False
    process.run(
        (
            *(interpreter, "-I", "-m", "compileall", "-q", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-j", str(os.cpu_count() or 1), "-s", str(folder), "-p", inside, str(folder)),
        ),
        timeout=TIME_LIMIT,
    )
    return True


@lru_cache(maxsize=16)
def native_python(python: tuple[int, int]) -> str | None:
    """Return a CPython of this minor version on this machine, or None; its releases share one byte-code."""
    if sys.version_info[:2] == python and sys.version_info.releaselevel == "final":
        return sys.executable
    program = shutil.which(f"python{python[0]}.{python[1]}")
    if program is None:
        return None
    done = process.run((program, "-I", "-c", VERSION), timeout=60)
    return program if done.stdout.strip() == f"{python} final" else None
