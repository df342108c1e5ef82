"""The ladder: which rung a build takes on this machine."""

from __future__ import annotations

from wheelbuilder.build.emulation import is_native
from wheelbuilder.build.outcomes import Built, FailureClass, StepFailedError, Way
from wheelbuilder.build.site import Site
from wheelbuilder.build.tasks import Task
from wheelbuilder.inputs.rungs import Rung

LACKING = {
    Rung.NATIVE: "this machine does not run {arch} itself",
    Rung.TOOLCHAIN: "there is no native toolchain for {target} here",
}


def way(task: Task, site: Site) -> Way:
    """Return the way that a build takes. Raises StepFailedError ROOT if its rung is not to be had here."""
    target, pinned = task.build.target, site.rung or task.build.recipe.rung
    if is_native(site.catalogue.architecture(target)):
        return Way(rung=Rung.NATIVE, reason=f"this machine runs {target.arch} itself")
    if pinned in LACKING:
        lacking = LACKING[pinned].format(arch=target.arch, target=target)
        who = "this run" if site.rung else "the recipe"
        raise StepFailedError(FailureClass.ROOT, f"{who} allows the rung {pinned} only, and {lacking}")
    if pinned:
        who = "this run" if site.rung else "its recipe"
        return Way(rung=pinned, reason=f"{who} allows no other", pinned=True)
    return Way(rung=Rung.EMULATED, reason=LACKING[Rung.TOOLCHAIN].format(target=target))


def serves(kept: Built, site: Site) -> bool:
    """Say whether a wheel that was built before is what this run asks for: wheels of all rungs are equal.

    Only whoever allows one rung wants to see it at work.
    """
    return site.rung is None or kept.way.rung in (site.rung, Rung.NATIVE)
