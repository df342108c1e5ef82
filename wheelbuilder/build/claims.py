"""Asks auditwheel whether a wheel needs more of a system than its platform tags claim (PEP 600, PEP 656)."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.targets import LEGACY

TIME_LIMIT = 900.0  # seconds
PLATFORM = re.compile(r"(?P<libc>manylinux|musllinux)_(?P<x>[0-9]+)_(?P<y>[0-9]+)_(?P<arch>[a-z0-9_]+)")
LEGACY_VERSIONS = {name: version for version, name in LEGACY.items()}


def check(path: Path, platforms: Collection[str], exclude: Collection[str] = ()) -> None:
    """Raise StepFailedError WHEEL_CHECK if a wheel with native code needs more than one of its tags claims.

    Or if one of its objects looks for libraries in a folder of the machine that it was built on.

    platforms: its platform tags. exclude: patterns of libraries that its users are known to have.
    """
    request = {
        "wheel": str(path.resolve()),
        "claims": list(_claims(platforms)),
        "exclude": sorted(exclude),
    }
    done = process.run(
        (sys.executable, "-m", "wheelbuilder.build.claims_process"),
        stdin=json.dumps(request).encode(),
        timeout=TIME_LIMIT,
    )
    if not done.ok:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise _failure(f"auditwheel cannot read its native code: {last}")
    if refused := json.loads(done.stdout).get("refused"):
        raise _failure(refused)


def _claims(platforms: Collection[str]) -> Iterator[dict[str, object]]:
    for platform in sorted(platforms):
        if match := PLATFORM.fullmatch(_modern(platform)):
            version = [int(match["x"]), int(match["y"])]
            yield {"tag": platform, "libc": match["libc"], "version": version, "arch": match["arch"]}


def _modern(platform: str) -> str:
    """Return a platform tag under its PEP 600 name: `manylinux2014_s390x` is `manylinux_2_17_s390x`."""
    name, _, arch = platform.partition("_")
    if name not in LEGACY_VERSIONS:
        return platform
    major, minor = LEGACY_VERSIONS[name]
    return f"manylinux_{major}_{minor}_{arch}"


def _failure(problem: str) -> StepFailedError:
    return StepFailedError(FailureClass.WHEEL_CHECK, problem, lines=(problem,))
