"""What a run is asked to do, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wheelbuilder.build.graph import End
from wheelbuilder.build.outcomes import Failed, Needs, Step
from wheelbuilder.build.tasks import Attempt
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.mirror.store import Store
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.plans import MirrorFiles, Plan
from wheelbuilder.plan.upstream import UpstreamIndex
from wheelbuilder.report.memory import Memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Renewed:
    """A list whose closures were resolved again, with what the channel serves by now, and its plan."""

    listed: RequirementsList
    mirror: MirrorFiles
    plan: Plan


class Watch(Protocol):
    """Is told what goes on, as it does. Called from several threads."""

    def step(self, build: Build, step: Step) -> None:
        """A build starts a step."""

    def waits(self, needs: Needs) -> None:
        """A build waits for others, some of which may be new."""

    def again(self, failed: Failed, attempt: Attempt) -> None:
        """A build has failed and is tried again, in the same way or on the next rung."""

    def grown(self, builds: Sequence[Build]) -> None:
        """What was built requires more: these builds come too."""

    def finished(self, end: End) -> None:
        """A build has ended, or is left to the next run."""

    def published(self, number: int, changed: Sequence[str]) -> None:
        """A commit has been published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a run is asked to do. jobs: builds at a time; None for one a core.

    mirror: what the channel serves. memory: what is known of earlier builds, and learns. retry: also build
    what failed lately. whole: the plan has every project that the list wants. forced: what is built is
    there already, so that a failure is told, but not remembered. rung: the only one for targets that this
    machine does not run itself. compiler_cache: bytes that it may take on this machine; 0 for none.
    deadline: on the monotonic clock. grace: seconds that builds get which still run then. renew: for a list
    of closures, resolves them again.
    """

    listed: RequirementsList
    catalogue: Catalogue
    index: UpstreamIndex
    plan: Plan
    store: Store
    mirror: MirrorFiles
    memory: Memory
    retry: bool = False
    whole: bool = True
    forced: bool = False
    jobs: int | None = None
    engine: str | None = None
    rung: Rung | None = None
    compiler_cache: int = 0
    deadline: float | None = None
    grace: float = 0.0
    renew: Callable[[], Renewed] | None = None
