"""A start-up test of a root: shell, Python with a thread and a fork, ssl and ctypes, and one compile."""

from __future__ import annotations

from wheelbuilder.build.engine import Engine
from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.inputs.images import Role, Root

TIMEOUT = 600.0  # seconds; emulated on a machine with ten times more to do than it has cores
MEMORY = 1 << 30
# An emulator that lacks a system call shows it here and not after an hour of building.
PYTHON = """
import ctypes, hashlib, os, ssl, sys, sysconfig, threading
answers = []
thread = threading.Thread(target=lambda: answers.append(1))
thread.start()
thread.join()
child = os.fork()
if child == 0: os._exit(7)
assert answers and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert ctypes.CDLL(None).getpid() == os.getpid()
assert ssl.create_default_context() and hashlib.sha256(b"").digest()
print("python", sys.version.split()[0], os.uname().machine, os.getuid())
"""
COMPILE = """
set -e
python="$1"; cd /tmp
printf '#include <Python.h>\\nint answer(void) { return 42; }\\n' >probe.c
printf '#include <vector>\\nint main() { std::vector<int> v(42); return v.size() - 42; }\\n' >probe.cc
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
cc -shared -fPIC -I"$include" probe.c -o probe.so
c++ probe.cc -o probe && ./probe
"$python" -c 'import ctypes; assert ctypes.CDLL("/tmp/probe.so").answer() == 42; print("compiles")'
"""


def smoke(engine: Engine, root: Root, image: str, python: str = "") -> str:
    """Try a root and return what it answered; an UnreachableError quotes what went wrong.

    python: the interpreter to try. Default: the newest one found.
    """
    script = f"set -e\npython={python or _FIND}\n\"$python\" -c '{PYTHON}'\n"
    if root.role is Role.BUILD:
        script += f"sh -c '{_quoted(COMPILE)}' compile \"$python\"\n"
    done = engine.run(image, ("/bin/sh", "-c", script), timeout=TIMEOUT, memory=MEMORY, name="smoke")
    if not done.ok:
        words = done.stderr.strip().splitlines() or [f"it ended with status {done.exit_code}"]
        if done.timed_out:
            words = [f"it had not ended after {TIMEOUT:g} s"]
        raise UnreachableError(
            f"The root {root.name} does not pass its start-up test: {words[-1]}",
            "`wheelbuilder doctor` says whether the emulator of this architecture works.",
        )
    if f" {root.arch.name} " not in done.stdout.replace("armv8l", "armv7l"):
        raise IntegrityError(f"The root {root.name} says that its machine is: {done.stdout.strip()}")
    return done.stdout.strip()


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''")


_FIND = (
    "$(ls /usr/bin/python3.? /usr/bin/python3.?? /opt/python/cp3*/bin/python 2>/dev/null | sort -V | tail -1)"
)
