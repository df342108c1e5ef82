"""The only module that starts processes: argv tuples, a clean environment, a time limit, a log."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from wheelbuilder.errors import InterruptedRunError, WheelbuilderError

# What a child may see of our environment; everything else is dropped, credentials first of all.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "DOCKER_HOST", "CONTAINER_HOST")
# Only for children that may use the network: sites with their own certificate authority or proxy.
KEPT_FOR_NETWORK = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "all_proxy",
)
TERMINATE_GRACE = 5.0  # seconds between SIGTERM and SIGKILL


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """A process that has ended. `exit_code` is negative for a signal, as in `subprocess`."""

    argv: tuple[str, ...]
    exit_code: int
    seconds: float
    stdout: str  # empty when the output went to a log file
    stderr: str
    timed_out: bool
    given_up: bool = False  # a guard has ended it

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit status 0."""
        return self.exit_code == 0 and not self.timed_out and not self.given_up


class Guard(Protocol):
    """Looks at a running process every so many seconds and says whether to end it.

    excused: seconds until now that do not count against the time limit.
    """

    every: float
    excused: float

    def gives_up(self) -> bool:
        """Look."""


class ProcessError(WheelbuilderError):
    """A program that must succeed did not. The message ends with a line to paste into a shell."""

    exit_code = 3


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    timeout: float | None = None,
    network: bool = False,
    stdin: bytes = b"",
    tidying: bool = False,
    guard: Guard | None = None,
) -> Completed:
    """Run one program to its end and say how it ended; never raises for a failing program.

    env: added to the allow-listed part of ours. log: receives stdout and stderr, appended.
    timeout: seconds, after which the whole process group is ended. network: also pass on proxy and
    certificate settings. tidying: runs also after `end_all`, and is not ended by it. guard: may end it
    earlier, and prolong its time; time is up when it looks. Raises ProcessError if the program cannot be
    started, and InterruptedRunError once `end_all` was called.
    """
    started = time.monotonic()
    with _open_log(log) as sink:
        process = _start(tuple(argv), _environment(env, network=network), cwd, sink, tidying=tidying)
        try:
            stdout, stderr, how = _wait(process, stdin, timeout, guard)
        finally:
            _forget(process)
    if _ending.is_set() and not tidying:
        raise InterruptedRunError("The run was interrupted.")
    return Completed(
        argv=tuple(argv),
        exit_code=process.returncode,
        seconds=time.monotonic() - started,
        stdout=(stdout or b"").decode(errors="replace"),
        stderr=(stderr or b"").decode(errors="replace"),
        timed_out=how is _How.TIMED_OUT,
        given_up=how is _How.GIVEN_UP,
    )


def check(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    network: bool = False,
    stdin: bytes = b"",
) -> str:
    """Run one program that must succeed and return its standard output; else raise ProcessError."""
    done = run(argv, env=env, cwd=cwd, timeout=timeout, network=network, stdin=stdin)
    if not done.ok:
        how = "ran out of time" if done.timed_out else f"ended with status {done.exit_code}"
        words = (done.stderr or done.stdout).strip().splitlines()
        raise ProcessError(
            f"{done.argv[0]} {how}: {words[-1] if words else 'it printed nothing'}",
            f"To see it again: {command_line(done.argv)}",
        )
    return done.stdout


def command_line(argv: Sequence[str]) -> str:
    """Return argv as one line that a shell reads back as the same words."""
    return shlex.join(argv)


def end_all() -> None:
    """Ask every running child to end and refuse to start new ones (for Ctrl-C and SIGTERM).

    A child that is still there after TERMINATE_GRACE is ended: docker's client ignores SIGTERM.
    """
    _ending.set()
    with _lock:
        running = tuple(_running)
    for process in running:
        _signal_group(process, signal.SIGTERM)
    timer = threading.Timer(TERMINATE_GRACE, _kill, (running,))
    timer.daemon = True
    timer.start()


def _kill(processes: tuple[subprocess.Popen[bytes], ...]) -> None:
    for process in processes:
        if process.poll() is None:
            _signal_group(process, signal.SIGKILL)


def reset() -> None:
    """Allow processes again after `end_all` (to tidy up, and for tests)."""
    _ending.clear()


_lock = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()
_ending = threading.Event()


class _open_log:  # noqa: N801  (used as a function)
    """A file to append to, or None: then output is captured."""

    def __init__(self, path: Path | None) -> None:
        self.file = path.open("ab") if path else None

    def __enter__(self) -> int | None:
        return self.file.fileno() if self.file else None

    def __exit__(self, *_: object) -> None:
        if self.file:
            self.file.close()


def _environment(extra: Mapping[str, str] | None, *, network: bool) -> dict[str, str]:
    names = KEPT + KEPT_FOR_NETWORK if network else KEPT
    return {name: os.environ[name] for name in names if name in os.environ} | dict(extra or {})


def _start(
    argv: tuple[str, ...], env: dict[str, str], cwd: Path | None, sink: int | None, *, tidying: bool
) -> subprocess.Popen[bytes]:
    if _ending.is_set() and not tidying:
        raise InterruptedRunError("The run was interrupted.")
    try:
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if sink is None else sink,
            stderr=subprocess.PIPE if sink is None else subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we end our children in order
        )
    except OSError as error:
        raise ProcessError(
            f"{argv[0]} cannot be started: {error.strerror}", f"The command was: {command_line(argv)}"
        ) from None
    if not tidying:
        with _lock:
            _running.add(process)
        if _ending.is_set():  # `end_all` may not have seen it
            _signal_group(process, signal.SIGKILL)
    return process


class _How(Enum):
    BY_ITSELF = auto()
    TIMED_OUT = auto()
    GIVEN_UP = auto()


def _wait(
    process: subprocess.Popen[bytes], stdin: bytes, timeout: float | None, guard: Guard | None
) -> tuple[bytes | None, bytes | None, _How]:
    given: bytes | None = stdin
    start, how = time.monotonic(), _How.BY_ITSELF
    while how is _How.BY_ITSELF:
        try:
            return *process.communicate(given, timeout=guard.every if guard else timeout), how
        except subprocess.TimeoutExpired:
            given = None  # it is on its way
        gives_up = guard is not None and guard.gives_up()
        excused = guard.excused if guard else 0.0
        if timeout is not None and time.monotonic() - start >= timeout + excused:
            how = _How.TIMED_OUT
        elif gives_up:
            how = _How.GIVEN_UP
    return *_ended(process), how


def _ended(process: subprocess.Popen[bytes]) -> tuple[bytes | None, bytes | None]:
    _signal_group(process, signal.SIGTERM)
    try:
        return process.communicate(timeout=TERMINATE_GRACE)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        return process.communicate()


def _forget(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _signal_group(process, signal.SIGKILL)
        process.wait()
    with _lock:
        _running.discard(process)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
