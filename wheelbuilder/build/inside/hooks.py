"""Runs in the build root: asks the backend what it needs and, if all of that is there, builds the wheel.

Or calls the one hook that it is told, in the same surroundings.

Mounted alone into a container, so it imports only the standard library and runs on every CPython. One
interpreter starts and imports the backend once for both hooks. The first hook runs in a fork, so that what it
changes of its process does not reach the second: PEP 517 wants a fresh process for each.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import Distribution, distributions
from types import ModuleType

FOLDER = "/build/hooks"
HOOK = f"{FOLDER}/hook.py"  # what pyproject_hooks runs in such a process
ASKED = "/build/asked"  # its folder for get_requires_for_build_wheel: input.json, then output.json
CALL = "/build/call"  # the same for build_wheel
LIBRARY = "/build/library"  # has `packaging`
GOES_ON = "wheelbuilder: what the backend asks for is there"
NO_ANSWER = ("no_backend", "hook_missing", "unsupported")
NAMES = "_name_sequence"  # of tempfile: the names that it tries, None for random ones
COUNTERS = ("/proc/net/snmp", "/proc/net/snmp6")


def main() -> None:
    """Ask, then build; or end after asking, and leave it to the host to go on."""
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != FOLDER]
    hooks = loaded()
    os.register_at_fork(after_in_child=choose_names_at_random)
    if len(sys.argv) > 1:
        call(hooks, *sys.argv[1:])
        return
    with contextlib.suppress(hooks.BackendUnavailable):  # the hook says it in its own way
        hooks._build_backend()
    before = surroundings()
    status = forked(lambda: call(hooks, "get_requires_for_build_wheel", ASKED))
    if status:
        sys.exit(status)
    if surroundings() == before and forked(lambda: sys.exit(not is_there(asked()))) == 0:
        print(f"\n{GOES_ON}", flush=True)  # the log is divided here
        with open(f"{ASKED}/goes-on", "x"):  # the host waits for it
            pass
        call(hooks, "build_wheel", CALL)


def loaded() -> ModuleType:
    """Return pyproject_hooks' own program as a module."""
    spec = importlib.util.spec_from_file_location("hook", HOOK)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(hooks: ModuleType, hook: str, folder: str) -> None:
    """Call a hook as a process of its own would."""
    sys.argv = [HOOK, hook, folder]
    # What is compiled in a temporary folder has its path inside: no compiler cache would know it again.
    vars(tempfile)[NAMES] = map("{:08}".format, itertools.count())
    hooks.main()


def choose_names_at_random() -> None:
    """Let this process give temporary files names that no other one comes upon."""
    vars(tempfile)[NAMES] = None


def forked(act: Callable[[], None]) -> int:
    """Let a fork of this process act and end; return its exit status as a shell has it."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        act()
        sys.exit()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


def surroundings() -> tuple[object, ...]:
    """Return what, when the first hook has changed it, only the host may judge: the project, the network."""
    try:
        found = os.lstat("pyproject.toml")
        project: object = (found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns)
    except OSError:
        project = None
    return (project, *map(text_of, COUNTERS))


def text_of(path: str) -> str:
    """Return what a file has; nothing where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def asked() -> list[str] | None:
    """Return what the backend asks for; None if it gave no such answer."""
    path = f"{ASKED}/output.json"
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    told = json.loads(text_of(path))
    answer = told.get("return_val")
    return answer if isinstance(answer, list) and not any(map(told.get, NO_ANSWER)) else None


def is_there(requirements: list[str] | None) -> bool:
    """Say whether the environment has what is required. False also where that cannot be said."""
    if not requirements:
        return requirements is not None
    for name in [name for name in sys.modules if name.partition(".")[0] == "packaging"]:
        del sys.modules[name]  # the backend may have another one
    sys.path.insert(0, LIBRARY)
    try:
        return all(is_met(text, "", frozenset()) for text in requirements)
    except Exception:  # noqa: BLE001  (the host says what is wrong with it)
        return False


def is_met(text: str, extra: str, known: frozenset[tuple[str, str]]) -> bool:
    """Say whether one requirement is met, with those of its extras. known: extras being looked at."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    wanted = Requirement(text)
    if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
        return True
    name = canonicalize_name(wanted.name)
    found = installed().get(name)
    if not found or wanted.url or not wanted.specifier.contains(found.version, prereleases=True):
        return False
    extras = {(name, it) for it in wanted.extras} - known
    return all(is_met(line, it, known | extras) for _, it in extras for line in found.requires or ())


@functools.cache
def installed() -> dict[str, Distribution]:
    """Return the distributions of the environment by normalized name; not what lies in its packages."""
    from packaging.utils import canonicalize_name

    site = f"{sys.prefix}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    return {canonicalize_name(it.metadata["Name"]): it for it in distributions(path=[site])}


if __name__ == "__main__":
    main()
