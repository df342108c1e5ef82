"""Page generation beside dumb-pypi, on the same list: from scratch, and with one new file.

    python tests/bench/generate.py [--rounds N] [--projects N] [--skip-large] [--folder DIRECTORY]

Both get 25 files in each of 2,000 projects, in turn; medians of the rounds. dumb-pypi reads a list and writes
HTML, JSON and a few pages for people. We start from a mirror that has the commit and the states but no
page, and write four views: gap and whole, HTML and JSON; for one new file we publish a wheel into the
complete mirror. Every line is a process of its own: wall seconds, and processor seconds and peak memory by
`wait4`. `mixed` is a mirror where half of each project's files are upstream's, so that the two views differ.
`publish alone` is that one call inside its process, without the start of Python.

Nothing is deleted before the end: ext4 creates files several times slower for minutes after a large removal.
dumb-pypi goes into a virtual environment in the cache folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name

from wheelbuilder.build.cache import cache_home
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import head_key, state_key
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.settle import settle, write
from wheelbuilder.mirror.states import MirrorFile, ProjectState
from wheelbuilder.mirror.wheels import NewWheel
from wheelbuilder.plan.files import IndexFile

DUMB_PYPI = "dumb-pypi==1.15.0"
PER_PROJECT = 25
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TIME = "2026-01-02T03:04:05Z"
CHANNEL = "stable"
METADATA = b"Metadata-Version: 2.1\nName: project\nVersion: 99\n"


@dataclass(kw_only=True)
class Row:
    """What the rounds of one line came to: seconds and MB; `inside` where the process timed one call."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)


Rows = dict[str, Row]


def main() -> None:
    """Measure and print a table, or do the part of a process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--projects", type=int, default=2000)
    parser.add_argument(
        "--skip-large", action="store_true", help="leave out the mirror of 10 times the files"
    )
    parser.add_argument("--folder", type=Path, help="where to write; in memory the disk costs nothing")
    parser.add_argument("--settle", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--wheel", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.settle:
        settle(DirectoryStore(arguments.settle), CHANNEL, NOW)
    elif arguments.publish:
        publish_one(arguments.publish, arguments.wheel)
    else:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            compare(Path(folder), arguments)


def compare(folder: Path, arguments: argparse.Namespace) -> None:
    """Run both in turn and print what came of it."""
    peer = dumb_pypi()
    rows: Rows = {}
    make_mirror(folder / "seed", arguments.projects, theirs=0)
    make_mirror(folder / "mixed-seed", arguments.projects, theirs=PER_PROJECT // 2)
    make_list(folder / "list", arguments.projects, new=False)
    make_list(folder / "list-new", arguments.projects, new=True)
    if not arguments.skip_large:
        make_mirror(folder / "large", arguments.projects * 10, theirs=0)
        run(rows, "ours, from scratch, 10 times the files", ours("--settle", folder / "large"))
    for number in range(arguments.rounds):
        run_theirs(rows, peer, folder, folder / f"theirs-{number}", short=True)
        run_ours(rows, folder, number)
        run_theirs(rows, peer, folder, folder / f"theirs-long-{number}", short=False)
        if not arguments.skip_large:
            run_publish(rows, "ours, one new file, 10 times the files", folder / "large", number)
        print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr, flush=True)
    report(rows)


def run_theirs(rows: Rows, peer: Path, folder: Path, output: Path, *, short: bool) -> None:
    """Run dumb-pypi from scratch, then again over its own output with one new file."""
    name = "dumb-pypi --no-per-release-json" if short else "dumb-pypi"
    option = ("--no-per-release-json",) if short else ()
    usual = (str(peer), *option, "--packages-url", "../../files", "--output-dir", str(output))
    run(rows, f"{name}, from scratch", (*usual, "--package-list-json", str(folder / "list")))
    previous = ("--previous-package-list-json", str(folder / "list"))
    run(rows, f"{name}, one new file", (*usual, "--package-list-json", str(folder / "list-new"), *previous))


def run_ours(rows: Rows, folder: Path, number: int) -> None:
    """Generate all pages of a fresh copy of the mirrors, then publish one wheel into each."""
    for seed, name in (("seed", "ours"), ("mixed-seed", "ours, mixed")):
        mirror = folder / f"{seed}-{number}"
        shutil.copytree(folder / seed, mirror)
        os.sync()
        run(rows, f"{name}, from scratch", ours("--settle", mirror))
        assert len(list(mirror.glob("channels/*/*/*/index.html"))) % 4 == 0
        run_publish(rows, f"{name}, one new file", mirror, number)


def run_publish(rows: Rows, name: str, mirror: Path, number: int) -> None:
    """Publish a wheel that the mirror does not have."""
    wheel = mirror.parent / f"project_{number}-99-py3-none-any.whl"
    wheel.write_bytes(f"wheel {number} of {mirror}".encode())
    run(rows, name, (*ours("--publish", mirror), "--wheel", str(wheel)))


def ours(option: str, mirror: Path) -> tuple[str, ...]:
    """Return the command line of this script's own measured part."""
    return (sys.executable, __file__, option, str(mirror))


def run(rows: Rows, name: str, argv: tuple[str, ...]) -> None:
    """Run a process and note what it took."""
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)}\n{text}")
    row = rows.setdefault(name, Row())
    row.wall.append(wall)
    row.processor.append(usage.ru_utime + usage.ru_stime)
    row.memory.append(usage.ru_maxrss / 1024)
    row.inside += [float(line.split()[1]) for line in text.splitlines() if line.startswith("inside ")]


def publish_one(mirror: Path, wheel: Path) -> None:
    """Publish one wheel and print how long that call took, in seconds."""
    data = wheel.read_bytes()
    new = NewWheel(
        filename=wheel.name, sha256=digest(data), size=len(data), metadata=METADATA, path=wheel, target="t"
    )
    change = Change(project=canonicalize_name(wheel.name.split("-")[0]), wheels=(new,))
    started = time.perf_counter()
    published = publish(DirectoryStore(mirror), CHANNEL, [change], run="bench", now=NOW)
    print("inside", time.perf_counter() - started)
    assert len(published.changed) == 1


def report(rows: Rows) -> None:
    """Print medians, and the ratio of dumb-pypi's wall time to each."""
    print(f"{'':46} {'wall s':>8} {'cpu s':>7} {'peak MB':>8}   dumb-pypi's wall time, in this many times")
    base = statistics.median(rows["dumb-pypi --no-per-release-json, from scratch"].wall)
    for name, row in rows.items():
        line(name, row.wall, row.processor, row.memory, base)
        if row.inside:
            line(f"{name}: publish alone", row.inside, [], [], base)


def line(name: str, wall: list[float], processor: list[float], memory: list[float], base: float) -> None:
    """Print one line of the table."""
    shown = statistics.median(wall)
    cpu = f"{statistics.median(processor):7.2f}" if processor else " " * 7
    peak = f"{statistics.median(memory):8.0f}" if memory else " " * 8
    print(f"{name:46} {shown:8.3f} {cpu} {peak}   {base / shown:7.1f}   ({min(wall):.3f}-{max(wall):.3f})")


def filenames(projects: int) -> Iterator[tuple[str, list[str]]]:
    """Yield each project with the names of its files: 25 versions of one wheel each."""
    for number in range(projects):
        tag = "cp311-cp311-manylinux_2_28_x86_64"
        files = [f"project_{number}-{number % 200}.{minor}.0-{tag}.whl" for minor in range(PER_PROJECT)]
        yield f"project-{number}", files


def sha256(text: str) -> str:
    """Return a digest that stands for a file of this name."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_list(path: Path, projects: int, *, new: bool) -> None:
    """Write dumb-pypi's list: one JSON object a line."""
    with path.open("w") as sink:
        for _, names in filenames(projects):
            for name in names:
                sink.write(list_line(name))
        if new:
            sink.write(list_line("project_0-99-py3-none-any.whl"))


def list_line(filename: str) -> str:
    """Return what dumb-pypi is told of a file."""
    values = {
        "filename": filename,
        "hash": f"sha256={sha256(filename)}",
        "requires_python": ">=3.9",
        "upload_timestamp": int(NOW.timestamp()),
    }
    return json.dumps(values) + "\n"


def make_mirror(path: Path, projects: int, *, theirs: int) -> None:
    """Write a mirror with states and a head, but no pages. theirs: how many of 25 files are upstream's."""
    store = DirectoryStore(path)
    digests = {}
    for project, names in filenames(projects):
        name = canonicalize_name(project)
        upstream = tuple(map(upstream_file, names[:theirs]))
        data = ProjectState(
            name=name, files=tuple(map(our_file, names[theirs:])), upstream=upstream
        ).to_bytes()
        digests[name] = digest(data)
        write(store, state_key(digests[name]), data)
    commit = Commit(number=1, projects=digests, gap=frozenset(digests), time=TIME, run="bench")
    write(store, head_key(CHANNEL), Head(commit=commit).to_bytes())


def our_file(filename: str) -> MirrorFile:
    """Return one of our files as a state has it."""
    return MirrorFile(
        filename=filename,
        sha256=sha256(filename),
        size=123456,
        metadata_sha256=sha256(f"{filename}.metadata"),
        upload_time=TIME,
        requires_python=">=3.9",
        build_key=sha256(f"{filename}.key"),
        target="cp311-manylinux_2_28_x86_64",
    )


def upstream_file(filename: str) -> IndexFile:
    """Return one of upstream's files as a state has it."""
    return IndexFile(
        filename=filename,
        url=f"https://files.example.org/packages/{sha256(filename)}/{filename}",
        sha256=sha256(filename),
        size=123456,
        requires_python=">=3.9",
        upload_time=TIME,
        metadata_sha256=sha256(f"{filename}.metadata"),
    )


def dumb_pypi() -> Path:
    """Return dumb-pypi's command, installing it if need be."""
    folder = cache_home() / "bench" / DUMB_PYPI
    command = folder / "bin" / "dumb-pypi"
    if not command.exists():
        venv.create(folder, with_pip=True)
        subprocess.run((str(folder / "bin" / "pip"), "install", "--quiet", DUMB_PYPI), check=True)
    return command


if __name__ == "__main__":
    main()
