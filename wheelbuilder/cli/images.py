"""`wheelbuilder images`: list, build, prune and push the root images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from wheelbuilder.build import held, root_names, toolchain
from wheelbuilder.build.blueprints import Blueprint, blueprints
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.engine_probe import find
from wheelbuilder.build.manifests import push
from wheelbuilder.build.roots import ensure, local_roots, remove
from wheelbuilder.cli.options import images_option, json_option
from wheelbuilder.cli.planning import read_catalogue
from wheelbuilder.cli.screen import say, say_json, say_removal
from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.images import Catalogue, Role, Root, Source, default_path

# A host, maybe with a port, and a path, as image references have them.
REGISTRY = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")


def choosing(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose roots of the image table and an engine."""
    options = (
        click.option("--arch", "archs", multiple=True, help="Only this architecture (may be given again)."),
        click.option("--family", "families", multiple=True, help="Only this family (may be given again)."),
        click.option("--role", type=click.Choice([role.value for role in Role]), help="Only roots for this."),
        click.option("--images", "table", type=click.Path(path_type=Path), help="The image table."),
        click.option("--engine", "preferred", help="podman or docker; default: what works."),
    )

    @wraps(function)
    def with_roots(
        *,
        archs: tuple[str, ...],
        families: tuple[str, ...],
        role: str | None,
        table: Path | None,
        **rest: Any,
    ) -> None:
        catalogue = Catalogue.read(table or default_path())
        click.get_current_context().obj = catalogue
        function(roots=tuple(chosen(catalogue, archs, families, role)), **rest)

    decorated: Callable[..., None] = with_roots
    for option in options:
        decorated = option(decorated)
    return decorated


def chosen(
    catalogue: Catalogue, archs: tuple[str, ...] = (), families: tuple[str, ...] = (), role: str | None = None
) -> Iterable[Root]:
    """Yield the roots that fit; a ConfigurationError names a word that the image table does not have."""
    for words, known, what in (
        (archs, catalogue.architectures, "architecture"),
        (families, catalogue.families, "family"),
    ):
        for word in words:
            if word not in known:
                raise ConfigurationError(
                    f"The image table has no {what} {word!r}.", f"Choose: {', '.join(known)}."
                )
    for root in catalogue.roots():
        if (
            (not archs or root.arch.name in archs)
            and (not families or root.family in families)
            and (not role or root.role == role)
        ):
            yield root


@click.group()
def command() -> None:
    """List, build, prune and push root images, and make native toolchains for foreign ones."""


@command.command("list")
@choosing
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_command(*, roots: tuple[Root, ...], preferred: str | None, as_json: bool) -> None:
    """Print the roots and toolchains of the image table and which of them are here."""
    here = local_roots(find(preferred))
    rows = [
        {"root": root.name, "source": root.source.value, "image": root.tag, "here": root.tag in here}
        for root in roots
    ]
    shared = {plan.folder: plan for _, plan in planned_toolchains(roots)}
    rows += [
        {"root": plan.name, "source": "archive", "image": str(folder), "here": folder.exists()}
        for folder, plan in shared.items()
    ]
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say(f"{'here' if row['here'] else '-':5} {row['root']:32} {row['source']:9} {row['image']}")


@command.command("targets")
@images_option
@json_option
def targets_command(images: Path | None, as_json: bool) -> None:
    """Print the targets that a list can name: those that a family of the image table serves."""
    names = sorted(map(str, read_catalogue(images).targets))
    if as_json:
        return say_json(names)
    for name in names:
        say(name)
    return None


@command.command("build")
@choosing
@click.option("--without-updates", is_flag=True, help="Leave out a suite's updates (half updated mirrors).")
def build_command(*, roots: tuple[Root, ...], preferred: str | None, without_updates: bool) -> None:
    """Make or pull the roots that are missing."""
    engine = find(preferred)
    if without_updates:
        say("warning: these roots will lack security updates; what is grafted from them too", err=True)
    for root in roots:
        image = ensure(engine, root, log=_log(root), report=_say, updates=not without_updates)
        say(f"{root.name} {image}")


@command.command("toolchain")
@choosing
@click.option("--without-updates", is_flag=True, help="Leave out a suite's updates (half updated mirrors).")
@click.option("--rust", "with_rust", is_flag=True, help="Those for roots with Rust, and these roots.")
def toolchain_command(
    *, roots: tuple[Root, ...], preferred: str | None, without_updates: bool, with_rust: bool
) -> None:
    """Make the native toolchains that are missing, for roots that this machine has to emulate."""
    engine = find(preferred)
    plans = [(root, plan) for root, plan in planned_toolchains(roots) if plan.rust is with_rust]
    if not plans:
        raise ConfigurationError(
            f"No root that fits takes a native toolchain{' with Rust' if with_rust else ''}.",
            "One is made for foreign roots of families whose rows in images.toml name packages for it.",
        )
    for root, plan in plans:
        log = cache_home() / "logs" / f"{plan.name}.log"
        catalogue = click.get_current_context().obj
        made = toolchain.ensure(engine, catalogue, root, log=log, report=_say, updates=not without_updates)
        if made is None:
            raise UnreachableError(
                f"The toolchain {plan.name} cannot be made here: it takes root and the program mmdebstrap.",
                "As root on Debian or Ubuntu: `make setup`. Without one the root's own compiler is emulated.",
            )
        say(f"{plan.name} {made.folder}")


def planned_toolchains(roots: Iterable[Root]) -> tuple[tuple[Root, Blueprint], ...]:
    """Return the build roots among these that take a toolchain on this machine, with what it consists of.

    Each twice where it takes another one with Rust.
    """
    names = {root.name for root in roots}
    found = blueprints(click.get_current_context().obj)
    return tuple((root, plan) for root, plan in found if root.name in names)


@command.command("prune")
@choosing
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune_command(*, roots: tuple[Root, ...], preferred: str | None, dry_run: bool) -> None:
    """Remove images and toolchains that no row of the image table asks for, and containers of dead drivers.

    Toolchains also lose what they have for roots that are not here any more.

    Roots with a recipe's system packages go too: the next run makes those it needs again.
    """
    engine = find(preferred)
    for container in () if dry_run else engine.reap():
        say(f"removed the container {container}")
    current = {root.tag for root in click.get_current_context().obj.roots()}
    names = {root.tag.partition("-")[0] for root in roots}
    here = local_roots(engine)
    stale = {image for image in here - current if any(image.startswith(f"{name}-") for name in names)}
    for image in sorted(stale):
        say(f"{'would remove' if dry_run else 'removing'} {image}")
        if not dry_run:
            remove(engine, image)
    families = {root.family for root in roots}
    unused = tuple(toolchain.unused(click.get_current_context().obj))
    gone = {folder for _, folder in unused}
    for name, folder in unused:
        if name.partition("-")[0] in families:
            say_removal(f"{name} {folder}", held.remove(folder, dry_run=dry_run), dry_run=dry_run)
    for name, folder in root_names.unused(here - stale):
        if name.partition("-")[0] in families and folder.parents[1] not in gone:
            say_removal(f"{name} {folder}", root_names.remove(folder, dry_run=dry_run), dry_run=dry_run)


@command.command("push")
@choosing
@click.option("--registry", required=True, help="Host and path, as in registry.example.org/wheels.")
def push_command(*, roots: tuple[Root, ...], preferred: str | None, registry: str) -> None:
    """Push roots, and one manifest list for each family and role over its architectures.

    Without --family: the families made here from an archive; pulled ones are in a registry already.
    """
    if not REGISTRY.fullmatch(registry):
        raise ConfigurationError(
            f"{registry!r} is no place in a registry.", "Write host and path: registry.example.org/wheels."
        )
    wanted = [root for root in roots if root.source is Source.ARCHIVE]
    if not wanted:
        raise ConfigurationError("No root that is made here fits.", "Choose other --arch and --family.")
    engine = find(preferred)

    def of_list(root: Root) -> tuple[str, str]:
        return root.family, root.role

    for _, members in groupby(sorted(wanted, key=of_list), key=of_list):
        same = tuple(members)
        say(push(engine, same, registry.rstrip("/"), log=_log(same[0]), report=_say))


def _say(line: str) -> None:
    say(line, err=True)


def _log(root: Root) -> Path:
    return cache_home() / "logs" / f"{root.name}.log"
