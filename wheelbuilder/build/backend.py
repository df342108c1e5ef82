"""Calls a project's build backend (PEP 517) inside a container, through `build`'s own front end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from build import BuildBackendException, BuildException, ProjectBuilder

from wheelbuilder.build import failures, logs, untrusted
from wheelbuilder.build.bounds import Bounds
from wheelbuilder.build.containers import ContainerExit, Mount
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.toolchain import Toolchain
from wheelbuilder.errors import WheelbuilderError

# Fixed, so that equal inputs give equal bytes and a compiler cache can hit.
SOURCE = "/build/src"
OUT = "/build/out"
CALL = "/build/call"
HOOKS = "/build/hooks"
ENVIRONMENT = "/build/env"
# Runs the hook with a fixed umask, then notes what the kernel counted of this container's own network.
WRAPPER = (
    'umask 022; "$@"; code=$?; '
    "cat /proc/net/snmp /proc/net/snmp6 >/build/call/network 2>/dev/null; exit $code"
)
# Counters that move when something asks for an address beyond loopback, or for a name server.
ATTEMPTS = (("Ip", "OutNoRoutes"), ("Udp", "NoPorts"), ("Ip6OutNoRoutes", ""), ("Udp6NoPorts", ""))
MOST_READ = 16 << 20  # bytes of a file that foreign code wrote and the host reads at once
RETURNS: dict[str, type] = {"build_wheel": str, "get_requires_for_build_wheel": list}  # PEP 517
NO_ANSWER = ("no_backend", "hook_missing", "unsupported")  # what pyproject_hooks says instead of an answer
UNREADABLE = (RecursionError, UnicodeDecodeError)  # what tomllib raises beside its own error
# A container that was ended: whether it tried the network meanwhile does not matter.
ENDED = (FailureClass.TIME_OUT, FailureClass.HANG, FailureClass.OUT_OF_MEMORY, FailureClass.KILLED)
ConfigSettings = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where the hooks of one build run, and within which limits.

    source and out: folders of this build that the container may write. spent: hears how each container
    ended. toolchain: native programs for a foreign root; None where there are none, or none are wanted.
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
    toolchain: Toolchain | None = None

    def logging_to(self, log: Path) -> Workshop:
        """Return it with another log."""
        return replace(self, log=log)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of the hooks; what a recipe sets wins over what a toolchain needs."""
        if self.toolchain is None:
            return dict(self.environ)
        own = f"{ENVIRONMENT}/bin"
        path = self.environ["PATH"].replace(own, f"{own}:{self.toolchain.path}", 1)
        return self.toolchain.environment | dict(self.environ) | {"PATH": path}


def static_requirements(source: Path) -> tuple[str, ...]:
    """Return what `[build-system]` requires (PEP 518), the setuptools default without one."""
    _refuse_special(source / "pyproject.toml")
    try:
        return tuple(sorted(ProjectBuilder(source).build_system_requires))
    except (BuildException, *UNREADABLE) as error:
        reason = str(error).replace(f"{source}/", "").replace(str(source), source.name)
        raise StepFailedError(FailureClass.BACKEND, f"it is not a project to build: {reason}") from None


def dynamic_requirements(workshop: Workshop, settings: ConfigSettings) -> tuple[str, ...]:
    """Return what the backend's get_requires_for_build_wheel hook asks for."""
    asked = _called(
        workshop,
        "asking for build requirements",
        lambda builder: tuple(builder.get_requires_for_build("wheel", settings)),
    )
    if not all(isinstance(requirement, str) for requirement in asked):
        raise StepFailedError(FailureClass.BACKEND, "the backend asks for requirements that are no strings")
    return tuple(sorted(asked))


def build_wheel(workshop: Workshop, settings: ConfigSettings) -> None:
    """Run the backend's build_wheel hook; the wheel is left in the workshop's `out` folder."""
    _called(workshop, "building the wheel", lambda builder: (builder.build("wheel", workshop.out, settings),))


def _called(
    workshop: Workshop, doing: str, call: Callable[[ProjectBuilder], tuple[str, ...]]
) -> tuple[str, ...]:
    _refuse_special(workshop.source / "pyproject.toml")
    runner = _Runner(workshop)
    failure: StepFailedError | None = None
    try:
        # An earlier hook may have rewritten pyproject.toml, which is read here.
        answer = call(ProjectBuilder(workshop.source, f"{ENVIRONMENT}/bin/python", runner))
    except BuildBackendException as error:
        # `build` wraps whatever the runner raised
        if isinstance(error.exception, (StepFailedError, WheelbuilderError)):
            raise error.exception from None
        failure = _failure(workshop, doing, error.exception)
    except (BuildException, *UNREADABLE) as error:
        failure = _failure(workshop, doing, error)
    ended = failure is not None and failure.failure in ENDED
    if runner.attempted_network and not workshop.allow_network_attempt and not ended:
        failure = _network_failure(doing, workshop.log)
    if failure:
        raise failure
    return answer


class _HookFailedError(Exception):
    def __init__(self, done: ContainerExit) -> None:
        super().__init__(done)
        self.exit = done


class _Runner:
    """The command runner that `build` calls: it moves the call into a container with fixed paths."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.attempted_network = False

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,  # noqa: ARG002  (always the source folder, which is fixed inside)
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run `python script hook folder` inside; the folder is the one of pyproject_hooks' JSON files."""
        _, script, hook, folder = cmd
        shop = self.workshop
        call = Path(folder)
        self._move_paths(call / "input.json")
        done = shop.engine.run(
            shop.image,
            ("/bin/sh", "-c", WRAPPER, "sh", f"{ENVIRONMENT}/bin/python", f"{HOOKS}/hook.py", hook, CALL),
            mounts=(
                Mount(source=Path(script), target=f"{HOOKS}/hook.py"),
                Mount(source=call, target=CALL, writable=True),
                Mount(source=shop.environment, target=ENVIRONMENT),
                Mount(source=shop.source, target=SOURCE, writable=True),
                Mount(source=shop.out, target=OUT, writable=True),
                *(shop.toolchain.mounts if shop.toolchain else ()),
            ),
            env={
                **shop.variables,
                **{name: self._inside(value) for name, value in (extra_environ or {}).items()},
            },
            workdir=SOURCE,
            memory=shop.bounds.memory,
            pids=shop.pids,
            cpus=shop.cpus,
            timeout=shop.bounds.timeout,
            silence=shop.bounds.silence,
            log=shop.log,
        )
        shop.spent(done)
        self.attempted_network |= _attempted(call / "network")
        if not done.ok or done.out_of_memory:
            raise _HookFailedError(done)
        _tidy(call / "output.json", hook)

    def _inside(self, text: str) -> str:
        return text.replace(str(self.workshop.source), SOURCE).replace(str(self.workshop.out), OUT)

    def _move_paths(self, request: Path) -> None:
        request.write_text(self._inside(request.read_text()))
        for path in (request.parent, request):
            path.chmod(0o777 if path.is_dir() else 0o644)  # the build's user is not ours


def _tidy(answer: Path, hook: str) -> None:
    """Check a hook's answer, and drop its warnings: the log has them, and the front end would print them."""
    _refuse_special(answer)
    if answer.exists():
        told = json.loads(answer.read_text())
        told.pop("warnings", None)
        answered = not any(told.get(flag) for flag in NO_ANSWER)
        if answered and hook in RETURNS and not isinstance(told.get("return_val"), RETURNS[hook]):
            raise StepFailedError(
                FailureClass.BACKEND, f"the backend's {hook} returned {told['return_val']!r:.100}"
            )
        answer.write_text(json.dumps(told))


def _refuse_special(path: Path) -> None:
    """Refuse what foreign code may have put where we read: a link to a file of the host, a pipe, a flood."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise StepFailedError(
            FailureClass.BACKEND, f"the backend left something other than a file at {path.name}"
        )
    if path.exists() and path.stat().st_size > MOST_READ:
        raise StepFailedError(FailureClass.BACKEND, f"the backend left a {path.name} of more than 16 MiB")


def _attempted(counters: Path) -> bool:
    text = (untrusted.read(counters, MOST_READ) or b"").decode(errors="replace")
    rows = [line.split() for line in text.splitlines() if line.strip()]
    values: dict[tuple[str, str], str] = {}
    for header, row in itertools.pairwise(rows):
        if header[0] == row[0]:
            values |= {
                (header[0].rstrip(":"), name): value for name, value in zip(header[1:], row[1:], strict=False)
            }
    values |= {(row[0], ""): row[1] for row in rows if len(row) == 2}
    return any(values.get(counter, "0") != "0" for counter in ATTEMPTS)


def _failure(workshop: Workshop, doing: str, error: Exception) -> StepFailedError:
    text = logs.tail(workshop.log)
    lines = failures.useful_lines(text)
    done = error.exit if isinstance(error, _HookFailedError) else None
    if done and (passed := workshop.bounds.passed(done, doing, lines)):
        return passed
    if found := failures.classify(text):
        return StepFailedError(
            found.failure, f"{doing} failed: {found.summary}", found.hint, lines, found.missing
        )
    said = str(error).strip().splitlines()
    words = f"exit status {done.exit_code}" if done else said[0] if said else type(error).__name__
    return StepFailedError(FailureClass.BACKEND, f"{doing} failed: {words}", lines=lines)


def _network_failure(doing: str, log: Path) -> StepFailedError:
    return StepFailedError(
        FailureClass.NETWORK_ATTEMPT,
        f"{doing}, it tried to reach the network, which is off",
        "Name what it fetches in build-requires or system-packages, or set allow-network-attempt.",
        failures.useful_lines(logs.tail(log)),
    )
