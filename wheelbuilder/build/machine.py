"""What this machine, or the control group that we were put into, lets all builds together use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

RESERVED = 1 << 30  # bytes of memory that builds leave to everything else
CONTROLLERS = {"": ("", "memory.max"), "memory": ("memory", "memory.limit_in_bytes")}  # cgroup v2 and v1


def memory() -> int:
    """Return the bytes of memory for builds: what is there, less a reserve, and at least that much."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(RESERVED, min(physical, *_limits(Path("/"))) - RESERVED)


def _limits(root: Path) -> Iterator[int]:
    """Yield the memory limits of our control group and of those above it. root: where /proc and /sys are."""
    yield 1 << 62
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            if name in CONTROLLERS:
                folder, file = CONTROLLERS[name]
                yield from _along(root / "sys/fs/cgroup" / folder, path, file)


def _along(mount: Path, path: str, file: str) -> Iterator[int]:
    group = mount / path.strip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(mount):
            return
        text = _text(folder / file).strip()
        if text.isdigit():  # "max" where there is none
            yield int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
