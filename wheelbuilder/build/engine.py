"""Running containers with podman or docker: one command in a fresh, limited root, then nothing is left."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wheelbuilder.build import emulation, process
from wheelbuilder.build.activity import Container
from wheelbuilder.build.containers import (
    ContainerExit,
    Mount,
    confinement_arguments,
    environment_arguments,
    folders,
    mount_arguments,
    network_arguments,
)
from wheelbuilder.build.memory_watch import FOLDER, Notes, read_notes, watched
from wheelbuilder.build.owners import OWNER_LABEL, is_alive, our_mark
from wheelbuilder.build.stillness import Stillness
from wheelbuilder.errors import ConfigurationError, UnreachableError

ENGINE_FAILED = 125  # what `run` answers when not the command but the engine failed
NO_COMMAND = (126, 127)  # what it answers when the command is not there or may not be run
TRANSFER_TIMEOUT = 3600.0  # seconds for one pull or push
PAUSES = (0.0, 0.1, 0.5, 2.0)  # seconds before each try of what somebody else's removal can disturb
TIMED_OUT = 124  # as timeout(1) has it
SIGNALLED = 128  # from here on an exit status stands for a signal
NEVER_STARTED = (None, "created", "configured", "initialized")
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # of images that say nothing
HOME = {"HOME": "/tmp", "LANG": "C.UTF-8", "TERM": "dumb"}  # noqa: S108  (inside the container)


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineKind:
    """One row: how an engine's command line differs from the other's."""

    name: str
    run: tuple[str, ...]  # arguments of `run` that only it has
    remove: tuple[str, ...]
    bound: tuple[str, ...]  # options of mounts; docker knows none of these
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
        bound=("nosuid", "nodev"),
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
        bound=(),
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
        silence: float | None = None,
        slots: Path | None = None,
        log: Path | None = None,
        user: str = "1000:1000",
        name: str = "",
    ) -> ContainerExit:
        """Run one command in a fresh container of a local image and remove the container.

        Nothing of the host gets in but `mounts` and `env`; the root is read-only, /tmp is a tmpfs.
        Where we are root, writable folders of root are given to `user`. memory: bytes, swap
        included. timeout: seconds. silence: seconds after which it is ended if it has neither printed
        nor computed anything; needs a log. slots: the folder of the machine's compile slots: while others
        hold those it does not hang, and only what it computes counts against the timeout. network: the
        host's own. log: receives both outputs, appended.
        Raises UnreachableError if the engine cannot run a container.
        """
        container = f"wheelbuilder-{name or 'run'}-{uuid.uuid4().hex[:12]}"
        oci = self.architecture(image)
        with folders() as (private, notes):
            if memory is not None:
                mounts = (*mounts, Mount(source=notes, target=FOLDER, writable=True))
                argv = watched(argv)
            command = (
                *(self.name, "run", "--name", container, "--label", f"{OWNER_LABEL}={our_mark()}"),
                *("--platform", f"linux/{oci}", "--pull", "never"),
                *("--log-driver", "none", "--sig-proxy=false", *self.kind.run, *self.arguments),
                *confinement_arguments(user, pids, memory, cpus),
                *network_arguments(network),
                *environment_arguments(HOME | emulation.settings(oci) | dict(env or {})),
                *(word for mount in mounts for word in mount_arguments(mount, user, self.kind.bound)),
                *("--workdir", workdir, "--entrypoint", argv[0], image, *argv[1:]),
            )
            seen = Container(partial(self._first_process, container), slots)
            guard = Stillness(log, seen.activity, silence, timeout) if log and silence else None
            # podman's monitor creates a file named "oom" in the current directory, through a link too.
            calling = partial(
                process.run, command, cwd=private, timeout=timeout, log=log and log.absolute(), guard=guard
            )
            done, told = self._carried_out(container, calling, notes if memory is not None else None, log)
        return _exit(done, told)

    def _carried_out(
        self, container: str, calling: Callable[[], process.Completed], notes: Path | None, log: Path | None
    ) -> tuple[process.Completed, Notes | None]:
        """Run a container to its end, remove it, and return how it ended and what it has left in notes."""
        try:
            done = calling()
            told = read_notes(notes) if notes else None
            ended = _has_ended(done, told)
            if not ended and not self._was_started(container, done):
                raise self._failed(done, log)
        except BaseException:
            self.remove(container)
            raise
        if ended:
            # The build need not wait while its layers are taken apart.
            _removals.submit(self.remove, container)
        else:
            self.remove(container)
        return done, told

    def _was_started(self, container: str, done: process.Completed) -> bool:
        state = self._inspect(container, "{{.State.Status}}")
        if state not in NEVER_STARTED or done.exit_code in NO_COMMAND:
            return True
        # One that is gone although the engine works was removed by somebody.
        return state is None and done.exit_code != ENGINE_FAILED and self.answers()

    def _failed(self, done: process.Completed, log: Path | None) -> UnreachableError:
        words = done.stderr.strip().splitlines() or [f"see {log}" if log else "it printed nothing"]
        hint = (
            f"`wheelbuilder doctor` says what works here. The command was: {process.command_line(done.argv)}"
        )
        return UnreachableError(f"{self.name} cannot start a container: {words[-1]}", hint)

    def answers(self) -> bool:
        """Say whether the engine works at all."""
        return process.run((self.name, "version"), timeout=60, tidying=True).ok

    def _first_process(self, container: str) -> int | None:
        pid = self._inspect(container, "{{.State.Pid}}")
        return int(pid) or None if pid and pid.isdigit() else None

    def _inspect(self, container: str, form: str) -> str | None:
        """Return what a container is, None if it does not exist."""
        command = (self.name, "inspect", "--type", "container", "--format", form, container)
        done = process.run(command, timeout=60)
        return done.stdout.strip() if done.ok else None

    def remove(self, *containers: str) -> None:
        """Remove containers, running ones too; also once the run is being interrupted."""
        self._insist(*self.kind.remove, *containers, timeout=120, tidying=True)

    def _insist(self, *words: str, timeout: float, tidying: bool = False) -> process.Completed:
        """Run a sub-command, and again if it fails; return how it ended at last.

        podman fails to kill what ends at that very moment, and to list images where one goes meanwhile.
        """
        for pause in PAUSES:
            time.sleep(pause)
            done = process.run((self.name, *words), timeout=timeout, tidying=tidying)
            if done.ok:
                break
        return done

    def settle(self) -> None:
        """Wait until the containers that have ended are removed (the end of the process waits too)."""
        _removals.submit(len, ()).result()

    def reap(self) -> tuple[str, ...]:
        """Remove the containers whose driver is dead, and return their ids."""
        listed = self.call("ps", "--all", "--quiet", "--filter", f"label={OWNER_LABEL}").split()
        if not listed:
            return ()
        form = '{{.Id}} {{index .Config.Labels "' + OWNER_LABEL + '"}}'
        # A container may end between the two questions: of it nothing is told, and the status is an error's.
        inspect = (self.name, "inspect", "--type", "container", "--format", form, *listed)
        told = map(str.split, process.run(inspect, timeout=60).stdout.splitlines())
        orphans = tuple(container for container, mark in told if not is_alive(mark))
        if orphans:
            self.remove(*orphans)
        return orphans

    def call(self, *words: str, timeout: float = 600, network: bool = False) -> str:
        """Run a sub-command of the engine that must succeed and return its output.

        Raises ProcessError, and UnreachableError if the engine does nothing at all any more.
        """
        try:
            return process.check((self.name, *words), timeout=timeout, network=network)
        except process.ProcessError as error:
            if self.answers():
                raise
            raise UnreachableError(
                f"{self.name} does not answer any more: {error.message}", error.hint
            ) from None

    def transfer(self, verb: str, image: str, *options: str) -> process.Completed:
        """Pull or push an image by reference; a registry on loopback may speak plain HTTP."""
        plain = self.kind.plain_http if on_loopback(image) else ()
        return process.run((self.name, verb, *plain, *options, image), timeout=TRANSFER_TIMEOUT, network=True)

    def has(self, image: str) -> bool:
        """Say whether an image is here; UnreachableError if the engine does not work at all any more."""
        if _architecture(self.name, image) is not None:
            return True
        if not self.answers():
            raise UnreachableError(
                f"{self.name} does not answer any more.", "`wheelbuilder doctor` says more."
            )
        return False

    def images(self) -> list[str]:
        """Return the names of the images that are here."""
        words = ("images", "--format", "{{.Repository}}:{{.Tag}}")
        done = self._insist(*words, timeout=600)
        return (done.stdout if done.ok else self.call(*words)).split()

    def architecture(self, image: str) -> str:
        """Return the architecture of a local image, as OCI names it; ConfigurationError if it is not here."""
        found = _architectures.get((self.name, image)) or _architecture(self.name, image)
        if found is None:
            raise ConfigurationError(
                f"There is no local image {image}.",
                "`wheelbuilder images build` makes the roots of the image table.",
            )
        return found

    def identity(self, image: str) -> str:
        """Return the digest that names the content of a local image."""
        return self.call("image", "inspect", "--format", "{{.Id}}", image).strip()

    def path(self, image: str) -> str:
        """Return the PATH that a local image gives what runs in it."""
        if (self.name, image) not in _paths:
            told = json.loads(self.call("image", "inspect", "--format", "{{json .Config.Env}}", image))
            variables = dict(line.partition("=")[::2] for line in told or ())
            _paths[self.name, image] = variables.get("PATH", USUAL_PATH)
        return _paths[self.name, image]

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


def _has_ended(done: process.Completed, told: Notes | None) -> bool:
    """Say whether a container's command came to its own end."""
    return done.ok or (told is not None and told.ended)


def _exit(done: process.Completed, told: Notes | None) -> ContainerExit:
    """Return how a container ended, with what it has left in notes."""
    return ContainerExit(
        exit_code=TIMED_OUT if done.timed_out else done.exit_code,
        seconds=done.seconds,
        timed_out=done.timed_out,
        hung=done.given_up,
        killed=_was_killed(done, told),
        out_of_memory=told is not None and told.out_of_memory,
        peak_memory=told.peak if told else None,
        stdout=done.stdout,
        stderr=done.stderr,
    )


def _was_killed(done: process.Completed, told: Notes | None) -> bool:
    """Say whether something outside of a container has ended it, which was not us."""
    by_us = done.timed_out or done.given_up
    return (
        told is not None and not _has_ended(done, told) and not by_us and not 0 <= done.exit_code < SIGNALLED
    )


# One worker: removals are in order, and end before the process does.
_removals = ThreadPoolExecutor(1, thread_name_prefix="remove")
# Of an image that is there, they never change.
_architectures: dict[tuple[str, str], str] = {}
_paths: dict[tuple[str, str], str] = {}


def _architecture(program: str, image: str) -> str | None:
    """Ask the engine; None if there is no such image."""
    argv = (program, "image", "inspect", "--format", "{{.Architecture}}", image)
    done = process.run(argv, timeout=60)
    if not done.ok:
        return None
    found = _architectures[program, image] = done.stdout.strip()
    return found
