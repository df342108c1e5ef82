"""The containers in which a backend's hooks run: one for both where the backend asks for nothing new."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import packaging

from wheelbuilder.build import untrusted
from wheelbuilder.build.containers import ContainerExit, Mount

INSIDE = Path(__file__).parent / "inside" / "hooks.py"
PROGRAM = "hooks.py"
HOOKS = "/build/hooks"
LIBRARY = "/build/library"
FOLDERS = ("call", "asked")  # below /build: of the last hook, and of the one before it
GOES_ON = b"wheelbuilder: what the backend asks for is there\n"
LOOK = 0.02  # seconds between two looks whether it goes on
MOST_READ = 16 << 20  # bytes of a log in which the line that divides it is looked for
# Runs the hooks with a fixed umask and one stream for all that they print, which keeps its order, then notes
# what the kernel counted of this container's own network; built-in words only, so that an emulated shell
# starts no further process.
WRAPPER = (
    'umask 022; "$@" 2>&1; code=$?; for file in /proc/net/snmp /proc/net/snmp6; do '
    '[ -r $file ] && while read -r line; do echo "$line"; done <$file; '
    "done >/build/call/network 2>/dev/null; exit $code"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call of a hook as pyproject_hooks makes it. program: what runs it. text: its input.json."""

    hook: str
    program: bytes
    text: str
    environ: Mapping[str, str]


Run = Callable[[tuple[str, ...], tuple[Mount, ...], Mapping[str, str]], ContainerExit]


class Sitting:
    """A container that runs one hook, or one and then, if it can go on, a second.

    run: starts a container with this command, mounts and variables, and returns at its end. python: the
    interpreter inside.
    """

    def __init__(self, run: Run, python: str, *calls: Call) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="wheelbuilder-"))
        self._places = {
            call.hook: self._folder / name for call, name in zip(reversed(calls), FOLDERS, strict=False)
        }
        for call in calls:
            _give(self._places[call.hook], {"input.json": call.text.encode()})
        _give(self._folder / "hooks", {"hook.py": calls[0].program, PROGRAM: INSIDE.read_bytes()})
        alone = () if len(calls) > 1 else (calls[0].hook, f"/build/{FOLDERS[0]}")
        argv = ("/bin/sh", "-c", WRAPPER, "sh", python, f"{HOOKS}/{PROGRAM}", *alone)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hooks")
        self._end = self._thread.submit(run, argv, self._mounts, calls[0].environ)
        self._thread.shutdown(wait=False)

    @property
    def _mounts(self) -> tuple[Mount, ...]:
        return (
            Mount(source=self._folder / "hooks", target=HOOKS),
            Mount(source=Path(packaging.__file__).parent, target=f"{LIBRARY}/packaging"),
            *(
                Mount(source=place, target=f"/build/{place.name}", writable=True)
                for place in self._places.values()
            ),
        )

    def goes_on(self) -> bool:
        """Wait until the first hook has ended, and say whether the second one follows it here."""
        mark = self._folder / "asked" / "goes-on"
        while not mark.exists() and not self._end.done():
            wait((self._end,), timeout=LOOK)
        return mark.exists()

    def end(self) -> ContainerExit:
        """Wait until the container has ended."""
        return self._end.result()

    def output(self, hook: str) -> Path:
        """Return where a hook's answer lies, if it gave one."""
        return self._places[hook] / "output.json"

    @property
    def counters(self) -> Path:
        """Where the network's counters lie."""
        return self._folder / FOLDERS[0] / "network"

    def clear(self) -> None:
        """Remove its folders once it has ended."""
        wait((self._end,))
        untrusted.remove(self._folder)


def _give(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    folder.chmod(0o777)  # the build's user is not ours
    for name, data in files.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o644)


def divide(log: Path, after: Path) -> None:
    """Move what was printed since the first hook ended from its log to another one."""
    with log.open("r+b") as file:
        head = file.read(MOST_READ)
        end = head.find(GOES_ON)
        if end < 0:
            return
        file.seek(end + len(GOES_ON))
        with after.open("ab") as rest:
            shutil.copyfileobj(file, rest)
        file.truncate(end + len(GOES_ON))
