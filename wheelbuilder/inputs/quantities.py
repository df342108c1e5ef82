"""Durations and sizes as people write them: `20m`, `4G`."""

from __future__ import annotations

import re

SECONDS = {"s": 1, "m": 60, "h": 3600}
BYTES = {"K": 1024, "M": 1024**2, "G": 1024**3}


def seconds(text: str) -> float:
    """Read a duration such as `90s`, `20m` or `2h`; a ValueError says how to write one."""
    return float(_scaled(text, SECONDS, "90s, 20m or 2h"))


def size(text: str) -> int:
    """Read a size in bytes such as `512M` or `4G` (powers of 1024); a ValueError says how to write one."""
    return _scaled(text, BYTES, "512M or 4G")


def _scaled(text: str, units: dict[str, int], examples: str) -> int:
    match = re.fullmatch(rf"([1-9][0-9]*)([{''.join(units)}])", text)
    if not match:
        raise ValueError(f"write it like {examples}")
    return int(match[1]) * units[match[2]]
