"""A local index with a page for every project of some constraints files, the same on every run.

    python tests/bench/plan_index.py tests/data/constraints/upper-constraints-stable-2025.2.txt...

prints its URL and serves until its standard input ends. The numbers of files for a project are those
of forty projects drawn from that file on a real index: median 57, mean 212, most 2542; 52 MB in all.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from simple_index import SimpleIndex, entry

from wheelbuilder.inputs.pins import Pin, parse_constraints

SIZES = (
    *(3, 4, 6, 7, 7, 8, 12, 13, 16, 23, 23, 25, 26, 38, 40, 43, 44, 50, 51, 51),
    *(63, 70, 76, 88, 90, 94, 127, 138, 142, 166, 173, 206, 209, 210, 389, 495, 809, 885, 1024, 2542),
)
NATIVE = 300  # a project with more files than this has a wheel for every Python and platform
PLATFORMS = (
    "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "musllinux_1_2_x86_64",
    "musllinux_1_2_aarch64",
    "macosx_11_0_arm64",
    "macosx_10_13_x86_64",
    "win32",
    "win_amd64",
)
PYTHONS = ("cp39-cp39", "cp310-cp310", "cp311-cp311", "cp312-cp312", "cp313-cp313", "cp314-cp314")


def fill(index: SimpleIndex, *constraints: Path, sdist_only: float = 0.03) -> int:
    """Make a page for every project; returns how many there are. sdist_only: the share without wheels."""
    projects: dict[str, list[Pin]] = {}
    for path in constraints:
        for pin in parse_constraints(path.read_text(), path.stem).pins:
            projects.setdefault(pin.name, []).append(pin)
    for number, (name, wanted) in enumerate(sorted(projects.items())):
        index.page(name, _files(name, wanted, SIZES[number % len(SIZES)], sdist_only))
    return len(projects)


def _files(name: str, pins: list[Pin], count: int, sdist_only: float) -> list[dict[str, Any]]:
    draw = random.Random(name)
    kind = _native if count > NATIVE else _pure
    without_wheels = draw.random() < sdist_only
    files: list[dict[str, Any]] = []
    for version in _versions(pins, draw):
        release = list(kind(name.replace("-", "_"), version))
        files += [_described(filename, draw) for filename in (release[:1] if without_wheels else release)]
        if len(files) >= count:
            break
    return files[::-1]


def _versions(pins: list[Pin], draw: random.Random) -> Iterator[str]:
    yield from dict.fromkeys(pin.version_text for pin in pins)
    for major in range(40, 0, -1):
        for minor in range(30):
            yield f"{major}.{minor}.{draw.randrange(9)}.{minor}"


def _pure(name: str, version: str) -> Iterator[str]:
    yield f"{name}-{version}.tar.gz"
    yield f"{name}-{version}-py3-none-any.whl"


def _native(name: str, version: str) -> Iterator[str]:
    yield f"{name}-{version}.tar.gz"
    for python in PYTHONS:
        for platform in PLATFORMS:
            yield f"{name}-{version}-{python}-{platform}.whl"


def _described(filename: str, draw: random.Random) -> dict[str, Any]:
    metadata = {"sha256": f"{draw.getrandbits(256):064x}"}
    python = draw.choice((None, ">=3.6", ">=3.8", ">=3.9", "!=3.0.*,!=3.1.*,>=2.7"))
    extra = {"core-metadata": metadata, "data-dist-info-metadata": metadata, "provenance": None}
    return entry(filename, **{"requires-python": python}, **(extra if filename.endswith(".whl") else {}))


def main() -> None:
    """Serve until standard input ends."""
    with SimpleIndex() as index:
        count = fill(index, *map(Path, sys.argv[1:]))
        print(f"{index.url} {count}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
