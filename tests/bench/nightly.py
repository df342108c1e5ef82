"""What the nightly job costs when there is nothing new, and what it does when a branch has changed.

    python tests/bench/nightly.py [ROUNDS]                        (needs what `make demo` sets up)

603 pins and four targets against `nightly_index.py`, a process of its own. The first run builds five tiny
sdists. Then, in turn: the same run again, and `revalidate.py`, which only asks whether each page is still
current. Aim: no container, at most one listing of the store, at most twice the wall time. Then the branch
changes by 21 pins, of which one cannot be built; then nothing changes again.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plan_cost import HERE, measure

sys.path.insert(0, str(HERE.parent))

from engines import engine
from s3_proxy import Proxy, Request, proxied
from s3_servers import FreshBucket, s3_server

CONSTRAINTS = HERE.parent / "data" / "constraints" / "upper-constraints-stable-2025.2.txt"
TARGETS = [
    f"{family}_{arch}"
    for family in ("cp311-manylinux_2_36", "cp313-manylinux_2_41")
    for arch in ("x86_64", "aarch64")
]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The folder with the list and the caches, and how programs are started there."""

    folder: Path
    url: str
    env: dict[str, str]

    @property
    def output(self) -> Path:
        """What the last program printed."""
        return self.folder / "out"

    def use(self, state: str) -> None:
        """Let the branch be as it was before or after the change."""
        shutil.copyfile(self.folder / f"{state}.txt", self.folder / "branch.txt")

    def wheelbuilder(self, *words: str, **env: str) -> Cost:
        """Run a command on the list; a failed build is no failure of the bench."""
        argv = (sys.executable, "-m", "wheelbuilder", words[0], str(self.folder / "nightly.toml"), *words[1:])
        return self._cost(argv, env)

    def revalidate(self, projects: list[str]) -> Cost:
        """Ask for each page whether it is still current, and do nothing else."""
        cache = str(self.folder / "cache" / "wheelbuilder" / "http")
        return self._cost((sys.executable, str(HERE / "revalidate.py"), self.url, cache, *projects), {})

    def engine_calls(self) -> int:
        """Count how often the container engine was called since the last time."""
        path = self.folder / "calls"
        calls = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return len(calls)

    def _cost(self, argv: tuple[str, ...], env: dict[str, str]) -> Cost:
        cpu, wall, _ = measure(argv, self.env | env, self.output, codes=(0, 1))
        return Cost(wall=wall, cpu=cpu)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a process took, in seconds."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s wall, {self.cpu:.2f} s processor"


def main() -> None:
    """Measure on a directory, count on a bucket."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as name, index(Path(name)) as url:
        bench = laid_out(Path(name), url)
        on_a_directory(bench, rounds)
        with s3_server() as bucket, proxied(bucket.endpoint) as proxy:
            on_a_bucket(bench, bucket, proxy)


def on_a_directory(bench: Bench, rounds: int) -> None:
    """Run a first night, nights without news beside the least that they could do, and nights with news."""
    store = ("run", "--store", str(bench.folder / "store"), "--json")
    bench.use("before")
    print(f"first run: {bench.wheelbuilder(*store)}; {said(bench)}", flush=True)
    projects = pinned(bench)
    ratios = []
    bench.engine_calls()
    for _ in range(rounds):
        ours, least = bench.wheelbuilder(*store), bench.revalidate(projects)
        ratios.append((ours.wall / least.wall, ours.cpu / least.cpu))
        print(f"  nothing new: {ours}, {bench.engine_calls()} engine calls; revalidated: {least}", flush=True)
    wall, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"{len(projects)} pages, nothing new, by revalidating them: wall {wall:.2f}, processor {cpu:.2f}")
    bench.use("after")
    print(f"21 pins changed: {bench.wheelbuilder(*store)}; {said(bench)}", flush=True)
    bench.engine_calls()
    print(
        f"the night after: {bench.wheelbuilder(*store)}; {bench.engine_calls()} engine calls; {said(bench)}"
    )


def on_a_bucket(bench: Bench, bucket: FreshBucket, proxy: Proxy) -> None:
    """Count the requests of the same nights."""
    env = bucket.env | {"AWS_ENDPOINT_URL": proxy.endpoint, "XDG_CACHE_HOME": bench.env["XDG_CACHE_HOME"]}
    for title, state in (
        ("first run", "before"),
        ("nothing new", "before"),
        ("21 pins changed", "after"),
        ("the night after", "after"),
    ):
        bench.use(state)
        before = len(proxy.requests)
        cost = bench.wheelbuilder("run", "--store", bucket.address, "--json", **env)
        print(f"bucket, {title}: {cost}; {counted(proxy.requests[before:])}")


def counted(requests: list[Request]) -> str:
    """Count requests by kind; a listing is a GET of the bucket itself."""
    kinds = Counter("LIST" if "list-type" in it.query else it.method for it in requests)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no request"


def said(bench: Bench) -> str:
    """Return what a run's record says, in a line."""
    document = json.loads(bench.output.read_text())
    outcomes = Counter(row["outcome"] for row in document["outcomes"])
    news = {title: [row["project"] for row in rows] for title, rows in document["news"].items() if rows}
    return f"{dict(outcomes)}, {news}"


def pinned(bench: Bench) -> list[str]:
    """Return the projects whose pages a run asks for."""
    bench.wheelbuilder("plan", "--json")
    return sorted({row["project"] for row in json.loads(bench.output.read_text())["decisions"]})


@contextmanager
def index(folder: Path) -> Iterator[str]:
    """Run the index in a process of its own and give its URL."""
    argv = (sys.executable, str(HERE / "nightly_index.py"), str(CONSTRAINTS), str(folder))
    server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin and server.stdout
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait()


def laid_out(folder: Path, url: str) -> Bench:
    """Write the list, and an engine that counts its calls."""
    branches = f'branches.main = "branch.txt"\nupstream = "{url}"\n'
    (folder / "nightly.toml").write_text(f"targets = {json.dumps(TARGETS)}\n{branches}")
    wrapper = folder / "bin" / engine().name
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$1" >>{folder}/calls\nexec {shutil.which(engine().name)} "$@"\n')
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "XDG_CACHE_HOME": str(folder / "cache")}
    return Bench(folder=folder, url=url, env=env)


if __name__ == "__main__":
    main()
