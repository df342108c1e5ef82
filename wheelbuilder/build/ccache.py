"""The program ccache with its libraries, as a folder that can be mounted into any root of this machine.

It comes from the newest archive family that has this machine's architecture, and is called through its own
loader: nothing of the root is used or changed. It must not be found in PATH: meson and many a CMakeLists.txt
would put it before the compiler by themselves, and write that into what they build.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from wheelbuilder.build import programs
from wheelbuilder.build.emulation import MACHINE
from wheelbuilder.build.unpacking import Contents, extract
from wheelbuilder.inputs.images import Catalogue, Role, Root, Source

INSIDE = "/opt/wheelbuilder/ccache"
PROGRAM = "usr/bin/ccache"


def ensure(catalogue: Catalogue, log: Path) -> Path | None:
    """Return the folder, making it if it is missing; None where this machine cannot make it.

    Raises UnreachableError where it could, and the archive does not answer.
    """
    root = _origin(catalogue)
    return programs.ensure(_name(root), lambda folder: _make(root, folder, log)) if root else None


def name(catalogue: Catalogue) -> str:
    """Return what its folder is called, "" where this machine cannot have it."""
    root = _origin(catalogue)
    return _name(root) if root else ""


def command(folder: Path) -> str:
    """Return the words that call it inside, separated by spaces."""
    loader = next((folder / "usr/lib").glob("*/ld-linux*.so.*"))
    libraries = f"{INSIDE}/{loader.parent.relative_to(folder)}"
    return f"{libraries}/{loader.name} --library-path {libraries} {INSIDE}/{PROGRAM}"


def _origin(catalogue: Catalogue) -> Root | None:
    roots = (
        family.roots.get((MACHINE, Role.BUILD))
        for family in catalogue.families.values()
        if family.source is Source.ARCHIVE
    )
    found = [root for root in roots if root]
    return found[-1] if found else None


def _name(root: Root) -> str:
    return f"ccache-{root.suite}-{root.arch.debian}"


def _make(root: Root, folder: Path, log: Path) -> bool:
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        return False
    contents = Contents(
        name="ccache",
        suite=root.suite,
        architecture=root.arch.debian,
        packages=("ccache",),
        sources=root.apt_sources,
    )
    extract(contents, folder, log=log)
    for unused in ("dev", "etc", "var", "tmp", "usr/share"):
        shutil.rmtree(folder / unused, ignore_errors=True)
    return True
