"""Reads what hooks leave behind: answers and counters, in folders where foreign code writes what it likes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from wheelbuilder.build import untrusted
from wheelbuilder.build.outcomes import FailureClass, StepFailedError

# Counters that move when something asks for an address beyond loopback, or for a name server.
ATTEMPTS = (("Ip", "OutNoRoutes"), ("Udp", "NoPorts"), ("Ip6OutNoRoutes", ""), ("Udp6NoPorts", ""))
MOST_READ = 16 << 20  # bytes of a file that foreign code wrote and the host reads at once
RETURNS: dict[str, type] = {"build_wheel": str, "get_requires_for_build_wheel": list}  # PEP 517
NO_ANSWER = ("no_backend", "hook_missing", "unsupported")  # what pyproject_hooks says instead of an answer


def answer(path: Path, hook: str) -> str:
    """Return a hook's answer for the front end, without warnings: the log has them, and it would print them.

    Raises StepFailedError BACKEND for what is no answer, or not of the type that PEP 517 wants.
    """
    refuse_special(path)
    text = untrusted.read(path, MOST_READ)
    try:
        told = json.loads(text or b"")
        told.pop("warnings", None)
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise StepFailedError(FailureClass.BACKEND, f"the backend's {hook} left no answer") from None
    answered = not any(told.get(flag) for flag in NO_ANSWER)
    if answered and not isinstance(told.get("return_val"), RETURNS[hook]):
        raise StepFailedError(
            FailureClass.BACKEND, f"the backend's {hook} returned {told.get('return_val')!r:.100}"
        )
    return json.dumps(told)


def refuse_special(path: Path) -> None:
    """Refuse what foreign code may have put where we read: a link to a file of the host, a pipe, a flood."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise StepFailedError(
            FailureClass.BACKEND, f"the backend left something other than a file at {path.name}"
        )
    if path.exists() and path.stat().st_size > MOST_READ:
        raise StepFailedError(FailureClass.BACKEND, f"the backend left a {path.name} of more than 16 MiB")


def attempted_network(counters: Path) -> bool:
    """Say whether something tried to leave a container. counters: its /proc/net/snmp and snmp6, as text."""
    text = (untrusted.read(counters, MOST_READ) or b"").decode(errors="replace")
    rows = [line.split() for line in text.splitlines() if line.strip()]
    values: dict[tuple[str, str], str] = {}
    for header, row in itertools.pairwise(rows):
        if header[0] == row[0]:
            values |= {
                (header[0].rstrip(":"), name): value for name, value in zip(header[1:], row[1:], strict=False)
            }
    values |= {(row[0], ""): row[1] for row in rows if len(row) == 2}
    return any(values.get(counter, "0") != "0" for counter in ATTEMPTS)
