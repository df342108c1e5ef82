"""The machine's compile slots: files that compilers lock, shared by the builds of all runs."""

from __future__ import annotations

from pathlib import Path

from wheelbuilder.build.cache import cache_home, locked

INSIDE = "/opt/wheelbuilder/slots"  # compiler.c knows it too
QUEUE = "queue"  # held by the one process that looks for a free slot
WAITING = "waits-for-slot"  # what compiler.c calls itself meanwhile


def ready(number: int) -> Path:
    """Return the folder with so many slots, for all drivers that use this machine's cache folder."""
    folder = cache_home() / "compile-slots"
    with locked("slots"):
        folder.mkdir(exist_ok=True)
        for name in (QUEUE, *map(str, range(number))):
            (folder / name).touch()
        for slot in folder.glob("[0-9]*"):  # the machine may have had more cores
            if int(slot.name) >= number:
                slot.unlink()
    return folder
