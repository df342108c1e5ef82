"""Says which system package a failed build wants, as lines to paste into its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wheelbuilder.build import image_packages
from wheelbuilder.build.bootstrap import PACKAGE_LIST
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.missing import Kind, Missing
from wheelbuilder.build.package_index import package_index
from wheelbuilder.build.providers import Candidate, folder
from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.inputs.images import Root, Source

# By which variable a tool is told of a folder that it does not search by itself.
VARIABLES = {Kind.HEADER: "CPATH", Kind.LIBRARY: "LIBRARY_PATH", Kind.PKG_CONFIG: "PKG_CONFIG_PATH"}


def hint(engine: Engine, root: Root, wanted: Sequence[Missing], general: str) -> str:
    """Return what to put into a recipe so that a build finds what it missed.

    general: the advice where nothing is known. root: the root of the build, with the recipe's packages.
    The package index may be fetched first; one that cannot be had is no error, since a failure without
    this advice is a failure all the same.
    """
    if not wanted:
        return general
    try:
        there, packages = _found(engine, root, wanted)
    except WheelbuilderError:
        return general
    key = "rpm" if root.source is Source.REGISTRY else "deb"
    if lines := snippet(key, packages):
        there = (*there, f"{general} In {root.family} for {root.arch.name}:\n{lines}")
    return "\n".join(there) or general


def _found(
    engine: Engine, root: Root, wanted: Sequence[Missing]
) -> tuple[tuple[str, ...], dict[Missing, tuple[str, ...]]]:
    """Return a sentence for each thing that the root has, and the packages that have each of the others."""
    if root.source is Source.REGISTRY:
        return (), dict(zip(wanted, image_packages.providers(engine, root, wanted), strict=True))
    found = dict(zip(wanted, package_index(root).providers(wanted), strict=True))
    here = _installed(engine, root)
    there = {each: it for each, rows in found.items() if (it := _first_of(rows, here))}
    return (
        tuple(_elsewhere(each, it, root.arch.multiarch) for each, it in there.items()),
        {each: tuple(it.name for it in rows) for each, rows in found.items() if each not in there},
    )


def _first_of(candidates: Sequence[Candidate], installed: frozenset[str]) -> Candidate | None:
    return next((it for it in candidates if it.package in installed), None)


def _installed(engine: Engine, root: Root) -> frozenset[str]:
    """Return the names of the packages in a root, which lists them: `name version architecture` a line."""
    done = engine.run(root.tag, ("/bin/cat", f"/{PACKAGE_LIST}"), timeout=60)
    return frozenset(line.partition(" ")[0] for line in done.stdout.splitlines())


def _elsewhere(wanted: Missing, candidate: Candidate, multiarch: str) -> str:
    """Say where a file is that a package in the root already has."""
    said = f"{candidate.package}, which is in the root, has {wanted.name} as /{candidate.path}"
    place = folder(wanted, candidate.path, multiarch)
    variable = VARIABLES.get(wanted.kind)
    if not place or not variable:
        return f"{said}."
    return f'{said}; name the folder in the recipe:\nenvironment.{variable} = "{place}"'


def snippet(key: str, found: Mapping[Missing, Sequence[str]]) -> str:
    """Return TOML that adds the likeliest package for each thing; others that have it are in a comment."""
    lines: dict[str, list[str]] = {}
    for each, names in found.items():
        if names:
            others = f" (also in {', '.join(names[1:])})" if names[1:] else ""
            lines.setdefault(names[0], []).append(f"{each.name}{others}")
    if len(lines) > 1:
        body = "".join(f'    "{name}",  # {", ".join(things)}\n' for name, things in lines.items())
        return f"[system-packages]\n{key} = [\n{body}]"
    return "".join(
        f'[system-packages]\n{key} = ["{name}"]  # {", ".join(things)}' for name, things in lines.items()
    )
