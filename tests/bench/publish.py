"""Publication with nothing new beside `rclone sync` and `aws s3 sync` of the same files, on a real S3 server.

    python tests/bench/publish.py [--server NAME] [--rounds N] [--large] [--skip-peers] [--skip-wheels]

The mirror has 10 wheels in each of 2,000 projects, and 10 files of upstream's. Ours is a process that opens
the bucket and publishes what a nightly run does; the peers' bucket and tree hold the 20,000 wheels alone,
without the pages, states and metadata files that a mirror also has. Every line is a process: wall seconds,
and processor seconds by `wait4`; all lines in turn, medians of the rounds. Requests are those of one more
run of each, through a proxy that notes them.

`nightly` offers upstream's files of 603 pins, `all` all files of all projects. The cache is that of an
earlier run; `another commit` is the first run after one of somebody else's, `empty cache` that of a new
machine. `--large` does ours again with 100 wheels a project. `--skip-wheels` saves uploading the wheels into
our buckets: ours never asks for them.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import publish_peers as peers
from publish_mirror import link_wheels, make_mirror, one_wheel, write_offers

sys.path.insert(0, str(Path(__file__).parents[1]))
from s3_proxy import Request, proxied
from s3_servers import FreshBucket, Server, environment, missing, running

from wheelbuilder.mirror import sync
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.s3 import S3Store

PROJECTS = 2000
PINS = 603
OFFER = str(Path(__file__).with_name("publish_offer.py"))


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table. before: makes the local cache as the line has it."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    before: Callable[[], None] = lambda: None
    is_bucket: bool = True


@dataclass(kw_only=True)
class Row:
    """What the rounds of one line came to, in seconds; inside: of the publication alone."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A mirror in a bucket, the same in a directory, and what is published into it."""

    bucket: FreshBucket
    folder: Path
    offers: Mapping[str, Path]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="ministack")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--projects", type=int, default=PROJECTS)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--skip-wheels", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to write")
    arguments = parser.parse_args()
    if problem := missing(arguments.server):
        sys.exit(problem)
    programs = peers.install()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, running(arguments.server) as server:
        print(
            f"{server.name}; {peers.versions(programs)}; Python {platform.python_version()}, "
            f"boto3 {version('boto3')}; {os.cpu_count()} processors",
            flush=True,
        )
        compare(Path(folder), server, programs, arguments)


def compare(folder: Path, server: Server, programs: Path, arguments: argparse.Namespace) -> None:
    """Make the mirrors, run all lines in turn, and print what came of it."""
    wheels = not arguments.skip_wheels
    small = mirror(folder / "small", server, programs, arguments.projects, 10, wheels=wheels)
    lines = [] if arguments.skip_peers else list(theirs(small, programs))
    lines += ours(small, "")
    if arguments.large:
        large = mirror(folder / "large", server, programs, arguments.projects, 100, wheels=wheels)
        lines += ours(large, ", 10 times the files")
    rows = {line.name: Row() for line in lines}
    for number in range(arguments.rounds):
        for line in lines:
            measure(rows[line.name], line)
        say(f"round {number + 1} of {arguments.rounds} done")
    report(rows, {line.name: requests(server, line) for line in lines if line.is_bucket})
    print_changes(folder, server, small, last=f"project-{arguments.projects - 1}")


def mirror(
    folder: Path, server: Server, programs: Path, projects: int, per_project: int, *, wheels: bool
) -> Mirror:
    """Make a mirror in a directory and in a bucket; the wheels go there by rclone, for speed."""
    started = time.monotonic()
    changes = make_mirror(folder / "mirror", projects, per_project)
    bucket = server.new_bucket()
    with environment(client_env(server)):
        if wheels:
            succeed(peers.copy(programs, folder / "mirror" / "files", f"{bucket.bucket}/files"), os.environ)
        copy_rest(folder / "mirror", bucket.store(), wheels=wheels)
    say(f"{projects * per_project} files in {bucket.address} after {time.monotonic() - started:.0f} s")
    offers = write_offers(folder, changes, PINS)
    return Mirror(bucket=bucket, folder=folder / "mirror", offers=offers)


def copy_rest(folder: Path, store: S3Store, *, wheels: bool) -> None:
    """Copy what is not there yet, with its headers: states, then the head and the pages."""
    source = DirectoryStore(folder)
    copying = sync.survey(source, store)
    left = tuple(listed for listed in copying.shared if not listed.key.startswith("files/"))
    assert not wheels or len(left) == len(copying.shared)
    if not wheels:  # a publication that changes nothing reads none
        sync._require = lambda *_: None
    sync.copy(source, store, replace(copying, shared=left))


def theirs(mirror: Mirror, programs: Path) -> Iterator[Line]:
    """Fill a bucket with the wheels, and yield what syncs them once more."""
    server = mirror.bucket.server
    tree = mirror.folder.with_name("tree")
    bucket = server.new_bucket().bucket
    env = client_env(server)
    count = link_wheels(mirror.folder, tree)
    succeed(peers.copy(programs, tree, bucket), os.environ | env)
    say(f"{count} wheels in the peers' bucket")
    for name, command in peers.syncs(programs, tree, bucket).items():
        yield Line(name=name, command=command, env=env)


def ours(mirror: Mirror, suffix: str) -> Iterator[Line]:
    """Yield our lines, each with a local cache of its own."""
    usual = client_env(mirror.bucket.server)
    for number, (name, offer, before) in enumerate(OURS):
        cache = mirror.folder.with_name(f"cache-{number}")
        store = str(mirror.folder) if "directory" in name else mirror.bucket.address
        line = Line(
            name=f"ours, {name}{suffix}",
            command=(sys.executable, OFFER, store, str(mirror.offers[offer])),
            env=usual | {"XDG_CACHE_HOME": str(cache)},
            before=lambda cache=cache, before=before: before(cache / "wheelbuilder" / "states"),  # type: ignore[misc]
            is_bucket="directory" not in name,
        )
        succeed(line.command, os.environ | line.env)  # an earlier run
        yield line


def _keep(_: Path) -> None: ...


def _forget(states: Path) -> None:
    shutil.rmtree(states / "unchanged")


OURS: Sequence[tuple[str, str, Callable[[Path], None]]] = (
    ("nightly", "nightly", _keep),
    ("all", "all", _keep),
    ("nightly, another commit", "nightly", _forget),
    ("nightly, empty cache", "nightly", shutil.rmtree),
    ("nightly, a directory", "nightly", _keep),
)


def client_env(server: Server, endpoint: str = "") -> dict[str, str]:
    """Return what all tools need to find the server, or a proxy before it."""
    address = endpoint or server.endpoint
    rclone = peers.environment(address, server.access_key, server.secret_key)
    return server.env | {"AWS_ENDPOINT_URL": address} | rclone


def measure(row: Row, line: Line) -> None:
    """Run a line's process and note what it took."""
    line.before()
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            line.command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | line.env
        )
        _, status, usage = os.wait4(process.pid, 0)
        row.wall.append(time.monotonic() - started)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
    if process.returncode:
        sys.exit(f"{' '.join(line.command)}\n{text}")
    row.processor.append(usage.ru_utime + usage.ru_stime)
    if OFFER in line.command:
        seconds, changed = text.split()
        assert changed == "0", text
        row.inside.append(float(seconds))


@contextmanager
def counting(server: Server, env: Mapping[str, str]) -> Iterator[tuple[dict[str, str], Counter[str]]]:
    """Yield an environment in which clients are led through a proxy, and what they asked for by kind."""
    with proxied(server.endpoint) as proxy:
        counted: Counter[str] = Counter()
        yield {**env, **client_env(server, proxy.endpoint), "XDG_CACHE_HOME": env["XDG_CACHE_HOME"]}, counted
        counted.update(map(kind, proxy.requests))


def kind(request: Request) -> str:
    """Return what S3 calls a request, as far as it matters here."""
    is_list = request.method == "GET" and any(
        word.startswith(("list-type=", "delimiter=", "prefix=")) for word in request.query.split("&")
    )
    return "LIST" if is_list else request.method


def requests(server: Server, line: Line) -> Counter[str]:
    """Run a line's process once more and count its requests by kind."""
    line.before()
    with counting(server, line.env) as (env, counted):
        succeed(line.command, os.environ | env)
    return counted


def print_changes(folder: Path, server: Server, mirror: Mirror, last: str) -> None:
    """Publish one wheel into a project that is there and into a new one; print the requests by kind.

    last: a project of which no nightly run has kept the state.
    """
    usual = client_env(server) | {"XDG_CACHE_HOME": str(mirror.folder.with_name("cache-0"))}
    todo = (("project-1", 7), ("project-1", 8), (last, 9), ("brand-new", 1))
    names = (
        "the first ever from a machine, with the probe",
        "one wheel, a project that is there",
        "one wheel, its state not in the local cache",
        "one wheel, a new project",
    )
    print("\nrequests of one changed wheel")
    with proxied(server.endpoint) as proxy:
        env = os.environ | usual | client_env(server, proxy.endpoint)
        env["XDG_CACHE_HOME"] = usual["XDG_CACHE_HOME"]
        for name, (project, release) in zip(names, todo, strict=True):
            before = len(proxy.requests)
            changes = one_wheel(folder, project, release)
            succeed((sys.executable, OFFER, mirror.bucket.address, str(changes)), env)
            counted = Counter(map(kind, proxy.requests[before:]))
            print(f"{name:46} {words(counted)}")
            for request in proxy.requests[before:]:
                say(f"    {request.status} {request.line} {request.query}")


def report(rows: Mapping[str, Row], counted: Mapping[str, Counter[str]]) -> None:
    """Print medians, the first line's (the best peer's) divided by them, and the requests."""
    best = next(iter(rows.values()))
    print(f"{'no change':46} {'wall s':>7} {'cpu s':>7} {'inside':>7}   first line's / its own   requests")
    for name, row in rows.items():
        wall, processor = statistics.median(row.wall), statistics.median(row.processor)
        inside = f"{statistics.median(row.inside):7.3f}" if row.inside else " " * 7
        ratios = (statistics.median(best.wall) / wall, statistics.median(best.processor) / processor)
        spread = f"({min(row.wall):.2f}-{max(row.wall):.2f} s)"
        shown = f"{name:46} {wall:7.3f} {processor:7.3f} {inside}   {ratios[0]:5.2f} {ratios[1]:5.2f}"
        print(f"{shown} {spread:>15}   {words(counted.get(name, Counter()))}")


def words(counted: Counter[str]) -> str:
    """Return counts by kind as words."""
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))
    return f"{counted.total()}: {kinds}" if counted else ""


def succeed(command: Sequence[str], env: Mapping[str, str]) -> None:
    """Run a process to success."""
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
