"""What an ELF object tells the dynamic linker. All of it is nothing for files of any other kind."""

from __future__ import annotations

import io
from collections.abc import Iterator

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

MAGIC = b"\x7fELF"
OWN = ("$ORIGIN", "${ORIGIN}")


def needed(data: bytes) -> Iterator[str]:
    """Yield the libraries that an object needs (DT_NEEDED)."""
    yield from _entries(data, "needed")


def search_paths(data: bytes) -> tuple[str, ...]:
    """Return the folders that an object names for its libraries (DT_RPATH, DT_RUNPATH).

    The dynamic linker passes over a list without any word.
    """
    lists = (*_entries(data, "rpath"), *_entries(data, "runpath"))
    return tuple(folder for each in lists if each for folder in each.split(":"))


def is_of_a_wheel(folder: str) -> bool:
    """Say whether such a folder is named from where the object is, and so is the same on each machine."""
    return folder.startswith(OWN)


def foreign_paths(data: bytes) -> tuple[str, ...]:
    """Return the folders of another machine that an object names for its libraries."""
    return tuple(folder for folder in search_paths(data) if not is_of_a_wheel(folder))


def _entries(data: bytes, kind: str) -> Iterator[str]:
    if not data.startswith(MAGIC):
        return
    for segment in ELFFile(io.BytesIO(data)).iter_segments("PT_DYNAMIC"):
        if isinstance(segment, DynamicSegment):
            # Set for this kind of tag, and unknown to its annotations.
            yield from (str(vars(tag)[kind]) for tag in segment.iter_tags(f"DT_{kind.upper()}"))
