"""What a whole `wheelbuilder rebuild` costs beside `pip wheel --no-deps` of the same sdist in the same root.

Both in turn, five times, after one round that is not counted: the root is prepared, our caches are warm
and so is the page cache. By hand means the engine's `run` with the network on and pip's own build
isolation. Ours plans, resolves, builds, checks, repairs, tries in the bare root and publishes anew.

usage: python tests/bench/overhead.py [--rounds N] [REQUIREMENT...]     (needs what `make demo` sets up)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pip

from wheelbuilder.build import engine_probe, roots
from wheelbuilder.build.engine import Engine
from wheelbuilder.inputs.images import Catalogue, Role, default_path

TARGET = "cp311-manylinux_2_36_x86_64"
DEFAULT = ("netifaces==0.11.0", "greenlet==3.1.1", "msgpack==1.1.0")
WHEELBUILDER = str(Path(sys.executable).parent / "wheelbuilder")
CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("requirements", nargs="*", default=list(DEFAULT))
    arguments = parser.parse_args()
    catalogue = Catalogue.read(default_path())
    engine = engine_probe.find()
    root = catalogue.root(catalogue.target(TARGET), Role.BUILD)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        image = roots.ensure(engine, root, log=scratch / "root.log")
        for requirement in arguments.requirements:
            compare(requirement, engine, image, scratch, arguments.rounds)


def compare(requirement: str, engine: Engine, image: str, scratch: Path, rounds: int) -> None:
    """Time both ways in turn and print the medians and the ratio of each pair."""
    sdist = download(requirement, scratch)
    write_list(requirement, scratch)
    pairs = []
    for round_ in range(rounds + 1):
        ours = timed(by_wheelbuilder(requirement, scratch, round_))
        hand = timed(by_hand(engine, image, sdist))
        if round_:
            pairs.append((ours, hand))
            print(
                f"{requirement:24} ours {ours:6.2f} s   by hand {hand:6.2f} s   ratio {ours / hand:.2f}",
                flush=True,
            )
    ours_median = statistics.median(ours for ours, _ in pairs)
    hand_median = statistics.median(hand for _, hand in pairs)
    ratio = statistics.median(ours / hand for ours, hand in pairs)
    print(f"{requirement:24} MEDIAN {ours_median:.2f} s   by hand {hand_median:.2f} s   ratio {ratio:.2f}\n")


def download(requirement: str, scratch: Path) -> Path:
    """Fetch the sdist without building anything of it."""
    folder = scratch / requirement
    words = (
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "--dest",
        str(folder),
    )
    subprocess.run([sys.executable, "-m", "pip", *words, requirement], check=True)
    return next(folder.iterdir())


def write_list(requirement: str, scratch: Path) -> None:
    """Write a list of one pin."""
    name, _, version = requirement.partition("==")
    (scratch / f"{name}.txt").write_text(f"{name}==={version}\n")
    (scratch / f"{name}.toml").write_text(
        f'channel = "bench"\ntargets = ["{TARGET}"]\nbranches.bench = "{name}.txt"\n'
    )


def by_wheelbuilder(requirement: str, scratch: Path, round_: int) -> list[str]:
    """The whole path, into a store of its own; --force where upstream has a wheel."""
    name = requirement.partition("==")[0]
    list_path = str(scratch / f"{name}.toml")
    store = ("--store", str(scratch / f"store-{name}-{round_}"))
    if is_built(list_path):
        return [WHEELBUILDER, "run", list_path, *store]
    return [WHEELBUILDER, "rebuild", list_path, name, "--target", TARGET, "--force", *store]


def is_built(list_path: str) -> bool:
    """Say whether a plan decides to build it."""
    planned = subprocess.run([WHEELBUILDER, "plan", list_path, "--json"], check=True, capture_output=True)
    return bool(json.loads(planned.stdout)["decisions"][0]["decision"] == "build")


def by_hand(engine: Engine, image: str, sdist: Path) -> list[str]:
    """What a person would type. The root has no pip: this environment's is mounted."""
    mounts = {sdist: f"/sdist/{sdist.name}", Path(pip.__file__).parent: "/pip/pip", CERTIFICATES: "/ca.crt"}
    return [
        *(
            engine.name,
            "run",
            "--rm",
            "--pull",
            "never",
            *engine.arguments,
            "--network",
            "host",
            "--tmpfs",
            "/tmp",
        ),
        *(
            word
            for place, inside in mounts.items()
            for word in ("--volume", f"{place.resolve()}:{inside}:ro")
        ),
        *("--env", "PYTHONPATH=/pip", "--env", "PIP_CERT=/ca.crt", image),
        *("python3", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "/tmp/out"),
        f"/sdist/{sdist.name}",
    ]


def timed(command: list[str]) -> float:
    """Run to success and return wall seconds."""
    started = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return time.monotonic() - started


if __name__ == "__main__":
    main()
