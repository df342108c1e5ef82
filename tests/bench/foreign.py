"""What foreign architectures cost: the same sdists built natively, emulated, and with the native toolchain.

usage: python tests/bench/foreign.py [--packages P...] [--rungs R...] [--output table.json] [--minutes N]

In turn for each package: for this machine (a), for the foreign architecture with the native toolchain (c) and
with plain emulation (b), through the real job with its caches of compilers off. Everything is fetched and all
roots are made before. What is measured is written to the output at once: run it again to go on, with
--again to measure anew. --show prints the tables of an output, --compare the differences of the wheels that
(b) and (c) have made. (needs what `make demo` sets up)
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

import foreign_table
from foreign_builds import FAMILY, Row, Workbench, opened

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import standin
from wheel_differences import differences

from wheelbuilder.build import process
from wheelbuilder.build.outcomes import StepFailedError
from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.inputs.images import default_path
from wheelbuilder.inputs.rungs import Rung

# What plain emulation takes is last in each turn, and the packages that take longest come last.
PACKAGES = (
    *("markupsafe==3.0.2", "psutil==6.1.0", "greenlet==3.1.1", "cffi==1.17.1", "msgpack==1.1.0"),
    *("ujson==5.10.0", "pyzmq==27.1.0", "PyYAML==6.0.2", "contourpy==1.3.1", "lxml==5.3.0"),
)
RUNGS = (Rung.NATIVE, Rung.TOOLCHAIN, Rung.EMULATED)
SLOWER = 9  # times that plain emulation is expected to take what the machine itself takes


def main() -> None:
    """Measure what is missing, and print the tables."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    chosen = _arguments()
    rows = [Row(**row) for row in json.loads(chosen.output.read_text())] if chosen.output.exists() else []
    if chosen.again:
        rows = [row for row in rows if row.package not in chosen.packages or row.rung not in chosen.rungs]
    wheels = chosen.output.with_suffix(".wheels")
    if not chosen.show and not chosen.compare:
        measure(chosen, rows, wheels)
    print(foreign_table.markdown(rows))
    compare(chosen.packages, wheels)


def _end(number: int, frame: object) -> None:
    """Leave no container behind."""
    process.end_all()
    sys.exit("ended")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", nargs="+", default=list(PACKAGES), metavar="NAME==VERSION")
    parser.add_argument("--rungs", nargs="+", type=Rung, default=list(RUNGS), choices=list(Rung))
    parser.add_argument("--family", help=f"of the roots; default: {FAMILY}, or the stand-in's")
    parser.add_argument("--standin", action="store_true", help="in the stand-in for images that are pulled")
    parser.add_argument("--arch", default="aarch64")
    parser.add_argument("--output", type=Path, default=Path("foreign.json"))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start nothing that ends later")
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    parser.add_argument(
        "--prepare", action="store_true", help="fetch and make what is needed, and measure nothing"
    )
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--compare", action="store_true")
    return parser.parse_args()


def measure(chosen: argparse.Namespace, rows: list[Row], wheels: Path) -> None:
    """Add the missing rows, and write all of them after each build."""
    end = time.monotonic() + chosen.minutes * 60
    done = {(row.package, row.rung) for row in rows if not row.failed}
    left = [package for package in chosen.packages if any((package, it) not in done for it in chosen.rungs)]
    wheels.mkdir(parents=True, exist_ok=True)
    table = standin.here(wheels) if chosen.standin else default_path()
    family = chosen.family or (standin.TARGET.rpartition(f"_{chosen.arch}")[0] if chosen.standin else FAMILY)
    with opened(chosen.arch, wheels, family, table) as bench:
        ready = [package for package in left if is_prepared(bench, package)]
        for package in () if chosen.prepare else ready:
            for rung in chosen.rungs:
                if (package, rung) not in done and fits(package, rung, rows, end - time.monotonic()):
                    row = measured(bench, package, rung)
                    rows[:] = [it for it in rows if (it.package, it.rung) != (package, rung)] + [row]
                    write(rows, chosen.output)


def is_prepared(bench: Workbench, package: str) -> bool:
    """Prepare a package, and say so if that fails: it must not end the others."""
    started, problem = time.monotonic(), ""
    try:
        bench.prepare(package)
    except (WheelbuilderError, StepFailedError) as error:
        problem = str(error)
    print(f"{package:20} prepared in {time.monotonic() - started:.1f} s {problem}", flush=True)
    return not problem


def fits(package: str, rung: Rung, rows: list[Row], seconds: float) -> bool:
    """Say whether a build is expected to end within what is left."""
    native = [row.wall for row in rows if (row.package, row.rung) == (package, Rung.NATIVE)]
    expected = max(native, default=0.0) * (SLOWER if rung is Rung.EMULATED else 1)
    if expected > seconds:
        print(f"{package:20} {rung:17} left out: {max(0, seconds):.0f} s are left for about {expected:.0f} s")
    return expected <= seconds


def measured(bench: Workbench, package: str, rung: Rung) -> Row:
    """Measure one build, whatever becomes of it."""
    try:
        row = bench.measure(package, rung)
    except WheelbuilderError as error:
        row = Row(package=package, rung=rung, steps={}, programs={}, failed=f"{error.message} {error.hint}")
    print(
        f"{package:20} {rung:17} {row.wall:7.1f} s wall {row.cpu:7.1f} s processor {row.failed}", flush=True
    )
    return row


def compare(packages: list[str], wheels: Path) -> None:
    """Print in what the wheels of (b) and (c) differ."""
    for package in packages:
        pair = [[*(wheels / rung / package).glob("*.whl")] for rung in (Rung.EMULATED, Rung.TOOLCHAIN)]
        if all(pair):
            found = differences(*(of[0] for of in pair))
            verdict = "differ" if any(it.matters for it in found) else "equal" if found else "bit-identical"
            print(f"{package}: b and c are {verdict}")
            for difference in found:
                print(f"  {difference}")


def write(rows: list[Row], output: Path) -> None:
    """Replace the output, whole."""
    partial = output.with_suffix(".partial")
    partial.write_text(json.dumps([row.document() for row in rows], indent=1))
    partial.replace(output)


if __name__ == "__main__":
    main()
