"""Calls a project's build backend (PEP 517) inside containers, through `build`'s own front end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from build import BuildBackendException, BuildException, ProjectBuilder

from wheelbuilder.build import answers, failures, hooks, logs
from wheelbuilder.build.bounds import Bounds
from wheelbuilder.build.compilers import Compilers
from wheelbuilder.build.containers import ContainerExit, Mount
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.toolchain import Toolchain
from wheelbuilder.errors import WheelbuilderError

# Fixed, so that equal inputs give equal bytes and a compiler cache can hit.
SOURCE = "/build/src"
OUT = "/build/out"
ENVIRONMENT = "/build/env"
PYTHON = f"{ENVIRONMENT}/bin/python"
UNREADABLE = (RecursionError, UnicodeDecodeError)  # what tomllib raises beside its own error
# A container that was ended: whether it tried the network meanwhile does not matter.
ENDED = (FailureClass.TIME_OUT, FailureClass.HANG, FailureClass.OUT_OF_MEMORY, FailureClass.KILLED)
ConfigSettings = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where the hooks of one build run, and within which limits.

    source and out: folders of this build that the container may write. spent: hears how each container
    ended. compilers: what comes before those of the root or the toolchain. toolchain: native programs for a
    foreign root; None where there are none, or none are wanted.
    going: the front end whose build of the wheel has begun.
    """

    engine: Engine
    image: str
    source: Path
    out: Path
    environment: Path
    environ: Mapping[str, str]
    log: Path
    bounds: Bounds
    pids: int
    cpus: float | None
    allow_network_attempt: bool
    spent: Callable[[ContainerExit], None]
    compilers: Compilers
    toolchain: Toolchain | None = None
    going: FrontEnd | None = None

    def logging_to(self, log: Path) -> Workshop:
        """Return it with another log."""
        return replace(self, log=log)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of the hooks; what a recipe sets wins over what a toolchain needs."""
        native = self.toolchain
        own = f"{ENVIRONMENT}/bin"
        places = (own, *self.compilers.path, *((native.path,) if native else ()))
        path = self.environ["PATH"].replace(own, ":".join(places), 1)
        return (native.environment if native else {}) | dict(self.environ) | {"PATH": path}

    def run(
        self, argv: tuple[str, ...], mounts: tuple[Mount, ...], environ: Mapping[str, str]
    ) -> ContainerExit:
        """Run a command where the hooks run. mounts, environ: beside those of every hook."""
        with self.compilers.at_hand(self.toolchain) as tools:
            done = self.engine.run(
                self.image,
                argv,
                mounts=(
                    *mounts,
                    *(self.toolchain.mounts if self.toolchain else ()),
                    *tools.mounts,
                    Mount(source=self.environment, target=ENVIRONMENT),
                    Mount(source=self.source, target=SOURCE, writable=True),
                    Mount(source=self.out, target=OUT, writable=True),
                ),
                env={**tools.environment, **self.variables, **environ},
                workdir=SOURCE,
                memory=self.bounds.memory,
                pids=self.pids,
                cpus=self.cpus,
                timeout=self.bounds.timeout,
                silence=self.bounds.silence,
                slots=self.compilers.slots,
                log=self.log,
            )
            return replace(done, compiled=tools.compiled())


def static_requirements(source: Path) -> tuple[str, ...]:
    """Return what `[build-system]` requires (PEP 518), the setuptools default without one."""
    answers.refuse_special(source / "pyproject.toml")
    try:
        return tuple(sorted(ProjectBuilder(source).build_system_requires))
    except (BuildException, *UNREADABLE) as error:
        reason = str(error).replace(f"{source}/", "").replace(str(source), source.name)
        raise StepFailedError(FailureClass.BACKEND, f"it is not a project to build: {reason}") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a backend asks for. going: where it builds the wheel already, since all of that is there."""

    requirements: tuple[str, ...]
    going: FrontEnd | None


def ask(workshop: Workshop, settings: ConfigSettings) -> Asked:
    """Return what the backend's get_requires_for_build_wheel hook asks for.

    If the environment has all of it, build_wheel has begun in the same process: build it in a workshop
    that knows what is going on.
    """
    front = FrontEnd(workshop)
    requirements = front.called(
        "asking for build requirements",
        lambda builder: tuple(builder.get_requires_for_build("wheel", settings)),
        before=lambda builder: builder.build("wheel", workshop.out, settings),
    )
    if not all(isinstance(requirement, str) for requirement in requirements):
        raise StepFailedError(FailureClass.BACKEND, "the backend asks for requirements that are no strings")
    return Asked(requirements=tuple(sorted(requirements)), going=front if front.sitting else None)


def build_wheel(workshop: Workshop, settings: ConfigSettings) -> None:
    """Run the backend's build_wheel hook; the wheel is left in the workshop's `out` folder."""
    front = workshop.going or FrontEnd(workshop)
    front.log_to(workshop.log)
    front.called("building the wheel", lambda builder: (builder.build("wheel", workshop.out, settings),))


class _NotedError(Exception):
    def __init__(self, call: hooks.Call) -> None:
        super().__init__(call)
        self.call = call


class _HookFailedError(Exception):
    def __init__(self, done: ContainerExit) -> None:
        super().__init__(done)
        self.exit = done


class FrontEnd:
    """`build`'s front end of one project, whose calls are moved into containers with fixed paths.

    sitting: the container that has gone on from one hook to the next.
    """

    def __init__(self, workshop: Workshop) -> None:
        self.sitting: hooks.Sitting | None = None
        self._workshop = workshop
        self._next: hooks.Call | None = None
        self._noting = self._attempted_network = False

    def log_to(self, log: Path) -> None:
        """Let what is printed from now on be in another log."""
        if self.sitting:
            self.sitting.end()
            hooks.divide(self._workshop.log, log)
        self._workshop = self._workshop.logging_to(log)

    def called(
        self,
        doing: str,
        call: Callable[[ProjectBuilder], tuple[str, ...]],
        *,
        before: Callable[[ProjectBuilder], object] | None = None,
    ) -> tuple[str, ...]:
        """Return what a hook answers; StepFailedError if it does not. before: the call that may follow it."""
        workshop, failure = self._workshop, None
        try:
            self._next = self._noted(before) if before else None
            answer = call(self._builder)
        except BuildBackendException as error:
            # `build` wraps whatever the runner raised
            if isinstance(error.exception, (StepFailedError, WheelbuilderError)):
                raise error.exception from None
            failure = _failure(workshop, doing, error.exception)
        except (BuildException, *UNREADABLE) as error:
            failure = _failure(workshop, doing, error)
        ended = failure is not None and failure.failure in ENDED
        if self._attempted_network and not workshop.allow_network_attempt and not ended:
            failure = _network_failure(doing, workshop.log)
        if failure:
            raise failure
        return answer

    @cached_property
    def _builder(self) -> ProjectBuilder:
        # An earlier hook may have rewritten pyproject.toml, which is read here.
        answers.refuse_special(self._workshop.source / "pyproject.toml")
        return ProjectBuilder(self._workshop.source, PYTHON, self._run)

    def _noted(self, call: Callable[[ProjectBuilder], object]) -> hooks.Call:
        """Return how the front end would call a hook."""
        self._noting = True
        try:
            call(self._builder)
        except BuildBackendException as error:
            if not isinstance(error.exception, _NotedError):
                raise
            return error.exception.call
        finally:
            self._noting = False
        raise AssertionError("the front end called no hook")

    def _run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,  # noqa: ARG002  (always the source folder, which is fixed inside)
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run `python script hook folder` inside; the folder is the one of pyproject_hooks' JSON files."""
        _, script, hook, folder = cmd
        call = hooks.Call(
            hook=hook,
            program=Path(script).read_bytes(),
            text=self._inside(Path(folder, "input.json").read_text()),
            environ={name: self._inside(value) for name, value in (extra_environ or {}).items()},
        )
        if self._noting:
            raise _NotedError(call)
        Path(folder, "output.json").write_text(self._answer(call))

    def _answer(self, call: hooks.Call) -> str:
        calls = (call, self._next) if self._next else (call,)
        sitting, self.sitting = self.sitting or hooks.Sitting(self._workshop.run, PYTHON, *calls), None
        try:
            if self._next and sitting.goes_on():
                answer = answers.answer(sitting.output(call.hook), call.hook)
                self.sitting = sitting
                return answer
            self._judge(sitting)
            return answers.answer(sitting.output(call.hook), call.hook)
        finally:
            if self.sitting is None:
                sitting.clear()

    def _judge(self, sitting: hooks.Sitting) -> None:
        done = sitting.end()
        self._workshop.spent(done)
        self._attempted_network |= answers.attempted_network(sitting.counters)
        if not done.ok or done.out_of_memory:
            raise _HookFailedError(done)

    def _inside(self, text: str) -> str:
        shop = self._workshop
        return text.replace(str(shop.source), SOURCE).replace(str(shop.out), OUT)


def _failure(workshop: Workshop, doing: str, error: Exception) -> StepFailedError:
    text = logs.tail(workshop.log)
    lines = failures.useful_lines(text)
    done = error.exit if isinstance(error, _HookFailedError) else None
    if done and (passed := workshop.bounds.passed(done, doing, lines)):
        return passed
    if found := failures.classify(text):
        return StepFailedError(
            found.failure,
            f"{doing} failed: {found.summary}",
            found.hint,
            lines,
            found.missing,
            certain=failures.is_certain(text),
        )
    said = str(error).strip().splitlines()
    if done:
        words = failures.last_words(lines) or f"exit status {done.exit_code}"
    else:
        words = said[0] if said else type(error).__name__
    return StepFailedError(FailureClass.BACKEND, f"{doing} failed: {words}", lines=lines)


def _network_failure(doing: str, log: Path) -> StepFailedError:
    return StepFailedError(
        FailureClass.NETWORK_ATTEMPT,
        f"{doing}, it tried to reach the network, which is off",
        "Name what it fetches in build-requires or system-packages, or set allow-network-attempt.",
        failures.useful_lines(logs.tail(log)),
    )
