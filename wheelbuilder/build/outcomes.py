"""What came of one build, as values: a checked wheel, a failure with its class, or what it still needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wheelbuilder.build.missing import Missing
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile
from wheelbuilder.shown import without_secrets

NOT_STARTED = "not started: deadline"  # why a build is left to the next run
WAS_ENDED = "ended: deadline"


class Step(StrEnum):
    """The steps of a build, in order."""

    FETCH = "fetch"  # the sdist, digest checked
    UNPACK = "unpack"  # safely, and patched
    ROOT = "root"  # the root file system, with the recipe's system packages
    REQUIREMENTS = "requirements"  # static ones, then those the backend asks for
    BUILD = "build"  # the backend's build_wheel hook
    CHECK = "check"
    REPAIR = "repair"
    RECHECK = "recheck"
    TRIAL = "trial"  # install and import in the bare root


class FailureClass(StrEnum):
    """Why a build failed, in a word that can be counted and acted on."""

    NO_SOURCE = "no-source"
    BAD_DIGEST = "bad-digest"
    UNPACK = "unpack"
    PATCH = "patch"
    ROOT = "root"  # the file system to build or try in cannot be made
    SYSTEM_PACKAGES = "system-packages"
    REQUIREMENTS = "requirements"
    MISSING_HEADER = "missing-header"
    MISSING_LIBRARY = "missing-library"
    MISSING_PROGRAM = "missing-program"
    COMPILER = "compiler"
    TOOLCHAIN = "toolchain"  # a compiler, build tool or Python too old (or too new) for this release
    BACKEND = "backend"
    OUT_OF_MEMORY = "out-of-memory"
    TIME_OUT = "time-out"
    HANG = "hang"  # nothing printed and nothing computed for too long
    KILLED = "killed"  # by something outside of its container
    NETWORK_ATTEMPT = "network-attempt"
    WHEEL_CHECK = "wheel-check"
    NATIVE_LOST = "native-lost"
    REPAIR_REFUSED = "repair-refused"
    IMPORT_FAILED = "import-failed"
    BLOCKED = "blocked"  # by the failure of a build that this one needs
    INTERNAL = "internal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """How many objects the compiler cache had, and how many it lacked."""

    hits: int = 0
    misses: int = 0

    def __add__(self, other: Compiled) -> Compiled:
        return Compiled(hits=self.hits + other.hits, misses=self.misses + other.misses)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """One step as it went. log: the file with what it printed, if it ran a program.

    peak_memory: the most that a container of it took, in bytes; None where that was not measured.
    compiled: None where there was no compiler cache. attempt: counted from 1; what can heal is tried twice.
    """

    step: Step
    seconds: float
    ok: bool
    network: bool = False
    log: Path | None = None
    peak_memory: int | None = None
    compiled: Compiled | None = None
    attempt: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltWheel:
    """A checked wheel on this machine's disk."""

    path: Path
    sha256: str
    size: int
    requires_python: str | None
    grafted: tuple[str, ...] = ()  # the libraries that repair copied in
    outside: tuple[str, ...] = ()  # the libraries that its recipe leaves to the consumer's system

    @property
    def filename(self) -> str:
        """The wheel's file name."""
        return self.path.name

    def as_index_file(self) -> IndexFile:
        """Return it as the planner sees files; it has no URL."""
        return IndexFile(
            filename=self.filename, url="", sha256=self.sha256, requires_python=self.requires_python
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Fall:
    """Why a build has left a rung. failure, summary: how it failed there; toolchain: with which one.

    remembered: in an earlier run, so that this one did not try it there again.
    """

    rung: Rung
    failure: FailureClass
    summary: str
    toolchain: str
    remembered: bool = False

    @property
    def onto(self) -> Rung:
        """The next rung: below the one that builds fall from, there is one."""
        return Rung.EMULATED

    def __str__(self) -> str:
        when = " earlier" if self.remembered else ""
        return f"{self.rung} failed{when} with {self.failure}: {self.summary}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """The rung that a build took, and why that one, in words.

    pinned: no other one is allowed. toolchain: the digest of the one it had, "" without one. fall: what
    it took a slower rung for.
    """

    rung: Rung
    reason: str
    pinned: bool = False
    toolchain: str = ""
    fall: Fall | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A build that gave a wheel which was checked, repaired, checked again and tried.

    steps: of all attempts. earlier: how the attempts before this one failed.
    """

    build: Build
    wheel: BuiltWheel
    sdist: Path
    way: Way
    steps: tuple[StepResult, ...]
    requirements: tuple[str, ...] = ()  # name==version of the build environment
    earlier: tuple[Failed, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Covered:
    """A build that was not needed: the wheel built for another target was tried on this one and serves it."""

    build: Build
    by: Target
    filename: str
    steps: tuple[StepResult, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A build that gave nothing. lines: the first useful ones of its log.

    passing: the trouble may be over a moment later, whatever the inputs. blocked_by: for BLOCKED, the
    builds in its way, from the one that it needs itself to the one that failed. steps: of all
    attempts. earlier: how the attempts before this one failed. remembered: nothing was tried, because it
    failed in an earlier run with the same inputs. way: None if it failed before that was chosen. fall: set
    where a slower rung may do better. unfit: the file name of another target's wheel whose tags serve this
    target too, and which failed its trial there.
    """

    build: Build
    failure: FailureClass
    step: Step
    summary: str
    hint: str = ""
    lines: tuple[str, ...] = ()
    steps: tuple[StepResult, ...] = ()
    passing: bool = False
    blocked_by: tuple[str, ...] = ()
    earlier: tuple[Failed, ...] = ()
    remembered: bool = False
    way: Way | None = None
    fall: Fall | None = None
    unfit: str = ""


Outcome = Built | Covered | Failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """A build that can go on once others have given their wheels: requirements without a wheel.

    It is no outcome: the build is taken up again, from its start, when it has what it needs.
    """

    build: Build
    builds: tuple[Build, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """A build that this run leaves to the next one, for a stated reason.

    seconds: for how long it ran before it was ended; 0 if it was not started.
    """

    build: Build
    reason: str
    seconds: float = 0.0


class StepFailedError(Exception):
    """Ends one build, never the run: the job turns it into a Failed.

    summary: a sentence; its full stop is left to who goes on from it. missing: what its root lacks.
    passing: see there. certain: no other way to build would come to another end.
    """

    def __init__(
        self,
        failure: FailureClass,
        summary: str,
        hint: str = "",
        lines: tuple[str, ...] = (),
        missing: tuple[Missing, ...] = (),
        *,
        passing: bool = False,
        certain: bool = False,
    ) -> None:
        # What resolvers print may name the index with its password, and records are published.
        self.summary, self.hint = without_secrets(summary).removesuffix("."), without_secrets(hint)
        self.lines = tuple(map(without_secrets, lines))
        self.failure = failure
        self.missing = missing
        self.passing, self.certain = passing, certain
        super().__init__(failure, self.summary, self.hint, self.lines)
