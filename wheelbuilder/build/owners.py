"""Which driver process a container belongs to, and whether that process still lives."""

from __future__ import annotations

import os
from pathlib import Path

OWNER_LABEL = "wheelbuilder.owner"


def our_mark() -> str:
    """Return `<pid>-<start time>` of this process; a pid alone is given out again."""
    return f"{os.getpid()}-{_start_time(os.getpid())}"


def is_alive(mark: str) -> bool:
    """Say whether the process of a mark still runs; a mark that cannot be read counts as dead."""
    pid, _, started = mark.partition("-")
    return pid.isdigit() and started != "" and _start_time(int(pid)) == started


def _start_time(pid: int) -> str:
    """Return field 22 of /proc/<pid>/stat (clock ticks since boot), "" if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    # The second field is the command in parentheses and may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
