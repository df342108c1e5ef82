"""What a container is given and how it ended, as values, and as arguments of an engine's command line."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import untrusted
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.outcomes import Compiled
from wheelbuilder.errors import ConfigurationError

TMP_SIZE = 2 << 30  # bytes of /tmp; they count against the memory limit once written
HOST_NAME = "wheelbuilder"
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """A folder or file of the host inside a container."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerExit:
    """How a container ended. stdout and stderr are empty where a log took them.

    hung: it printed nothing and computed nothing for too long. killed: something outside of it ended it.
    out_of_memory: the kernel killed a process of it, maybe not the first. peak_memory: bytes. The last
    three are known only where a memory limit was given. compiled: None where there was no compiler cache.
    """

    exit_code: int
    seconds: float
    timed_out: bool
    hung: bool
    killed: bool
    out_of_memory: bool
    peak_memory: int | None
    stdout: str
    stderr: str
    compiled: Compiled | None = None

    @property
    def ok(self) -> bool:
        """Whether the command ended by itself with status 0."""
        return self.exit_code == 0 and not self.timed_out and not self.hung


@contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    """Make the engine's own working folder, which no container sees, and one for notes, which one does."""
    folder = Path(tempfile.mkdtemp(prefix="wheelbuilder-"))
    try:
        for name in ("private", "notes"):
            (folder / name).mkdir()
        yield folder / "private", folder / "notes"
    finally:
        untrusted.remove(folder)


def confinement_arguments(user: str, pids: int, memory: int | None, cpus: float | None) -> Iterator[str]:
    """Yield what keeps a container in bounds. memory: bytes."""
    yield from ("--user", user, "--cap-drop", "all", "--security-opt", "no-new-privileges")
    yield from ("--read-only", "--tmpfs", f"/tmp:rw,exec,nosuid,nodev,mode=1777,size={TMP_SIZE}")  # noqa: S108
    yield from ("--pids-limit", str(pids))
    if memory is not None:
        # Equal limits mean no swap: a build that needs more fails at once instead of crawling.
        yield from ("--memory", str(memory), "--memory-swap", str(memory))
    if cpus is not None:
        yield from ("--cpus", str(cpus))


def network_arguments(wanted: bool) -> tuple[str, ...]:
    """Return what gives a container the host's network, or none."""
    if wanted:
        return ("--network", "host")
    hosts = _hosts_file()
    return ("--network", "none", "--hostname", HOST_NAME, "--volume", f"{hosts}:/etc/hosts:ro")


def _hosts_file() -> Path:
    """Return a hosts file with which a container's own name needs no DNS and no name of the host leaks in."""
    path = cache_home() / "hosts"
    if not path.exists():
        temporary = path.with_name(f"hosts.{uuid.uuid4().hex}")
        temporary.write_text(
            f"127.0.0.1\tlocalhost {HOST_NAME}\n::1\tlocalhost {HOST_NAME}\n", encoding="ascii"
        )
        temporary.replace(path)
    return path


def environment_arguments(env: Mapping[str, str]) -> Iterator[str]:
    """Yield what sets the environment, and keeps everything else out of it."""
    for name in PROXIES:
        # A bare name keeps the engine from filling it in from its own configuration file.
        for spelling in (name, name.upper()):
            if spelling not in env:
                yield from ("--env", spelling)
    for name, value in env.items():
        yield from ("--env", f"{name}={value}")


def mount_arguments(mount: Mount, user: str, options: Sequence[str]) -> tuple[str, str]:
    """Return what mounts a folder, after giving it to the user that may write there.

    options: of the mount, beside whether it can be written.
    """
    source = mount.source.resolve()
    if "," in f"{source}{mount.target}":
        raise ConfigurationError(
            f"{source} cannot be mounted: a comma in a path ends an argument of the engine."
        )
    if mount.writable:
        _give(source, user)
    words = (
        f"source={source}",
        f"target={mount.target}",
        *([] if mount.writable else ["readonly"]),
        *options,
    )
    return ("--mount", ",".join(("type=bind", *words)))


def _give(folder: Path, user: str) -> None:
    owner, _, group = user.partition(":")
    if os.geteuid() == 0 and folder.stat().st_uid == 0 and owner.isdigit():
        with suppress(OSError):
            os.chown(folder, int(owner), int(group or owner))
