"""The index of `nightly.py`: a branch before and after a change; nearly all its pins have wheels upstream.

    python tests/bench/nightly_index.py CONSTRAINTS FOLDER

writes `before.txt` and `after.txt` into FOLDER, prints the index's URL and serves until its standard input
ends. Five pins have to be built from the start. Between the two states 21 pins change: 18 to versions that
upstream has wheels for, three to some that have to be built, of which one cannot be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from plan_index import fill
from sdists import FileIndex, Sdist, in_tree

NEWER = "99.0"
BUMPED = 18
BEFORE = [in_tree(f"tiny_{number}") for number in range(5)]
AFTER = [
    in_tree("tiny_0", version=NEWER),
    in_tree("tiny_1", version=NEWER),
    in_tree("tiny_2", 'raise SystemExit("error: this release cannot be built")', version=NEWER),
]
NATIVE = ";platform_machine=='x86_64'"  # so that no emulated root has to be made


def branch(constraints: Path, *, changed: bool) -> list[str]:
    """Return the lines of the branch: as many as the file has, with ours in the place of some."""
    lines = [line for line in constraints.read_text().splitlines() if "===" in line]
    plain = [line for line in lines if ";" not in line]
    taken, kept = plain[: len(BEFORE)], plain[len(BEFORE) :]
    bumped = {line: f"{line.partition('===')[0]}==={NEWER}" for line in kept[:BUMPED]} if changed else {}
    ours = {made.name: made for made in (*BEFORE, *(AFTER if changed else ()))}
    return [*_pins(ours.values()), *(bumped.get(line, line) for line in lines if line not in taken)]


def _pins(sdists: Iterable[Sdist]) -> list[str]:
    return [f"{made.name.replace('_', '-')}==={made.version}{NATIVE}" for made in sdists]


def main() -> None:
    """Write both states and serve until standard input ends."""
    constraints, folder = map(Path, sys.argv[1:])
    states = [folder / "before.txt", folder / "after.txt"]
    for path in states:
        lines = branch(constraints, changed=path.stem == "after")
        path.write_text("".join(f"{line}\n" for line in lines))
    with FileIndex() as index:
        fill(index, *states, sdist_only=0.0)
        index.offer(*BEFORE, *AFTER)
        print(index.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
