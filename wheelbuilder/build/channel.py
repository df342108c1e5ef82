"""The wheels of the run's channel, for builds that need them: what earlier runs built, on any machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile, accepts, parse_filename
from wheelbuilder.plan.plans import MirrorFiles


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """What the channel serves. download: writes what the store has under a key into a file, if it has it."""

    files: MirrorFiles
    download: Callable[[str, Path], bool]

    def wheel(self, name: NormalizedName, specifier: SpecifierSet, target: Target) -> IndexFile | None:
        """Return the newest wheel of a project that a specifier and a target accept."""
        usable = (file for file in self.files.get(name, ()) if file.yanked is None and accepts(target, file))
        fitting = (file for file in usable if specifier.contains(_rank(file)[0]))
        return max(fitting, key=_rank, default=None)

    def fetched(self, file: IndexFile, folder: Path) -> bool:
        """Have a wheel in a folder of its own; False if the store does not have it, or not as it was."""
        path = folder / file.filename
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as partial:
                there = Path(partial, "wheel")
                if not self.download(file.url, there) or _digest(there) != file.sha256:
                    return False  # `audit` tells of it
                there.rename(path)
        os.utime(folder)
        return True


def _rank(file: IndexFile) -> tuple[Version, tuple[int, str], str]:
    parsed = parse_filename(file.filename)
    assert parsed is not None  # a target accepts it
    return parsed.version, parsed.build or (0, ""), file.filename


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
