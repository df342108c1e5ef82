from __future__ import annotations

import os
from pathlib import Path

import pytest

from wheelbuilder.build.machine import RESERVED, _limits, memory

NONE = 1 << 62


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/ci/job\n", {"ci/job/memory.max": "max", "ci/memory.max": "4096"}, {4096}),
        ("0::/../job\n", {"memory.max": "512"}, {512}),
        (
            "7:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n",
            {"memory/a/b/memory.limit_in_bytes": "9", "memory/a/memory.limit_in_bytes": "8", "cpu/a/x": "1"},
            {9, 8},
        ),
        ("0::/gone\n", {}, set()),
        ("", {}, set()),
    ],
)
def test_every_limit_above_us_counts(
    groups: str, files: dict[str, str], expected: set[int], tmp_path: Path
) -> None:
    assert set(_limits(machine(tmp_path, groups, files))) - {NONE} >= expected


def test_there_is_memory_for_builds_and_a_reserve(tmp_path: Path) -> None:
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert RESERVED <= memory() <= max(RESERVED, physical - RESERVED)
