"""`wheelbuilder recipe`: check recipes, and read bindep files for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from wheelbuilder.build.package_index import package_index
from wheelbuilder.cli import recipe_lint
from wheelbuilder.cli.options import images_option, json_option
from wheelbuilder.cli.planning import read_catalogue
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.bindep import Line, active, parse_bindep, wanted
from wheelbuilder.inputs.images import Catalogue, Role, Root, Source
from wheelbuilder.inputs.recipes import PACKAGE_NAME
from wheelbuilder.inputs.texts import read_text

MOST_READ = 1 << 20  # bytes of a file that others may have written


@click.group()
def command() -> None:
    """Check recipes, and read bindep files for them."""


command.add_command(recipe_lint.command)


@command.command("bindep")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--image", "family", required=True, help="The family of roots to read it for, as in images.toml."
)
@click.option("--profile", "profiles", multiple=True, help="A profile that is active (may be given again).")
@click.option("--offline", is_flag=True, help="Ask nobody whether the packages exist.")
@images_option
@json_option
def bindep_command(
    file: Path,
    family: str,
    profiles: tuple[str, ...],
    offline: bool,
    images: Path | None,
    as_json: bool,
) -> None:
    """Print what a bindep FILE wants in an image, as lines to paste into a recipe.

    What is no name of a package, or of none that the image's index has, is left out and told.
    """
    root = _root(read_catalogue(images), family)
    lines = wanted(_read(file), active(root.distribution, root.suite, profiles))
    kept, refused = _sifted(lines, None if offline else _known(root))
    if as_json:
        say_json({"packages": [line.name for line in kept], "left out": dict(refused)})
        return
    for name, reason in refused:
        say(f"left out: {name!r} {reason}", err=True)
    for line in _snippet(kept, root):
        say(line)


def _root(catalogue: Catalogue, name: str) -> Root:
    return next(root for root in catalogue.named(name).roots.values() if root.role is Role.BUILD)


def _read(path: Path) -> tuple[Line, ...]:
    return parse_bindep(read_text(path, most=MOST_READ), str(path))


def _known(root: Root) -> frozenset[str] | None:
    """Return the names that an image's index has, None where that is not known."""
    if root.source is Source.REGISTRY:
        say(f"not checked: whether {root.family} has these packages", err=True)
        return None
    try:
        return package_index(root, files=False).names()
    except UnreachableError as error:
        say(f"not checked: {error.message}", err=True)
        return None


def _sifted(lines: Sequence[Line], known: frozenset[str] | None) -> tuple[list[Line], list[tuple[str, str]]]:
    """Part lines into those to install and those not, with the reason."""
    kept: list[Line] = []
    refused: list[tuple[str, str]] = []
    for line in lines:
        if not PACKAGE_NAME.fullmatch(line.name):
            refused.append((line.name, "is no name of a package"))
        elif known is not None and line.name not in known:
            refused.append((line.name, "is in no package index of the image"))
        else:
            kept.append(line)
    return kept, refused


def _snippet(lines: Sequence[Line], root: Root) -> Iterator[str]:
    yield "[system-packages]"
    yield f"{'deb' if root.source is Source.ARCHIVE else 'rpm'} = ["
    for line in lines:
        asked = f"  # {','.join(line.versions)} is asked for" if line.versions else ""
        yield f'    "{line.name}",{asked}'
    yield "]"
