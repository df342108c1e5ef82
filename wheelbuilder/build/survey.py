"""Looks at a build ahead of its turn: which of its requirements have to be built first."""

from __future__ import annotations

import tempfile
from pathlib import Path

from wheelbuilder.build import prerequisites, shelf, sources, untrusted
from wheelbuilder.build.archives import texts
from wheelbuilder.build.outcomes import Needs
from wheelbuilder.build.prerequisites import LacksWheelsError
from wheelbuilder.build.requirements import applicable
from wheelbuilder.build.site import Site
from wheelbuilder.plan.decisions import Build

DESCRIPTIONS = ("pyproject.toml", "setup.py")


class Surveyor:
    """Reads sources, one for all targets, and resolves for each target; runs no foreign code."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._required: dict[tuple[object, ...], tuple[str, ...]] = {}

    def __call__(self, build: Build) -> Needs:
        """Return what the build lacks, as far as that can be seen."""
        try:
            if not shelf.take(build, self._site):
                self._resolve(build)
        except LacksWheelsError as error:
            return Needs(build=build, builds=error.builds)
        except Exception:  # noqa: BLE001  (whatever is wrong, the build will meet it and say so)
            return Needs(build=build, builds=())
        return Needs(build=build, builds=())

    def _resolve(self, build: Build) -> None:
        recipe = build.recipe
        source = (build.sdist.sha256, recipe.patches, recipe.remove, recipe.build_requires)
        if source not in self._required:
            self._required[source] = self._read(build)
        wanted = applicable(self._required[source], build.target)
        prerequisites.resolve(wanted, build.target, self._site, constraints=recipe.build_constraints)

    def _read(self, build: Build) -> tuple[str, ...]:
        archive = sources.fetched(build, self._site)
        folder = Path(tempfile.mkdtemp(dir=self._site.scratch, prefix="survey-"))
        try:
            return sources.static_requirements(build, _source(build, archive, folder))
        finally:
            untrusted.remove(folder)


def _source(build: Build, archive: Path, folder: Path) -> Path:
    """Return a folder with what describes the project; a recipe that changes the source needs all of it."""
    if build.recipe.patches or build.recipe.remove:
        return sources.unpacked(build, archive, folder / "unpacked", folder / "log")
    for name, data in texts(archive, DESCRIPTIONS.__contains__).items():
        (folder / name).write_bytes(data)
    return folder
