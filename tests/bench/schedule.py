"""Wall time of the schedule beside the least that is possible, and beside fromager's `build-parallel`.

    python tests/bench/schedule.py [--slots N] [--seeds N] [--packages N] [--rounds N] [--real] [--fromager]

The least is the larger of the critical path and the work divided by the slots. Packages sleep, so that a busy
machine does not change the numbers much.

- the three-package graph a (2 s), b (12 s), c (10 s, needs a): the scheduler alone
- random graphs of sleeping packages, for several slots and seeds: the scheduler alone
- `--real`: the three packages as real sdists through `wheelbuilder run` (needs what `make demo` sets up)
- `--fromager`: the same sdists through fromager, installed for this into an environment that is thrown away

The last two are whole commands, which take time beside the sleep. How much of it is no matter of the order is
shown by runs of the same packages in which nothing sleeps: after one that warms everything up, `--rounds` of
each kind in turn, medians. They are not taken off: part of that time passes while packages sleep.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from builds import build, built, needs
from sdists import FileIndex, Workplace, in_tree

from wheelbuilder.build.admission import Room
from wheelbuilder.build.outcomes import Built, Needs, Outcome
from wheelbuilder.build.schedule import Crew, Work, outcomes
from wheelbuilder.build.tasks import Task
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.experience import Cost

Graph = Mapping[str, tuple[float, Sequence[str]]]  # seconds, and what it needs
SMALL: Graph = {"a": (2.0, ()), "b": (12.0, ()), "c": (10.0, ("a",))}
SCALE = 0.02  # of the seconds of a random graph that really pass


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--packages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--fromager", action="store_true")
    chosen = parser.parse_args()
    for known in (True, False):
        told = "costs known" if known else "costs unknown"
        report(
            f"three packages, {chosen.slots} slots, {told}",
            simulated(SMALL, chosen.slots, known=known),
            SMALL,
            chosen.slots,
        )
    for slots in (2, 4, 8, 16):
        for seed in range(chosen.seeds):
            graph = drawn(chosen.packages, seed)
            wall = simulated(graph, slots, known=True)
            report(f"{chosen.packages} packages, {slots} slots, seed {seed}", wall, graph, slots)
    if chosen.real:
        through_the_command_line(chosen.slots, chosen.rounds)
    if chosen.fromager:
        through_fromager(chosen.slots, chosen.rounds)


def least(graph: Graph, slots: int) -> float:
    """The larger of the critical path and the work divided by the slots, in seconds."""
    paths: dict[str, float] = {}

    def path(name: str) -> float:
        if name not in paths:
            seconds, required = graph[name]
            paths[name] = seconds + max(map(path, required), default=0.0)
        return paths[name]

    return max(*map(path, graph), sum(seconds for seconds, _ in graph.values()) / slots)


def report(what: str, wall: float, graph: Graph, slots: int) -> None:
    """Print one row."""
    bound = least(graph, slots)
    print(f"{what:52} wall {wall:7.2f} s   least {bound:7.2f} s   ratio {wall / bound:.3f}", flush=True)


def drawn(count: int, seed: int) -> Graph:
    """A random graph: long-tailed durations, up to three requirements among the packages before."""
    dice = random.Random(seed)
    graph: dict[str, tuple[float, Sequence[str]]] = {}
    for number in range(count):
        names = list(graph)
        required = dice.sample(names, min(len(names), dice.choice((0, 0, 1, 1, 2, 3))))
        graph[f"p{number}"] = (SCALE * min(120.0, dice.lognormvariate(2.0, 1.0)), tuple(required))
    return graph


def simulated(graph: Graph, slots: int, *, known: bool) -> float:
    """Run a graph through the scheduler with builds that sleep; return wall seconds."""
    builds = {name: build(name) for name in graph}

    def lacking(it: Build) -> list[Build]:
        return [builds[name] for name in graph[it.pin.name][1]]

    def run(task: Task) -> Outcome | Needs:
        given = {it.key for it in task.given}
        missing = [it for it in lacking(task.build) if it.key not in given]
        if missing:
            return needs(task.build, *missing)
        time.sleep(graph[task.build.pin.name][0])
        return built(task.build)

    work = Work(
        run=run,
        survey=lambda it: needs(it, *lacking(it)),
        cost=lambda it: Cost(seconds=graph[it.pin.name][0] if known else 8.0),
    )
    with ThreadPoolExecutor(slots) as builders, ThreadPoolExecutor(2) as clerks:
        crew = Crew(builders=builders, clerks=clerks, room=Room(memory=slots << 30, slots=slots))
        started = time.monotonic()
        ends = list(outcomes(list(builds.values()), work, crew))
        wall = time.monotonic() - started
    assert len(ends) == len(graph) and all(isinstance(end, Built) for end in ends)
    return wall


def sdists(*, sleeping: bool) -> tuple[list[str], FileIndex]:
    """The small graph as sdists on an index that is not started yet, and their names."""
    index = FileIndex()
    for name, (seconds, required) in SMALL.items():
        body = f"import time; time.sleep({seconds if sleeping else 0.0})\nreturn pure(folder)"
        index.offer(in_tree(name, body, requires=required))
    return list(SMALL), index


def in_turn(what: str, run: Callable[[bool], float], slots: int, rounds: int) -> None:
    """Run the small graph asleep and awake in turn, and print what the whole command takes of each."""
    run(False)
    walls = [(run(True), run(False)) for _ in range(rounds)]
    asleep, awake = (statistics.median(side) for side in zip(*walls, strict=True))
    report(f"{what}, whole command", asleep, SMALL, slots)
    spread = ", ".join(f"{one:.2f}/{other:.2f}" for one, other in walls)
    beside = asleep - least(SMALL, slots)
    print(
        f"  above the least {beside:.2f} s; a run in which nothing sleeps {awake:.2f} s ({spread})",
        flush=True,
    )


def through_the_command_line(slots: int, rounds: int) -> None:
    """`wheelbuilder run` on the small graph."""
    in_turn(f"wheelbuilder run, {slots} slots", lambda sleeping: wheelbuilder(slots, sleeping), slots, rounds)


def wheelbuilder(slots: int, sleeping: bool) -> float:
    """Run it once and return wall seconds."""
    names, index = sdists(sleeping=sleeping)
    with tempfile.TemporaryDirectory() as folder, index:
        work = Workplace(folder=Path(folder), index=index, env={"PATH": f"{os.environ['PATH']}"})
        work.write([f"{name}===1.0" for name in names])
        ended = work.run("--jobs", str(slots))
    assert ended.code == 0, ended.stderr
    return ended.seconds


def through_fromager(slots: int, rounds: int) -> None:
    """`fromager build-parallel` on the small graph."""
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder, "venv")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "install", "fromager", "uv"], check=True, capture_output=True)
        in_turn(f"fromager, {slots} workers", lambda sleeping: fromager(venv, slots, sleeping), slots, rounds)


def fromager(venv: Path, slots: int, sleeping: bool) -> float:
    """Run it once and return wall seconds."""
    _, index = sdists(sleeping=sleeping)
    with tempfile.TemporaryDirectory() as place, index:
        folder = Path(place)
        (folder / "graph.json").write_text(json.dumps(fromager_graph(index.base)))
        argv = [str(venv / "bin/fromager"), "--no-network-isolation", "build-parallel"]
        argv += ["--max-workers", str(slots), "graph.json"]
        started = time.monotonic()
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"},
        )  # fmt: skip
        wall = time.monotonic() - started
        made = list(folder.glob("wheels-repo/downloads/*.whl"))
    if done.returncode or len(made) != len(SMALL):
        sys.exit(f"fromager made {len(made)} wheels\n{done.stdout}{done.stderr}")
    return wall


def fromager_graph(base: str) -> dict[str, object]:
    """The small graph as fromager's `bootstrap` would write it."""
    nodes: dict[str, object] = {
        "": {
            "download_url": "", "pre_built": False, "version": "0", "canonicalized_name": "",
            "edges": [{"key": f"{name}==1.0", "req_type": "toplevel", "req": name} for name in SMALL],
        }
    }  # fmt: skip
    for name, (_, required) in SMALL.items():
        nodes[f"{name}==1.0"] = {
            "download_url": f"{base}files/{name}-1.0.tar.gz", "pre_built": False, "version": "1.0",
            "canonicalized_name": name,
            "edges": [{"key": f"{it}==1.0", "req_type": "build-system", "req": it} for it in required],
        }  # fmt: skip
    return nodes


if __name__ == "__main__":
    main()
