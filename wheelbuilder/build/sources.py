"""A build's source on disk, and what it says of itself before any code of it runs."""

from __future__ import annotations

from pathlib import Path

from wheelbuilder.build import backend, changes
from wheelbuilder.build.fetching import fetch
from wheelbuilder.build.sdist import unpack
from wheelbuilder.build.site import Site
from wheelbuilder.inputs.http import session
from wheelbuilder.plan.decisions import Build

BUILD_USER = 1000  # the uid and gid that engine.run uses


def fetched(build: Build, site: Site) -> Path:
    """Return the sdist of a build, digest checked."""
    with session() as connection:
        return fetch(build.sdist, site.sdists, connection)


def unpacked(build: Build, archive: Path, folder: Path, log: Path) -> Path:
    """Unpack an sdist below `folder`, change it as the recipe says and give it to the build's user."""
    source = unpack(archive, folder)
    changes.remove_files(build.recipe.remove, source)
    for patch in build.recipe.patches:
        changes.apply_patch(patch, source, log)
    changes.give(folder, BUILD_USER)
    return source


def static_requirements(build: Build, source: Path) -> tuple[str, ...]:
    """Return what the project and the recipe say that the build requires."""
    return (*backend.static_requirements(source), *build.recipe.build_requires)
