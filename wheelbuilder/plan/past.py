"""What is remembered of builds of earlier runs: those that failed, and those that fell to a slower rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from packaging.utils import NormalizedName

from wheelbuilder.inputs.rungs import Rung

Attempt = tuple[str, str, str, int | None]  # project, version, target, build tag
Place = tuple[str, str]  # project, target


@dataclass(frozen=True, kw_only=True, slots=True)
class PastFailure:
    """A build that failed, with what it was made from.

    failure: the class in a word. first, last: when it failed for the first time and the last. expires:
    the day from which on the same inputs are tried again. blocked_by: the builds in its way (name==version),
    the one that failed last. inputs: see `BuildInputs.described`. told: whether a run that ended has said
    it: one that is killed has learned of failures, and nobody has heard of them. unfit: the file name of
    another target's wheel whose tags serve the target, and which failed its trial there.
    """

    project: NormalizedName
    version: str
    target: str
    build_tag: int | None = None
    key: str  # the build key
    failure: str
    summary: str
    first: date
    last: date
    tries: int
    expires: date
    blocked_by: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    told: bool = True
    unfit: str = ""

    @property
    def attempt(self) -> Attempt:
        """What was tried, whatever its inputs were."""
        return self.project, self.version, self.target, self.build_tag

    def __str__(self) -> str:
        return f"failed on {self.last} with {self.failure}: {self.summary}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PastFall:
    """A project that a slower rung built for a target after a faster one had failed.

    version: the one that fell last. key: what it was made from, see `BuildInputs.untagged`. toolchain: the
    digest of the one that it failed with. first, last: when the project fell for the first time and the
    last. times: how many builds of it fell. expires: the day from which on the faster rung is tried again.
    """

    project: NormalizedName
    version: str
    target: str
    key: str
    rung: Rung
    failure: str
    summary: str
    toolchain: str
    first: date
    last: date
    times: int
    expires: date

    @property
    def place(self) -> Place:
        """What fell, whatever its version."""
        return self.project, self.target

    def __str__(self) -> str:
        often = f"{self.times} builds since {self.first}, the last" if self.times > 1 else f"on {self.first}"
        return f"{self.rung} failed with {self.failure}: {self.summary} ({often}: {self.version})"
