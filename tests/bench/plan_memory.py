"""What planning all of OpenStack costs: processor seconds and peak memory with a warm cache.

    python tests/bench/plan_memory.py [ROUNDS [TARGET...]]

Plans the five maintained branches for the eight targets of requirements-lists/openstack.toml, or for
others, against `plan_index.py`, a process of its own. A branch's pin on a target is a question, about
23,000 of them; branches that pin the same share its decision. The bound is 10 s of processor time and
300 MB for the whole process, which are printed for the plan as a table and as one JSON document. Targets
of other architectures than x86_64 and aarch64 have every wheel that is not pure to be built.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import tomllib
from pathlib import Path

from plan_cost import HERE, local_index, measure

FOLDER = HERE.parent / "data" / "constraints"
BRANCHES = {
    "master": "master",
    "2026.1": "stable-2026.1",
    "2025.2": "stable-2025.2",
    "2025.1": "stable-2025.1",
    "2024.1": "unmaintained-2024.1",
}
LIST = HERE.parent.parent / "requirements-lists" / "openstack.toml"


def written(folder: Path, url: str, targets: list[str]) -> Path:
    """Write the list and return its path."""
    branches = "".join(f'"{name}" = "{constraints(part)}"\n' for name, part in BRANCHES.items())
    path = folder / "bench.toml"
    path.write_text(f'targets = {json.dumps(targets)}\nupstream = "{url}"\n[branches]\n{branches}')
    return path


def constraints(part: str) -> Path:
    """Return the file of a branch."""
    return FOLDER / f"upper-constraints-{part}.txt"


def questions(plan: Path) -> tuple[int, int, int]:
    """Return how many pins of branches on targets a plan answers, by how many decisions, and the builds."""
    decisions = json.loads(plan.read_bytes())["decisions"]
    builds = sum(decision["decision"] == "build" for decision in decisions)
    return sum(len(decision["branches"]) for decision in decisions), len(decisions), builds


def main() -> None:
    """Measure and print one line a run."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    targets = sys.argv[2:] or tomllib.loads(LIST.read_text())["targets"]
    with (
        tempfile.TemporaryDirectory() as temporary,
        local_index(*map(constraints, BRANCHES.values())) as url,
    ):
        folder = Path(temporary)
        argv = (sys.executable, "-m", "wheelbuilder", "plan", str(written(folder, url, targets)))
        env = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
        runs = [("cold", ()), *[("warm", ()), ("warm, as JSON", ("--json",))] * rounds]
        for state, options in runs:
            cpu, wall, memory = measure((*argv, *options), env, folder / "out.txt")
            print(f"{state}: {cpu:.2f} s processor, {wall:.2f} s wall, {memory:.0f} MB peak", flush=True)
        asked, decided, built = questions(folder / "out.txt")
        print(f"{asked} pins of branches on targets, {decided} decisions, {built} builds")


if __name__ == "__main__":
    main()
