"""Changes an unpacked sdist as its recipe says, and hands it to the build's user."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.recipes import Patch


def remove_files(patterns: Iterable[str], source: Path) -> None:
    """Delete files of an unpacked sdist; StepFailedError PATCH for a pattern that no file has."""
    for pattern in patterns:
        files = [path for path in source.glob(pattern) if path.is_symlink() or path.is_file()]
        if not files:
            raise StepFailedError(
                FailureClass.PATCH,
                f"the sdist has no {pattern} to remove",
                "Correct `remove` of the recipe, or limit it to the versions it fits.",
            )
        for path in files:
            path.unlink()


def apply_patch(patch: Patch, source: Path, log: Path) -> None:
    """Apply a recipe's patch (unified diff, -p1); StepFailedError PATCH unless all of it fits exactly."""
    argv = ("patch", "--strip=1", "--batch", "--forward", "--fuzz=0", "--no-backup-if-mismatch")
    done = process.run((*argv, "--directory", str(source)), stdin=patch.text.encode(), timeout=60, log=log)
    if not done.ok:
        raise StepFailedError(
            FailureClass.PATCH,
            f"the patch {patch.name} does not apply",
            "Bring the patch up to date, or limit it to the versions it fits.",
            tuple(log.read_text(errors="replace").splitlines()[-5:]),
        )


def give(folder: Path, user: int) -> None:
    """Hand a tree to the build's user (where we are root) with fixed modes, following no link."""
    for place in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            os.chown(place, user, user, follow_symlinks=False)
        if not place.is_symlink():
            place.chmod(0o755 if place.is_dir() or place.stat().st_mode & 0o100 else 0o644)
