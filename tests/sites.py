"""What builds need of a machine, for tests in which no engine runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdists import FileIndex

from wheelbuilder.build.site import Site
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.recipe_files import read_recipes
from wheelbuilder.plan.upstream import UpstreamIndex


def site(index: FileIndex, folder: Path, **options: Any) -> Site:
    """A run's site; no engine is needed to resolve."""
    usual: dict[str, Any] = {
        "engine": None,
        "catalogue": Catalogue.read(default_path()),
        "upstream": UpstreamIndex(index.url, back_off=0),
        "recipes": read_recipes(folder / "recipes"),
        "cache": folder / "cache",
        "scratch": folder / "scratch",
        "build_constraints": (),
        "constraints": {},
        "jobs": 1,
    }
    return Site(**(usual | options))
