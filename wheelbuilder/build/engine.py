"""Running containers with podman or docker: one command in a fresh, limited root, then nothing is left."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import process, untrusted
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.memory_watch import FOLDER, read_notes, watched
from wheelbuilder.build.owners import OWNER_LABEL, is_alive, our_mark
from wheelbuilder.errors import ConfigurationError, UnreachableError

TMP_SIZE = 2 << 30  # bytes of /tmp; they count against the memory limit once written
HOST_NAME = "wheelbuilder"
ENGINE_FAILED = 125  # what `run` answers when not the command but the engine failed
TRANSFER_TIMEOUT = 3600.0  # seconds for one pull or push
TIMED_OUT = 124  # as timeout(1) has it
NEVER_STARTED = (None, "created", "configured", "initialized")
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
HOME = {"HOME": "/tmp", "LANG": "C.UTF-8", "TERM": "dumb"}  # noqa: S108  (inside the container)


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineKind:
    """One row: how an engine's command line differs from the other's."""

    name: str
    run: tuple[str, ...]  # arguments of `run` that only it has
    remove: tuple[str, ...]
    import_platform: str  # template with {oci}; "" where `import` cannot say the architecture
    isolated_build: tuple[str, ...]  # `build` where containers need special arguments
    mounts_images: bool
    plain_http: tuple[str, ...]  # for pull and push, where a registry on loopback has no certificate
    plain_list: tuple[str, ...]  # the same for manifest lists
    list_commands: tuple[
        tuple[str, ...], ...
    ]  # making and pushing a manifest list; one with {image} is repeated


KINDS = {
    "podman": EngineKind(
        name="podman",
        run=("--http-proxy=false", "--no-hosts", "--read-only-tmpfs=false"),
        remove=("rm", "--force", "--volumes", "--ignore", "--time", "0"),
        import_platform="--os linux --arch {oci}",
        isolated_build=("--isolation", "chroot"),
        mounts_images=True,
        plain_http=("--tls-verify=false",),
        plain_list=("--tls-verify=false",),
        list_commands=(
            ("manifest", "create", "{list}"),
            ("manifest", "add", "{list}", "containers-storage:{image}"),
            ("manifest", "push", "--all", "{plain}", "{list}", "docker://{list}"),
        ),
    ),
    "docker": EngineKind(
        name="docker",
        run=(),
        remove=("rm", "--force", "--volumes"),
        import_platform="",  # it takes --platform and records the host's architecture all the same
        isolated_build=(),
        mounts_images=False,
        plain_http=(),  # docker treats loopback as insecure by itself
        plain_list=("--insecure",),
        list_commands=(
            ("manifest", "create", "{plain}", "{list}", "{images}"),
            ("manifest", "push", "--purge", "{plain}", "{list}"),
        ),
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """A folder or file of the host inside a container."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerExit:
    """How a container ended. stdout and stderr are empty where a log took them.

    out_of_memory: the kernel killed a process of it, maybe not the first. peak_memory: bytes.
    Both are known only where a memory limit was given.
    """

    exit_code: int
    seconds: float
    timed_out: bool
    out_of_memory: bool
    peak_memory: int | None
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether the command ended by itself with status 0."""
        return self.exit_code == 0 and not self.timed_out


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """A container engine that answers, and the arguments with which containers start on this host."""

    name: str  # a row of KINDS
    version: str
    arguments: tuple[str, ...] = ()

    @property
    def kind(self) -> EngineKind:
        """Its row."""
        return KINDS[self.name]

    def run(
        self,
        image: str,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        workdir: str = "/",
        network: bool = False,
        memory: int | None = None,
        pids: int = 4096,
        cpus: float | None = None,
        timeout: float,
        log: Path | None = None,
        user: str = "1000:1000",
        name: str = "",
    ) -> ContainerExit:
        """Run one command in a fresh container of a local image and remove the container.

        Nothing of the host gets in but `mounts` and `env`; the root is read-only, /tmp is a tmpfs.
        Where we are root, writable folders of root are given to `user`. memory: bytes, swap
        included. timeout: seconds. network: the host's own. log: receives both outputs, appended.
        Raises UnreachableError if the engine cannot start a container.
        """
        container = f"wheelbuilder-{name or 'run'}-{uuid.uuid4().hex[:12]}"
        with _folders() as (private, notes):
            if memory is not None:
                mounts = (*mounts, Mount(source=notes, target=FOLDER, writable=True))
                argv = watched(argv)
            command = (
                *(self.name, "run", "--name", container, "--label", f"{OWNER_LABEL}={our_mark()}"),
                *("--platform", f"linux/{self.architecture(image)}", "--pull", "never"),
                *("--log-driver", "none", "--sig-proxy=false", *self.kind.run, *self.arguments),
                *_confinement(user, pids, memory, cpus),
                *_network(network),
                *_environment(HOME | dict(env or {})),
                *(word for mount in mounts for word in _mount(mount, user)),
                *("--workdir", workdir, "--entrypoint", argv[0], image, *argv[1:]),
            )
            done = self._run_and_remove(container, command, private, timeout, log)
            out_of_memory, peak = read_notes(notes)
        return ContainerExit(
            exit_code=TIMED_OUT if done.timed_out else done.exit_code,
            seconds=done.seconds,
            timed_out=done.timed_out,
            out_of_memory=out_of_memory,
            peak_memory=peak,
            stdout=done.stdout,
            stderr=done.stderr,
        )

    def _run_and_remove(
        self, container: str, command: tuple[str, ...], cwd: Path, timeout: float, log: Path | None
    ) -> process.Completed:
        try:
            # podman's monitor creates a file named "oom" in the current directory, through a link too.
            done = process.run(command, cwd=cwd, timeout=timeout, log=log and log.absolute())
        except BaseException:
            self.remove(container)
            raise
        if done.timed_out or done.exit_code == ENGINE_FAILED:
            started = done.timed_out or self._started(container)
            self.remove(container)
            if not started:
                raise self._failed(done, log)
        else:
            # It has ended, and the build need not wait while its layers are taken apart.
            _removals.submit(self.remove, container)
        return done

    def _failed(self, done: process.Completed, log: Path | None) -> UnreachableError:
        words = done.stderr.strip().splitlines() or [f"see {log}" if log else "it printed nothing"]
        hint = (
            f"`wheelbuilder doctor` says what works here. The command was: {process.command_line(done.argv)}"
        )
        return UnreachableError(f"{self.name} cannot start a container: {words[-1]}", hint)

    def _started(self, container: str) -> bool:
        return self._inspect(container, "{{.State.Status}}") not in NEVER_STARTED

    def _inspect(self, container: str, form: str) -> str | None:
        """Return what a container is, None if it does not exist."""
        command = (self.name, "inspect", "--type", "container", "--format", form, container)
        done = process.run(command, timeout=60)
        return done.stdout.strip() if done.ok else None

    def remove(self, *containers: str) -> None:
        """Remove containers, running ones too; also once the run is being interrupted."""
        process.run((self.name, *self.kind.remove, *containers), timeout=120, tidying=True)

    def settle(self) -> None:
        """Wait until the containers that have ended are removed (the end of the process waits too)."""
        _removals.submit(len, ()).result()

    def reap(self) -> tuple[str, ...]:
        """Remove the containers whose driver is dead, and return their ids."""
        listed = self.call("ps", "--all", "--quiet", "--filter", f"label={OWNER_LABEL}").split()
        form = '{{index .Config.Labels "' + OWNER_LABEL + '"}}'
        orphans = []
        for container in listed:
            # A container may end between the two questions: then there is nothing to remove.
            mark = self._inspect(container, form)
            if mark is not None and not is_alive(mark):
                orphans.append(container)
        if orphans:
            self.remove(*orphans)
        return tuple(orphans)

    def call(self, *words: str, timeout: float = 600, network: bool = False) -> str:
        """Run a sub-command of the engine that must succeed and return its output."""
        return process.check((self.name, *words), timeout=timeout, network=network)

    def transfer(self, verb: str, image: str, *options: str) -> process.Completed:
        """Pull or push an image by reference; a registry on loopback may speak plain HTTP."""
        plain = self.kind.plain_http if on_loopback(image) else ()
        return process.run((self.name, verb, *plain, *options, image), timeout=TRANSFER_TIMEOUT, network=True)

    def has(self, image: str) -> bool:
        """Say whether an image is here."""
        return _architecture(self.name, image) is not None

    def architecture(self, image: str) -> str:
        """Return the architecture of a local image, as OCI names it; ConfigurationError if it is not here."""
        found = _architectures.get((self.name, image)) or _architecture(self.name, image)
        if found is None:
            raise ConfigurationError(
                f"There is no local image {image}.",
                "`wheelbuilder images build` makes the roots of the image table.",
            )
        return found

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """Give read access to an image's file system for as long as the context lasts."""
        if not self.kind.mounts_images:
            with self._exported(image) as folder:
                yield folder
            return
        folder = Path(self.call("image", "mount", image).strip())
        try:
            yield folder
        finally:
            process.run((self.name, "image", "unmount", image), timeout=60, tidying=True)

    @contextmanager
    def _exported(self, image: str) -> Iterator[Path]:
        container = self.call("create", "--label", f"{OWNER_LABEL}={our_mark()}", image, "true").strip()
        with tempfile.TemporaryDirectory(prefix="wheelbuilder-") as folder:
            try:
                self.call("export", "--output", f"{folder}/root.tar", container)
                root = Path(folder, "root")
                root.mkdir()
                process.check(("tar", "--extract", "--file", f"{folder}/root.tar", "--directory", str(root)))
                yield root
            finally:
                self.remove(container)


def on_loopback(image: str) -> bool:
    """Say whether an image reference names a registry on this machine."""
    return image.partition("/")[0].partition(":")[0] in ("localhost", "127.0.0.1")


# One worker: removals are in order, and end before the process does.
_removals = ThreadPoolExecutor(1, thread_name_prefix="remove")
_architectures: dict[tuple[str, str], str] = {}  # of an image that is there, it never changes


def _architecture(program: str, image: str) -> str | None:
    """Ask the engine; None if there is no such image."""
    argv = (program, "image", "inspect", "--format", "{{.Architecture}}", image)
    done = process.run(argv, timeout=60)
    if not done.ok:
        return None
    found = _architectures[program, image] = done.stdout.strip()
    return found


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    """Make the engine's own working folder, which no container sees, and one for notes, which one does."""
    folder = Path(tempfile.mkdtemp(prefix="wheelbuilder-"))
    try:
        for name in ("private", "notes"):
            (folder / name).mkdir()
        yield folder / "private", folder / "notes"
    finally:
        untrusted.remove(folder)


def _confinement(user: str, pids: int, memory: int | None, cpus: float | None) -> Iterator[str]:
    yield from ("--user", user, "--cap-drop", "all", "--security-opt", "no-new-privileges")
    yield from ("--read-only", "--tmpfs", f"/tmp:rw,exec,nosuid,nodev,mode=1777,size={TMP_SIZE}")  # noqa: S108
    yield from ("--pids-limit", str(pids))
    if memory is not None:
        # Equal limits mean no swap: a build that needs more fails at once instead of crawling.
        yield from ("--memory", str(memory), "--memory-swap", str(memory))
    if cpus is not None:
        yield from ("--cpus", str(cpus))


def _network(wanted: bool) -> tuple[str, ...]:
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


def _environment(env: Mapping[str, str]) -> Iterator[str]:
    for name in PROXIES:
        # A bare name keeps the engine from filling it in from its own configuration file.
        for spelling in (name, name.upper()):
            if spelling not in env:
                yield from ("--env", spelling)
    for name, value in env.items():
        yield from ("--env", f"{name}={value}")


def _mount(mount: Mount, user: str) -> tuple[str, str]:
    source = mount.source.resolve()
    if "," in f"{source}{mount.target}":
        raise ConfigurationError(
            f"{source} cannot be mounted: a comma in a path ends an argument of the engine."
        )
    if mount.writable:
        _give(source, user)
    mode = "" if mount.writable else ",readonly"
    return ("--mount", f"type=bind,source={source},target={mount.target}{mode}")


def _give(folder: Path, user: str) -> None:
    owner, _, group = user.partition(":")
    if os.geteuid() == 0 and folder.stat().st_uid == 0 and owner.isdigit():
        with suppress(OSError):
            os.chown(folder, int(owner), int(group or owner))
