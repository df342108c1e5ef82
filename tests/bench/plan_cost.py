"""What one `wheelbuilder plan` costs: processor seconds and peak memory, with a cold and a warm cache.

    python tests/bench/plan_cost.py [ROUNDS]

Plans upper-constraints-stable-2025.2 for two targets against `plan_index.py`, a process of its own.
The bound is 3 s of processor time and 200 MB for the whole process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONSTRAINTS = HERE.parent / "data" / "constraints" / "upper-constraints-stable-2025.2.txt"
LIST = """\
targets = ["cp311-manylinux_2_36_x86_64", "cp311-manylinux_2_36_aarch64"]
branches.main = "{constraints}"
upstream = "{url}"
"""


@contextmanager
def local_index(*constraints: Path) -> Iterator[str]:
    """Run the index in a process of its own and give its URL."""
    server = subprocess.Popen(
        (sys.executable, str(HERE / "plan_index.py"), *map(str, constraints)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin and server.stdout
    try:
        yield server.stdout.readline().split()[0]
    finally:
        server.stdin.close()
        server.wait()


def measure(
    argv: tuple[str, ...], env: dict[str, str], output: Path, codes: tuple[int, ...] = (0,)
) -> tuple[float, float, float]:
    """Run a process; returns processor seconds, wall seconds and peak memory in MB. codes: that are well."""
    started = time.monotonic()
    errors = output.with_suffix(".err")
    with output.open("wb") as sink, errors.open("wb") as error_sink:
        process = subprocess.Popen(argv, env=env, stdout=sink, stderr=error_sink)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise SystemExit(errors.read_text())
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print one line a run."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder, local_index(CONSTRAINTS) as url:
        path = Path(folder) / "bench.toml"
        path.write_text(LIST.format(constraints=CONSTRAINTS, url=url))
        output = Path(folder) / "out.txt"
        for number in range(rounds):
            env = os.environ | {"XDG_CACHE_HOME": str(Path(folder) / f"cache-{number}")}
            for state in ("cold", "warm"):
                argv = (sys.executable, "-m", "wheelbuilder", "plan", str(path))
                cpu, wall, memory = measure(argv, env, output)
                print(f"{state}: {cpu:.2f} s processor, {wall:.2f} s wall, {memory:.0f} MB peak", flush=True)
        print(output.read_text()[:1500])


if __name__ == "__main__":
    main()
