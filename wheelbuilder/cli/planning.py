"""What the commands that plan have in common: their options, and the way from these to a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from packaging.utils import NormalizedName

from wheelbuilder.build.cache import cache_home
from wheelbuilder.cli.bars import counting
from wheelbuilder.cli.options import images_option, list_argument, upstream_option
from wheelbuilder.inputs.branches import Mode
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.lists import RequirementsList, read_list
from wheelbuilder.inputs.names import project_name
from wheelbuilder.mirror.read import contents, published_metadata, states_cache
from wheelbuilder.mirror.store import Store
from wheelbuilder.plan.closure import Closure
from wheelbuilder.plan.draft import draft
from wheelbuilder.plan.experience import Experience
from wheelbuilder.plan.plans import MirrorFiles, Plan
from wheelbuilder.plan.upstream import UpstreamIndex

if TYPE_CHECKING:
    from wheelbuilder.build.library import Library

F = TypeVar("F", bound=Callable[..., Any])


def planning_options(command: F) -> F:
    """Add the argument LIST and the options that choose a part of it."""
    for option in reversed(
        (
            list_argument,
            click.option("--target", "targets", multiple=True, help="Only this target; may be repeated."),
            click.option("--pin", "pins", multiple=True, help="Only this project; may be repeated."),
            click.option("--strict", is_flag=True, help="A constraint that cannot be read is an error."),
            images_option,
            upstream_option,
        )
    ):
        command = option(command)
    return command


retry_option = click.option(
    "--retry", is_flag=True, help="Also build what failed lately, although nothing has changed since."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The values of `planning_options`, and of `retry_option`."""

    list_path: Path
    targets: tuple[str, ...]
    pins: tuple[str, ...]
    strict: bool
    images: Path | None
    upstream: str | None
    retry: bool = False

    @property
    def projects(self) -> frozenset[NormalizedName]:
        """The projects that are chosen; ConfigurationError for a word that is no project's name."""
        return frozenset(map(project_name, self.pins))


def read_catalogue(path: Path | None) -> Catalogue:
    """Read an image table, or the one of this installation."""
    return Catalogue.read(path or default_path())


def read_inputs(chosen: Chosen) -> tuple[Catalogue, RequirementsList]:
    """Read the image table and the list with its branches and recipes."""
    catalogue = read_catalogue(chosen.images)
    return catalogue, read_list(chosen.list_path, catalogue, strict=chosen.strict)


def with_closures(
    listed: RequirementsList,
    catalogue: Catalogue,
    index: UpstreamIndex,
    store: Store | None,
    mirror: MirrorFiles,
) -> RequirementsList:
    """Return a list with its closures resolved, if it is in that mode.

    mirror: what the store's channel publishes; its wheels tell what their sdists do not.
    """
    if listed.mode is Mode.PINS:
        return listed
    # Imported where it is needed: what reads wheels and sdists costs every plan a twentieth of a second.
    from wheelbuilder.build.closures import resolved

    with counting("resolving requirements"):
        return resolved(listed, catalogue, _library(index, store, mirror))


def walked(listed: RequirementsList, upstream: str | None, store: Store | None = None) -> tuple[Closure, ...]:
    """Return the closures of a list, with what is unmet in them; none of one in another mode.

    store: a mirror whose wheels tell what their sdists do not.
    """
    if listed.mode is Mode.PINS:
        return ()
    from wheelbuilder.build.closures import closures

    mirror = contents(store, listed.channel, cache=states_cache()).projects if store else {}
    with counting("resolving requirements"):
        return closures(listed, _library(_index(upstream, listed), store, mirror))


def _library(index: UpstreamIndex, store: Store | None, mirror: MirrorFiles) -> Library:
    from wheelbuilder.build.library import Library, Published

    published = Published(files=mirror, metadata=partial(published_metadata, store)) if store else None
    return Library(index=index, cache=cache_home(), published=published)


def upstream_index(chosen: Chosen, listed: RequirementsList) -> UpstreamIndex:
    """Return the client of the index that the command line or the list names."""
    return _index(chosen.upstream, listed)


def _index(upstream: str | None, listed: RequirementsList) -> UpstreamIndex:
    return UpstreamIndex(listed.upstream if upstream is None else upstream, cache_home() / "http")


def draw_up(
    chosen: Chosen,
    catalogue: Catalogue,
    listed: RequirementsList,
    index: UpstreamIndex,
    mirror: MirrorFiles,
    *,
    experience: Experience | None = None,
    rebuilt: bool = False,
) -> Plan:
    """Plan the chosen part of a list; the pages of the index are counted on the terminal.

    experience: what is known of earlier builds. rebuilt: build the chosen projects again, whatever exists.
    """
    with counting("reading the index") as told:
        return draft(
            listed,
            catalogue,
            index,
            mirror=mirror,
            today=datetime.now(UTC).date(),
            targets=chosen.targets,
            projects=chosen.projects,
            rebuilt=chosen.projects if rebuilt else (),
            experience=None if chosen.retry or rebuilt else experience,
            unfit=experience.unfit() if experience else None,
            progress=told,
        )
