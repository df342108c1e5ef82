"""The names under which builds in a pulled image find the programs of a toolchain with clang."""

from __future__ import annotations

from pathlib import Path

from wheelbuilder.build import clang_names, image_compilers
from wheelbuilder.build.blueprints import Blueprint
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.toolchain_names import in_folder, make_host, names, whole
from wheelbuilder.errors import UnreachableError


def make_names(engine: Engine, image: str, plan: Blueprint, place: Path) -> None:
    """Make the folder of names for an image; whole, or not at all.

    Each leads to what the image has by that name first in its own PATH. Raises UnreachableError if clang
    cannot stand in for the image's GCC.
    """
    gcc = image_compilers.ask(engine, image)
    path = engine.path(image)
    with engine.mounted(image) as tree, whole(place) as partial:
        try:
            clang_names.write(gcc, plan.folder, path, partial / "bin")
        except UnreachableError as error:
            raise UnreachableError(f"{image}: {error.message}", error.hint) from None
        for name, program in _names(tree, path, gcc, plan).items():
            (partial / "bin" / name).symlink_to(program)
        (partial / "make-host").write_text(make_host(tree), encoding="ascii")


def _names(tree: Path, path: str, gcc: image_compilers.Gcc, plan: Blueprint) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in path.split(":"):
        others = dict(names(tree, folder, plan.folder, plan.host))
        for name in (path.name for path in in_folder(tree, folder)):
            own = clang_names.program(gcc, str(plan.arch.cross), name)
            leads = others.get(name, "") if own is None else own
            found.setdefault(name, leads)
    return {name: leads for name, leads in found.items() if leads}
