"""Learning from inside a container how it ended, how much memory it took and what the kernel killed in it.

Engines report neither reliably: podman 4.3 on cgroup v1 never says OOMKilled, no engine says it when only a
child of the command was killed, and the control group is gone before the host could read it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import untrusted

FOLDER = "/run/wheelbuilder"
FILE = "memory"
MOST = 4096  # bytes
NOTE = re.compile(r"^(oom_kill|peak|ended) ([0-9]{1,18})$", re.MULTILINE)

# Built-in words only, so that an emulated shell starts no further process. cgroup v2 first, then v1.
SCRIPT = f"""
"$@"
status=$?
{{
    cd /sys/fs/cgroup
    for file in memory.events memory/memory.oom_control; do
        [ -r "$file" ] && while read -r key value; do
            [ "$key" = oom_kill ] && echo "oom_kill $value"
        done <"$file"
    done
    for file in memory.peak memory/memory.max_usage_in_bytes; do
        [ -r "$file" ] && read -r value <"$file" && echo "peak $value"
    done
    echo "ended $status"
}} >{FOLDER}/{FILE} 2>/dev/null
exit $status
"""


def watched(argv: Sequence[str]) -> tuple[str, ...]:
    """Return a command that runs `argv`, notes its memory in FOLDER/FILE and ends as `argv` did."""
    return ("/bin/sh", "-c", SCRIPT, "sh", *argv)


@dataclass(frozen=True, kw_only=True, slots=True)
class Notes:
    """What a container has left. ended: its command came to an end. peak: bytes, where the kernel says it."""

    ended: bool
    out_of_memory: bool
    peak: int | None


def read_notes(folder: Path) -> Notes:
    """Read what was noted: nothing where the shell itself was ended, or foreign code put something else."""
    text = (untrusted.read(folder / FILE, MOST) or b"").decode("ascii", errors="replace")
    found = {match[1]: int(match[2]) for match in NOTE.finditer(text)}
    return Notes(ended="ended" in found, out_of_memory=found.get("oom_kill", 0) > 0, peak=found.get("peak"))
