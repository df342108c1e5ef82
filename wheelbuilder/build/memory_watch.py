"""Learning from inside a container how much memory it took and whether the kernel killed something in it.

Engines report neither reliably: podman 4.3 on cgroup v1 never says OOMKilled, no engine says it when only a
child of the command was killed, and the control group is gone before the host could read it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from wheelbuilder.build import untrusted

FOLDER = "/run/wheelbuilder"
FILE = "memory"
MOST = 4096  # bytes
NOTE = re.compile(r"^(oom_kill|peak) ([0-9]{1,18})$", re.MULTILINE)

# Built-in words only, so that an emulated shell starts no further process. cgroup v2 first, then v1.
SCRIPT = f"""
"$@"
status=$?
cd /sys/fs/cgroup && {{
    for file in memory.events memory/memory.oom_control; do
        [ -r "$file" ] && while read -r key value; do
            [ "$key" = oom_kill ] && echo "oom_kill $value"
        done <"$file"
    done
    for file in memory.peak memory/memory.max_usage_in_bytes; do
        [ -r "$file" ] && read -r value <"$file" && echo "peak $value"
    done
}} >{FOLDER}/{FILE} 2>/dev/null
exit $status
"""


def watched(argv: Sequence[str]) -> tuple[str, ...]:
    """Return a command that runs `argv`, notes its memory in FOLDER/FILE and ends as `argv` did."""
    return ("/bin/sh", "-c", SCRIPT, "sh", *argv)


def read_notes(folder: Path) -> tuple[bool, int | None]:
    """Return whether the kernel killed for memory, and the peak in bytes where the kernel says it."""
    # Nothing where the shell itself was ended, or where foreign code put something else in its place.
    text = (untrusted.read(folder / FILE, MOST) or b"").decode("ascii", errors="replace")
    notes = {match[1]: int(match[2]) for match in NOTE.finditer(text)}
    return notes.get("oom_kill", 0) > 0, notes.get("peak")
