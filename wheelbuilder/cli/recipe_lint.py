"""`wheelbuilder recipe lint`: what is wrong or odd in recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.package_index import package_index
from wheelbuilder.build.patch_trial import try_patches
from wheelbuilder.cli.findings import told
from wheelbuilder.cli.options import images_option, json_option, upstream_option
from wheelbuilder.cli.planning import read_catalogue
from wheelbuilder.cli.screen import say
from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.findings import Finding, error, in_order, warning
from wheelbuilder.inputs.images import Catalogue, Role, Root, Source
from wheelbuilder.inputs.lists import default_upstream
from wheelbuilder.inputs.recipe_files import read_recipe
from wheelbuilder.inputs.recipe_lint import lint, lint_names, named_files
from wheelbuilder.inputs.recipes import RecipeFile
from wheelbuilder.plan.upstream import UpstreamIndex

FOLDER = Path("requirements-lists/recipes")
BESIDE = ("*.patch", "*.diff", "*bindep*.txt")  # files that only recipes use


@click.command(name="lint")
@click.argument("paths", nargs=-1, metavar="[FOLDER|FILE]...", type=click.Path(path_type=Path))
@click.option("--offline", is_flag=True, help="Ask nobody whether the system packages exist.")
@click.option("--online", is_flag=True, help="Also fetch sdists, and try whether the patches fit.")
@click.option(
    "--family", "families", multiple=True, help="Look for packages in this family (may be given again)."
)
@images_option
@upstream_option
@json_option
def command(
    paths: tuple[Path, ...],
    offline: bool,
    online: bool,
    families: tuple[str, ...],
    images: Path | None,
    upstream: str | None,
    as_json: bool,
) -> int:
    """Say what is wrong or odd in recipes (default: requirements-lists/recipes); exit status 1 for errors.

    The names of Debian packages are looked up in the package indexes of the image table's suites.
    """
    if offline and online:
        raise click.UsageError("--offline and --online exclude each other.")
    files, findings = _read(paths or (FOLDER,))
    today = datetime.now(UTC).date()
    findings += [finding for file in files for finding in lint(file, today)]
    findings += [] if offline else _names(files, read_catalogue(images), families)
    if online:
        index = UpstreamIndex(default_upstream() if upstream is None else upstream, cache_home() / "http")
        findings += [it for file in files for it in try_patches(file, index, cache_home())]
    return told(in_order(findings), as_json=as_json)


def _read(paths: Sequence[Path]) -> tuple[list[RecipeFile], list[Finding]]:
    """Return the recipes that can be read, and findings about the others and about files that none uses."""
    files: list[RecipeFile] = []
    findings: list[Finding] = []
    for path in paths:
        found = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        read: list[RecipeFile] = []
        for each in found:
            try:
                read.append(read_recipe(each))
            except ConfigurationError as trouble:
                findings.append(error("unreadable", f"{trouble.message} {trouble.hint}".strip(), [each.stem]))
        if not found:
            findings.append(warning("empty", f"{path} holds no recipe."))
        if path.is_dir() and len(read) == len(found):
            findings += _unused(path, read)
        files += read
    return files, findings


def _unused(folder: Path, files: Sequence[RecipeFile]) -> Iterator[Finding]:
    used = named_files(files)
    for path in sorted(path for pattern in BESIDE for path in folder.glob(pattern)):
        if path.name not in used:
            yield warning("unused", f"{path}: no recipe names this file.")


def _names(files: Sequence[RecipeFile], catalogue: Catalogue, families: tuple[str, ...]) -> list[Finding]:
    known: dict[Root, frozenset[str]] = {}
    for root in _roots(catalogue, families):
        try:
            known[root] = package_index(root, files=False).names()
        except UnreachableError as trouble:
            say(f"not checked: {trouble.message}", err=True)
    return [finding for file in files for finding in lint_names(file, known)]


def _roots(catalogue: Catalogue, families: tuple[str, ...]) -> Iterator[Root]:
    """Yield one build root of each archive family: the names hardly differ between architectures."""
    for family in map(catalogue.named, families or catalogue.families):
        if family.source is Source.ARCHIVE:
            yield next(root for root in family.roots.values() if root.role is Role.BUILD)
