"""The ladder: which rung a build takes on this machine, and when a slower one may do better."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import presence, toolchain
from wheelbuilder.build.emulation import is_native
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.outcomes import Built, FailureClass, Fall, StepFailedError, Way
from wheelbuilder.build.site import Site
from wheelbuilder.build.tasks import Task
from wheelbuilder.build.toolchain import Toolchain
from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.inputs.images import Compiler, Root
from wheelbuilder.inputs.rungs import Rung

# What a toolchain can bring about that does not behave like the root's own.
RUNG_MAY_BE_WHY = frozenset(
    (
        FailureClass.COMPILER,
        FailureClass.TOOLCHAIN,
        FailureClass.BACKEND,
        FailureClass.NATIVE_LOST,
        FailureClass.WHEEL_CHECK,
        FailureClass.IMPORT_FAILED,
    )
)
# The same, unless the root really lacks what is missing: then each rung does.
MISSING = frozenset((FailureClass.MISSING_HEADER, FailureClass.MISSING_LIBRARY, FailureClass.MISSING_PROGRAM))
# How much longer than natively a step may take: limits are written with native builds in mind.
SLACK = {Rung.NATIVE: 1, Rung.TOOLCHAIN: 3, Rung.EMULATED: 10}


@dataclass(frozen=True, kw_only=True, slots=True)
class Footing:
    """Where a build stands: the way that it takes, and the native programs that it has there."""

    way: Way
    toolchain: Toolchain | None = None

    @property
    def slack(self) -> int:
        """How much longer than its limit says a step may take."""
        return SLACK[self.way.rung]

    @property
    def may_lose_code(self) -> bool:
        """Whether a wheel without code that is optional might have it on a slower rung."""
        return self.way.rung is Rung.TOOLCHAIN and not self.way.pinned


def footing(task: Task, site: Site, root: Root, log: Path) -> Footing:
    """Return where a build stands, making the toolchain if it is missing. root: what it is built in.

    Raises StepFailedError ROOT if the only rung that it is allowed is not to be had here.
    """
    fall, recipe = task.attempt.fall, task.build.recipe
    if is_native(root.arch):
        return Footing(way=Way(rung=Rung.NATIVE, reason=f"this machine runs {root.arch.name} itself"))
    if site.rung:
        return _only(site.rung, "this run", site, root, log)
    if recipe.rung:
        return _only(recipe.rung, "its recipe", site, root, log)
    if fall and not fall.remembered:
        return Footing(way=_after(fall))
    found = _toolchain(site, root, log)
    if isinstance(found, str):
        return Footing(way=Way(rung=Rung.EMULATED, reason=found))
    if fall and fall.toolchain == found.digest:
        return Footing(way=_after(fall))
    return Footing(way=_with(found, "the fastest here"), toolchain=found)


def toolless(root: Root) -> Footing:
    """Return where a wheel that is there already is tried: nothing is compiled."""
    native = is_native(root.arch)
    return Footing(way=Way(rung=Rung.NATIVE if native else Rung.EMULATED, reason="nothing is compiled"))


def _only(rung: Rung, who: str, site: Site, root: Root, log: Path) -> Footing:
    reason = f"{who} allows no other"
    match rung:
        case Rung.EMULATED:
            return Footing(way=Way(rung=rung, reason=reason, pinned=True))
        case Rung.TOOLCHAIN:
            found = _toolchain(site, root, log)
            if isinstance(found, Toolchain):
                return Footing(way=_with(found, reason, pinned=True), toolchain=found)
        case Rung.NATIVE:
            found = f"this machine does not run {root.arch.name} itself"
    raise StepFailedError(FailureClass.ROOT, f"{who} allows the rung {rung} only, and {found}")


def _with(found: Toolchain, reason: str, *, pinned: bool = False) -> Way:
    other = (
        "" if found.compiler is Compiler.GCC else f", with {found.compiler} in the place of the image's GCC"
    )
    return Way(rung=Rung.TOOLCHAIN, reason=f"{reason}{other}", pinned=pinned, toolchain=found.digest)


def _after(fall: Fall) -> Way:
    return Way(rung=fall.onto, reason=str(fall), fall=fall)


def _toolchain(site: Site, root: Root, log: Path) -> Toolchain | str:
    """Return the toolchain for a root, or a word on why there is none."""
    if root.digest in site.toolless:
        return site.toolless[root.digest]
    try:
        found = toolchain.ensure(site.engine, site.catalogue, root, log=log)
        why = f"there is no native toolchain for {root.family} on {root.arch.name} here"
    except WheelbuilderError as error:
        # A slower build is better than none, but none can be made without the engine.
        if not site.engine.answers():
            raise
        found, why = None, f"the native toolchain cannot be made: {error.message}"
    if found is None:
        site.toolless[root.digest] = why
    return found or why


def serves(kept: Built, site: Site) -> bool:
    """Say whether a wheel that was built before is what this run asks for: wheels of all rungs are equal.

    Only whoever allows one rung wants to see it at work.
    """
    return site.rung is None or kept.way.rung in (site.rung, Rung.NATIVE)


def fall(error: StepFailedError, way: Way | None, engine: Engine, root: Root) -> Fall | None:
    """Return the fall that a failure leads to, if a slower rung may do better. root: what it was built in."""
    if way is None or way.rung is not Rung.TOOLCHAIN or way.pinned or error.certain:
        return None
    if error.failure not in RUNG_MAY_BE_WHY and not _is_there(error, engine, root):
        return None
    return Fall(rung=way.rung, failure=error.failure, summary=error.summary, toolchain=way.toolchain)


def _is_there(error: StepFailedError, engine: Engine, root: Root) -> bool:
    if error.failure not in MISSING or not error.missing:
        return False
    try:
        with engine.mounted(root.tag) as tree:
            return presence.has_all(tree, error.missing)
    except WheelbuilderError:
        return False
