"""Tries whether the patches of a recipe fit the sdists that they are for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.build import changes
from wheelbuilder.build.fetching import fetch
from wheelbuilder.build.outcomes import StepFailedError
from wheelbuilder.build.sdist import unpack
from wheelbuilder.inputs.findings import Finding, error, warning
from wheelbuilder.inputs.http import session
from wheelbuilder.inputs.pins import Origin, Pin
from wheelbuilder.inputs.recipes import RecipeFile, Recipes
from wheelbuilder.plan.files import SDISTS, IndexFile, source_version
from wheelbuilder.plan.upstream import UpstreamIndex

BEGINNINGS = (">=", ">", "==", "===", "~=")


def try_patches(file: RecipeFile, index: UpstreamIndex, cache: Path) -> Iterator[Finding]:
    """Yield what of a recipe does not fit the newest sdist in its range, or the oldest: patches, removals.

    cache: where fetched sdists are kept. Raises UnreachableError if the index does not answer.
    """
    ranges = [it.versions for it in file.layers if it.settings["patches"] or it.settings["remove"]]
    if not ranges:
        return
    sdists = _sdists(file.project, index.project(file.project) or ())
    chosen: dict[Version, None] = {}
    for versions in ranges:
        fitting = sorted(version for version in sdists if versions.contains(version, prereleases=True))
        if not fitting:
            message = (
                f"{file.path}: upstream has no sdist in the range {str(versions) or '(every version)'!r}"
            )
            yield warning("no-sdist", message, [file.project])
        oldest = fitting[:1] if _has_beginning(versions) else []
        chosen |= dict.fromkeys(oldest + fitting[-1:])
    for version in chosen:
        if complaint := _complaint(file, version, sdists[version], cache):
            yield error("patch", f"{file.path}: {file.project} {version}: {complaint}", [file.project])


def _has_beginning(versions: SpecifierSet) -> bool:
    """Whether a range says where it begins; of one that does not, nobody means the first release ever."""
    return any(it.operator in BEGINNINGS for it in versions)


def _sdists(project: NormalizedName, files: Iterable[IndexFile]) -> dict[Version, IndexFile]:
    named = ((source_version(file.filename, project), file) for file in files if not file.is_wheel)
    return {version: file for version, file in named if version and file.filename.endswith(SDISTS)}


def _complaint(file: RecipeFile, version: Version, source: IndexFile, cache: Path) -> str:
    recipe = Recipes({file.project: file}).for_pin(_pin(file.project, version))
    with tempfile.TemporaryDirectory() as folder, session() as connection:
        try:
            unpacked = unpack(fetch(source, cache / "sdists", connection), Path(folder, "sdist"))
            changes.remove_files(recipe.remove, unpacked)
            for patch in recipe.patches:
                changes.apply_patch(patch, unpacked, Path(folder, "log"))
        except StepFailedError as trouble:
            return trouble.summary
    return ""


def _pin(project: NormalizedName, version: Version) -> Pin:
    return Pin(
        name=project,
        raw_name=project,
        version=version,
        version_text=str(version),
        marker=None,
        origin=Origin(branch="recipe", file="", line=0),
        branches=(),
    )
