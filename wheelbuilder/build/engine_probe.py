"""Finding a container engine, and the arguments with which it starts containers on this host."""

from __future__ import annotations

import io
import json
import os
import platform
import resource
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.archive_image import import_archive
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.engine import KINDS, Engine
from wheelbuilder.errors import ConfigurationError, UnreachableError, WheelbuilderError

CHOICE = "WHEELBUILDER_ENGINE"  # environment variable: podman or docker
PROBE_IMAGE = "localhost/wheelbuilder/probe:1"
RUNTIMES = ((), ("--runtime", "runc"), ("--runtime", "crun"))
# Where the host's own limits cannot be set either: on some hosts the engine's monitor lowers them first.
LOW_PROCESSES = 16384
HOST_SYSTEM = ("/usr", "/bin", "/lib", "/lib64")


def find(preferred: str | None = None, *, fresh: bool = False) -> Engine:
    """Return an engine that can start containers here: podman if it can, else docker.

    preferred: a row of KINDS; default: $WHEELBUILDER_ENGINE. fresh: do not believe what an earlier
    probe found. Raises UnreachableError with what was tried, and ConfigurationError for an engine
    that is not known.
    """
    wanted = preferred or os.environ.get(CHOICE)
    if wanted and wanted not in KINDS:
        raise ConfigurationError(
            f"The engine {wanted!r} is not known.", f"Choose one of: {', '.join(KINDS)}."
        )
    complaints = []
    for name in (wanted,) if wanted else tuple(KINDS):
        try:
            return _recalled(name, fresh=fresh)
        except WheelbuilderError as error:
            complaints.append(f"{name}: {error.message.rstrip('.')}")
    raise UnreachableError(
        f"No container engine can start a container here ({'; '.join(complaints)}).",
        "Install podman and runc (as root on Debian or Ubuntu: `make setup`), or start the docker service.",
    )


def _recalled(name: str, *, fresh: bool) -> Engine:
    """Return what an earlier probe found for the same program, start of the machine and limits."""
    program = shutil.which(name)
    if program is None:
        raise UnreachableError("not installed")
    key = _key(Path(program))
    path = cache_home() / f"engine-{name}.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if not fresh and known["key"] == key:
            return Engine(name=name, version=known["version"], arguments=tuple(known["arguments"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no finding yet, or an unreadable one: probe
    engine = _probe(name)
    found = {"key": key, "version": engine.version, "arguments": engine.arguments}
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(found), encoding="utf-8")
    temporary.replace(path)
    return engine


def _key(program: Path) -> list[str]:
    stat = program.resolve().stat()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    limits = (resource.getrlimit(resource.RLIMIT_NOFILE)[1], resource.getrlimit(resource.RLIMIT_NPROC)[1])
    return [str(program), str(stat.st_mtime_ns), str(stat.st_size), boot, str(limits), str(os.geteuid())]


def _probe(name: str) -> Engine:
    version = process.check((name, "version", "--format", _VERSION[name]), timeout=60).strip()
    plain = Engine(name=name, version=version, arguments=_identity(name))
    _import_probe_image(plain)
    complaint = ""
    for arguments in _variants():
        engine = replace(plain, arguments=(*plain.arguments, *arguments))
        complaint = _trial(engine)
        if not complaint:
            return engine
    raise UnreachableError(complaint)


_VERSION = {"podman": "{{.Client.Version}}", "docker": "{{.Server.Version}}"}


def _identity(name: str) -> tuple[str, ...]:
    """Map us to the container's user 1000 where podman runs without root: it must write to our mounts."""
    return ("--userns", "keep-id:uid=1000,gid=1000") if name == "podman" and os.geteuid() != 0 else ()


def _variants() -> Iterator[tuple[str, ...]]:
    """Yield arguments to try, the plainest first."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    limits: list[tuple[str, ...]] = [()]
    low = min(processes, LOW_PROCESSES) if processes > 0 else LOW_PROCESSES
    limits.extend(
        ("--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={count}:{count}")
        for count in dict.fromkeys((processes, low))
    )
    for runtime in RUNTIMES:
        if not runtime or shutil.which(runtime[1]):
            yield from ((*runtime, *limit) for limit in limits)


def _trial(engine: Engine) -> str:
    """Start a container as a build would and return the complaint, "" if it works.

    The image is empty and borrows the host's own system, so that nothing must be downloaded.
    """
    mounts = [Mount(source=Path(path), target=path) for path in HOST_SYSTEM if Path(path).exists()]
    try:
        done = engine.run(
            PROBE_IMAGE,
            ("/bin/true",),
            mounts=mounts,
            memory=64 << 20,
            cpus=1,
            timeout=60,
            name="probe",
        )
    except WheelbuilderError as error:
        return error.message
    return "" if done.ok else f"a container ended with {done.exit_code}: {done.stderr.strip()[-300:]}"


def _import_probe_image(engine: Engine) -> None:
    if engine.has(PROBE_IMAGE):
        return
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    with tempfile.TemporaryDirectory(prefix="wheelbuilder-") as folder:
        path = Path(folder, "probe.tar")
        with tarfile.open(path, "w") as archive:
            for name in ("etc", "proc", "sys", "dev", "tmp", "run", "usr", "bin", "lib", "lib64"):
                member = tarfile.TarInfo(name)
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member, io.BytesIO())
        import_archive(engine, path, PROBE_IMAGE, machine)
