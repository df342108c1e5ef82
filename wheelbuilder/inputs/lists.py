"""Lists: TOML files that say which pins are wanted, for which targets, and where they are published."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.asked import constraints, constraints_of
from wheelbuilder.inputs.branches import Branch, Mode, branches, local_path
from wheelbuilder.inputs.demands import Demands, parse_demands
from wheelbuilder.inputs.http import fetch_text, is_address
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.names import project_name
from wheelbuilder.inputs.pins import Constraints, Untold, parse_constraints
from wheelbuilder.inputs.recipe_files import limits, read_recipes
from wheelbuilder.inputs.recipes import Recipes
from wheelbuilder.inputs.sources import Fetch, Source, read_place
from wheelbuilder.inputs.tables import Table, read_toml
from wheelbuilder.inputs.targets import Target

CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]*")  # it becomes a folder of the store and a part of URLs


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementsList:
    """What a list says, with its branches read.

    build_constraints: requirement strings that bound what builds may use. upstream: the root of the
    index whose wheels need not be built. only: the projects to which the list restricts its branches;
    None for all of them. demands: of each branch in closure mode. reached: by branch and target, the
    projects of the closures once they are resolved; None before that and in pins mode. doubts: of
    which pins it is not certain what they require. untold: those of which nothing says it. unpinned:
    projects that closures leave out where a branch does not pin them; floating: where they did, in words.
    oddities: what the list itself says twice.
    """

    name: str
    channel: str
    targets: tuple[Target, ...]
    branches: tuple[Constraints, ...]
    build_constraints: tuple[str, ...]
    recipes: Recipes
    upstream: str
    only: frozenset[NormalizedName] | None = None
    mode: Mode = Mode.PINS
    sources: tuple[Branch, ...] = ()
    demands: Mapping[str, Demands] = field(default_factory=dict)
    reached: Mapping[tuple[str, Target], frozenset[NormalizedName]] | None = None
    doubts: tuple[str, ...] = ()
    untold: tuple[Untold, ...] = ()
    unpinned: frozenset[NormalizedName] = frozenset()
    floating: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()

    @property
    def projects(self) -> frozenset[NormalizedName] | None:
        """The projects that the list may want; None for every one that a branch pins."""
        if self.reached is None:
            return self.only
        reached = frozenset[NormalizedName]().union(*self.reached.values())
        return reached if self.only is None else reached & self.only

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the list says is not wanted although its branches or closures name it, one line each."""
        pinned = {pin.name for branch in self.branches for pin in branch.pins}
        empty = (branch.branch for branch in self.branches if not branch.pins)
        lines = [f"the branch {name} has no pins: nothing of it is wanted (allow-empty)" for name in empty]
        if self.only is not None and (others := len(pinned - self.only)):
            lines.append(f"{others} of {len(pinned)} pinned projects are left out (pins)")
        return (*lines, *self.floating)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Oddities that do no harm, and what is not certain."""
        pinned = (warning for branch in self.branches for warning in branch.warnings)
        asked = (warning for demands in self.demands.values() for warning in demands.warnings)
        return (*self.oddities, *pinned, *asked, *self.doubts, *self.floating)


def read_list(
    path: Path, catalogue: Catalogue, *, strict: bool = False, fetch: Fetch = fetch_text
) -> RequirementsList:
    """Read a list and its branches; paths in it are relative to its own folder.

    strict: a constraint line that cannot be read is an error. fetch: reads a branch given as a URL.
    Raises ConfigurationError naming file and key, and UnreachableError for a URL.
    """
    table = read_toml(path)
    name = table.get("name", str, path.stem)
    only, unpinned = _projects(table, "pins"), _projects(table, "unpinned")
    mode, sources = table.choice("mode", Mode, Mode.PINS), branches(table, path)
    _refuse_other_mode(table, mode, sources)
    read = RequirementsList(
        name=name,
        channel=_channel(table, name),
        targets=_targets(table, catalogue),
        branches=tuple(_constraints(branch, strict, fetch) for branch in sources),
        build_constraints=_build_constraints(table, path.parent),
        recipes=_recipes(table, path.parent),
        upstream=_upstream(table),
        only=only or None,
        mode=mode,
        unpinned=unpinned,
        sources=sources,
        demands={branch.name: _demands(branch, fetch) for branch in sources if branch.requirements},
        oddities=tuple(_repeated(table)),
    )
    table.done()
    _refuse_unknown(table, read)
    return read


def default_upstream() -> str:
    """Return the index that a list names if it names none."""
    # Imported where it is needed: pypi_simple brings an HTML parser and a validator, a tenth of a plan.
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _channel(table: Table, name: str) -> str:
    channel = table.get("channel", str, name)
    if not CHANNEL.fullmatch(channel):
        raise table.error("channel", f"= {channel!r} must be lower-case letters, digits, '.', '_' and '-'")
    return channel


def _projects(table: Table, key: str) -> frozenset[NormalizedName]:
    return frozenset(project_name(text, f"{table.where}: '{key}': ") for text in table.strings(key, ()))


def _repeated(table: Table) -> Iterator[str]:
    """Yield in words what stands twice in an array, projects under whatever spelling."""
    for key in ("targets", "pins", "unpinned", "build-constraints"):
        spelt = table.strings(key, ())
        counted = Counter(canonicalize_name(text) if key in ("pins", "unpinned") else text for text in spelt)
        yield from (f"{table.where}: '{key}' names {text} {n} times." for text, n in counted.items() if n > 1)


def _upstream(table: Table) -> str:
    url = table.optional("upstream", str)
    if url is None:
        return default_upstream()
    if not is_address(url):
        raise table.error(
            "upstream", f"= {url!r} is not an address", "Write https://index.example.org/simple/."
        )
    return url


def _targets(table: Table, catalogue: Catalogue) -> tuple[Target, ...]:
    names = table.strings("targets")
    if not names:
        raise table.error("targets", "names no target", "Write one such as cp311-manylinux_2_28_x86_64.")
    try:
        return tuple(catalogue.target(name) for name in dict.fromkeys(names))
    except ConfigurationError as error:
        raise ConfigurationError(f"{table.where}: 'targets': {error.message}", error.hint) from None


def _constraints(branch: Branch, strict: bool, fetch: Fetch) -> Constraints:
    text = branch.constraints.read(fetch)
    place = branch.constraints.place
    return parse_constraints(text, branch.name, file=place, strict=strict, allow_empty=branch.allow_empty)


def _demands(branch: Branch, fetch: Fetch) -> Demands:
    demands = Demands()
    for source in branch.requirements:
        text = source.read(fetch)
        demands += parse_demands(
            text, branch.name, place=source.place, base=source.base, read=partial(read_place, fetch=fetch)
        )
    return demands


def _build_constraints(table: Table, folder: Path) -> tuple[str, ...]:
    inline = constraints(table, "build-constraints")
    file = table.optional("build-constraints-file", str)
    if file is None:
        return inline
    key = "build-constraints-file"
    path = folder / local_path(table, key, file, "Write the path of a file that lies here.")
    source = Source(key=f"{table.where}: '{key}'", path=path)
    return (*inline, *constraints_of(source.read(fetch_text), source.place))


def _recipes(table: Table, folder: Path) -> Recipes:
    given = table.optional("recipes", str)
    recipes = folder / (given or "recipes")
    if given is not None and not recipes.is_dir():
        raise table.error("recipes", f"names {recipes}, which is no folder")
    return read_recipes(recipes, limits(table.table("limits")))


def _refuse_unknown(table: Table, read: RequirementsList) -> None:
    known = {pin.name for branch in read.branches for pin in branch.pins}
    missing = sorted((read.only or frozenset()) - known)
    if missing:
        raise table.error("pins", f"names {', '.join(missing)}, which no branch pins")


def _refuse_other_mode(table: Table, mode: Mode, sources: tuple[Branch, ...]) -> None:
    for branch in sources:
        if bool(branch.requirements) != (mode is Mode.CLOSURE):
            needed = "names no requirements" if mode is Mode.CLOSURE else "names requirements"
            raise table.error(
                "mode",
                f"is {str(mode)!r}, and the branch {branch.name} {needed}",
                "A closure starts from `requirements` of each branch; the mode 'pins' wants every pin.",
            )
