"""Asks real installers, as on a target, whether they find wheels for pins; nothing is installed.

uv where it knows exactly the target's platform, pip elsewhere. Neither sees this machine's configuration.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.requirements import PASSING, pip_options, sentence, uv
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Architecture
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.targets import Target

TIME_LIMIT = 1800.0  # seconds for one question, which may be about hundreds of pages that nobody has read yet
# The manylinux policies that `uv pip compile --help` names (0.13); of another one uv would answer for less.
GLIBCS_OF_UV = frozenset({(2, 17), (2, 28), *((2, minor) for minor in range(31, 41))})
PIP_HAD_TROUBLE = re.compile(r"Retrying \(Retry|Could not fetch URL|(?:Connection|ReadTimeout)Error", re.I)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Whether there are wheels for all that was asked about, and what the installer said."""

    found: bool
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Installer:
    """An installer that answers for one target. argv: reads requirements from standard input."""

    name: str  # with its version
    argv: tuple[str, ...]
    trouble: re.Pattern[str]  # what it says when it could not read an index

    def ask(self, pins: Iterable[Pin]) -> Answer:
        """Let it look for a wheel of each pin, not for what they depend on.

        Raises UnreachableError if it could not read an index or took too long.
        """
        wanted = "".join(f"{pin}\n" for pin in pins)
        done = process.run(
            self.argv, stdin=wanted.encode(), env=_environment(), network=True, timeout=TIME_LIMIT
        )
        if done.timed_out or (not done.ok and self.trouble.search(done.stderr)):
            complaint = "it took too long" if done.timed_out else sentence(done.stderr)
            raise UnreachableError(
                f"{self.name} cannot read the index: {complaint}",
                f"To see it again: echo {wanted.split()[0]} | {process.command_line(self.argv)}",
            )
        return Answer(found=done.ok, words=_result(done.stdout) if done.ok else sentence(done.stderr))


def installers(
    target: Target, arch: Architecture, *, upstream: str, mirror: str, cache: Path
) -> tuple[Installer, ...]:
    """Return the installers that can answer for a target, the quickest first; the last one is always pip.

    mirror: the pages of an extra index. cache: a folder for what they read, so that the next time costs less.
    """
    indexes = ("--index-url", upstream, "--extra-index-url", mirror)
    quick = (_uv(target, arch, indexes, cache / "uv"),) if knows(target, arch) else ()
    return (*quick, _pip(target, indexes, cache / "pip"))


def knows(target: Target, arch: Architecture) -> bool:
    """Say whether uv has a name for exactly a target's platform."""
    named = bool(arch.uv and "{minor}" in arch.uv)
    return named and target.libc == "manylinux" and target.libc_version in GLIBCS_OF_UV


def _uv(target: Target, arch: Architecture, indexes: tuple[str, ...], cache: Path) -> Installer:
    major, minor = target.libc_version
    argv = (
        *(uv(), "pip", "compile", "-", "--no-config", "--quiet", "--no-header", "--no-deps"),
        *("--only-binary", ":all:", "--no-python-downloads", "--python", sys.executable),
        *("--python-version", target.full_version),
        *("--python-platform", (arch.uv or "").format(major=major, minor=minor)),
        *("--index-strategy", "unsafe-best-match", "--emit-index-annotation", *indexes),
        *("--cache-dir", str(cache)),
    )
    return Installer(name=f"uv {version('uv')}", argv=argv, trouble=PASSING)


def _pip(target: Target, indexes: tuple[str, ...], cache: Path) -> Installer:
    argv = (
        *(
            sys.executable,
            "-m",
            "pip",
            "--isolated",
            "--disable-pip-version-check",
            "--no-input",
            "--retries",
            "2",
        ),
        *(
            "install",
            "--dry-run",
            "--ignore-installed",
            "--report",
            "/dev/null",
            "--progress-bar",
            "off",
            "--no-deps",
        ),
        *("--only-binary", ":all:", *pip_options(target), *indexes),
        *("--target", str(cache / "nothing"), "--cache-dir", str(cache), "--requirement", "/dev/stdin"),
    )
    return Installer(name=f"pip {version('pip')}", argv=argv, trouble=PIP_HAD_TROUBLE)


def _environment() -> dict[str, str]:
    """Return variables that keep host configuration out, and a site's proxy away from loopback."""
    direct = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1")))
    return {"PIP_CONFIG_FILE": os.devnull, "no_proxy": direct, "NO_PROXY": direct}


def _result(stdout: str) -> str:
    """Return what was chosen, on one line: all that uv prints, the last line of pip's."""
    lines = [line.strip() for line in stdout.splitlines() if line.strip()]
    return lines[-1] if lines and lines[-1].startswith("Would install") else " ".join(lines)
