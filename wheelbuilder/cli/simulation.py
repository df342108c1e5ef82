"""`wheelbuilder coverage --simulate`: real installers, and the store's own pages for them."""

from __future__ import annotations

from collections.abc import Sequence

from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.installers import Installer, installers
from wheelbuilder.cli.bars import counting
from wheelbuilder.cli.proofs import Proof
from wheelbuilder.cli.screen import say
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.relay import relaying
from wheelbuilder.mirror.snapshots import gap_pages
from wheelbuilder.report.simulate import Simulated, simulate


def simulation(proven: Proof) -> tuple[Simulated, ...]:
    """Let installers read the very pages of the store, beside upstream, and compare what they find.

    Raises ConfigurationError for a commit without pages, UnreachableError if store or index fail.
    """
    pages = gap_pages(proven.store, proven.commit.channel, proven.commit.number or 0)

    def installers_for(target: Target) -> tuple[Installer, ...]:
        return installers(
            target,
            proven.catalogue.architecture(target),
            upstream=proven.upstream,
            mirror=f"{relay.url}{pages}",
            cache=cache_home() / "installers",
        )

    with relaying(proven.store) as relay, counting("asking installers") as told:
        try:
            found = simulate(proven.covered, installers_for, told)
        except UnreachableError as error:
            raise relay.failure or error from None
        if relay.failure:
            raise relay.failure
    return found


def print_simulation(simulated: Sequence[Simulated], *, err: bool) -> None:
    """Print a line for each branch and target, then what the installers disagree about, as errors."""
    several = len({it.branch for it in simulated}) > 1
    for it in simulated:
        say(f"{it.branch} {it.line}" if several else it.line, err=err)
    for line in dict.fromkeys(str(found) for it in simulated for found in it.disagreements):
        say(f"error: {line}", err=True)
