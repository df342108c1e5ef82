"""The folders of names that a toolchain has for roots: those of roots that are gone, and removing them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from wheelbuilder.build import held
from wheelbuilder.build.blueprints import toolchains
from wheelbuilder.build.toolchain import ABOUT, NAMES


def unused(images: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Yield the toolchain's name and the folder of each root that is none of these images, as `Root.tag` is.

    Also what a killed process has left half made.
    """
    digests = tuple(image.rpartition("-")[2] for image in images)
    for folder in sorted(toolchains().glob(f"[!.]*/{NAMES}/*")):
        if not folder.name.startswith((*digests, held.GONE)):
            yield (folder.parents[1] / ABOUT).read_text(encoding="ascii"), folder


def remove(folder: Path, *, dry_run: bool = False) -> bool:
    """Remove such a folder, and say whether it could be: not while somebody builds with the toolchain.

    dry_run: only say it.
    """
    alone = held.lock(folder.parents[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    if alone is None:
        return False
    try:
        return held.remove(folder, dry_run=dry_run)
    finally:
        os.close(alone)
