"""Runs in the bare root: pip installs the candidate from a folder, then its modules are imported.

Mounted alone into a container, so it imports only the standard library and runs on every CPython.
Arguments: how many words there are for pip, these (none: it is installed already), and the modules to import.
The answer is JSON behind ANSWER.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import traceback

ANSWER = "wheelbuilder-trial: "
INSTALLED = "/build/installed"
CANDIDATES = "/build/candidates"
SITE = "/tmp/site"  # noqa: S108  (a tmpfs of this container's own)
PIP = f"-m pip install --quiet --no-index --no-cache-dir --no-compile --disable-pip-version-check \
--find-links {CANDIDATES} --target {SITE} --only-binary :all:"


def install(words: list[str]) -> None:
    """Let the root's own pip choose the candidate by its tags and unpack it."""
    subprocess.run([sys.executable, *PIP.split(), *words], check=True)


def failures(modules: list[str]) -> dict[str, dict[str, str | None]]:
    """Import each module; return what went wrong by name, with the module that was missing, if any was."""
    found: dict[str, dict[str, str | None]] = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  (a module may raise anything, SystemExit too)
            traceback.print_exc()
            last = traceback.format_exception_only(type(error), error)[-1].strip()
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            found[name] = {"error": last, "missing": missing}
    return found


def main() -> None:
    """Install, import, answer."""
    count = int(sys.argv[1])
    words, modules = sys.argv[2 : 2 + count], sys.argv[2 + count :]
    if words:
        install(words)
    sys.path.insert(0, SITE if words else INSTALLED)
    answer = json.dumps(failures(modules))
    print(f"\n{ANSWER}{answer}", flush=True)


main()
