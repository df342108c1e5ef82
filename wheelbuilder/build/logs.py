"""Reads what a step printed, of which foreign code decides how much there is."""

from __future__ import annotations

from pathlib import Path

MOST_READ = 8 << 20  # bytes that are looked at, from the end: a log may be as large as the disk


def tail(log: Path) -> str:
    """Return the end of a log as text; nothing where no program has printed."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MOST_READ))
        return file.read().decode(errors="replace")
