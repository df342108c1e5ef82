"""What a request asks for: a representation by Accept (PEP 691), a part by Range (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wheelbuilder.mirror.layout import JSON_TYPE

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
# PEP 691: "latest" asks for whatever version the server has newest; the answer says which one that is.
LATEST = {
    "application/vnd.pypi.simple.latest+json": "application/vnd.pypi.simple.v1+json",
    "application/vnd.pypi.simple.latest+html": "application/vnd.pypi.simple.v1+html",
}


def best(accept: str, offered: Sequence[str]) -> str | None:
    """Return the offered type that an Accept header likes best, or None if it takes none of them.

    Of equals JSON wins where it is asked for by name; else the first offered one.
    """
    ranges = _parse(accept) or [("*/*", 1.0)]
    ranked = []
    for position, kind in enumerate(offered):
        quality, exact = _quality(kind, ranges)
        if quality > 0:
            ranked.append(((quality, exact and kind == JSON_TYPE, -position), kind))
    return max(ranked)[1] if ranked else None


def span(asked: str, size: int) -> tuple[int, int] | None:
    """Return the first byte and the end of the one range that a Range header asks for.

    The whole where there is no such header, or one that may be passed over; None for a range outside.
    """
    match = RANGE.fullmatch(asked)
    if not match or not any(match.groups()):
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return (start, end) if start < end else None


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, bool]:
    """Return the quality that the most specific matching range gives, and whether it names the type."""
    for pattern in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        found = [quality for name, quality in ranges if name == pattern]
        if found:
            return max(found), pattern == kind
    return 0.0, False


def _parse(accept: str) -> list[tuple[str, float]]:
    ranges = []
    for item in accept.lower().split(","):
        name, *parameters = (word.strip() for word in item.split(";"))
        if name:
            ranges.append((LATEST.get(name, name), _q(parameters)))
    return ranges


def _q(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
