"""Runs that a deadline, a full disk, a dying engine, killed containers or a lost index break off.

Each leaves a store that is clean, and the next run goes on without doing again what was done.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engines import containers_of, engine
from sdists import Ended, FileIndex, Sdist, Workplace, cli, in_tree

pytestmark = pytest.mark.engine
SLOW = in_tree("slow", "import time\ntime.sleep(300)\nreturn pure(folder)")
HOG = in_tree("hog", 'open(folder + "/hog", "wb").write(bytes(64 << 20))\nreturn pure(folder)')


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        yield index


def members(index: FileIndex, tag: str, body: str = "return pure(folder)") -> list[Sdist]:
    """Two projects of this moment: what is left on the machine, by whatever test, must not help."""
    made = [in_tree(f"{name}_{tag}", f"{body}  # {secrets.token_hex(8)}") for name in ("first", "second")]
    index.offer(*made)
    return made


def clean(work: Workplace) -> bool:
    audit = work.audit()
    return audit.code == 0 and audit.stdout.splitlines()[-1].startswith("clean: 0 errors")


def goes_on(work: Workplace, done: set[str]) -> Ended:
    """The next run ends well, builds nothing again that was done, and has a clean store."""
    ended = work.run("--retry")
    assert ended.code == 0, ended.stderr
    again = [line for line in ended.stderr.splitlines() if line.endswith(": build")]
    assert not [line for line in again if any(f" {name}===" in line for name in done)], ended.stderr
    assert clean(work)
    return ended


def built(ended: Ended) -> set[str]:
    return {name for name, row in ended.outcomes.items() if row["outcome"] == "built"}


def test_a_deadline_ends_what_runs_and_says_what_is_left(index: FileIndex, tmp_path: Path) -> None:
    made = members(index, "deadline")
    index.offer(SLOW)
    work = Workplace(folder=tmp_path, index=index)
    work.write([SLOW, *made])
    ended = work.run("--deadline", "20s", "--jobs", "2")
    assert ended.code == 5 and "error: The deadline came: " in ended.stderr
    left = {row["project"]: row["reason"] for row in ended.document["unfinished"]}
    assert left["slow"] in ("ended: deadline", "not started: deadline")
    assert set(left.values()) <= {"ended: deadline", "not started: deadline"} and clean(work)
    assert built(ended) | set(left) == {"slow", "first-deadline", "second-deadline"}
    work.write(made)
    goes_on(work, built(ended))
    assert work.run("--deadline", "5x").code == 2


def test_a_deadline_that_nothing_could_keep_is_recorded(index: FileIndex, tmp_path: Path) -> None:
    index.offer(SLOW)
    work = Workplace(folder=tmp_path, index=index)
    work.write([SLOW])
    for _ in range(2):  # the first also publishes the pages
        ended = cli("run", str(work.list_path), "--store", str(work.store), "--deadline", "1s")
        assert ended.code == 5 and "nothing was written" not in ended.stdout
        (key,) = [it.removeprefix("Run record: ") for it in ended.stdout.splitlines() if "Run record: " in it]
        (row,) = json.loads((work.store / key).read_text())["unfinished"]
        assert (row["project"], row["reason"]) == ("slow", "not started: deadline")


def test_killed_containers_are_tried_again_and_told_from_failures(index: FileIndex, tmp_path: Path) -> None:
    index.offer(SLOW)
    made = members(index, "killed")
    work = Workplace(folder=tmp_path, index=index)
    work.write([SLOW])
    process = work.start(quiet=False)
    for _ in range(2):
        while not work.log_says(process, "slow===1.0", ": build\n"):
            pass
        end = time.monotonic() + 60
        while not (found := containers_of(process.pid)):
            assert time.monotonic() < end
            time.sleep(0.1)
        engine().call("kill", *found)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1 and b"FAILED (killed, at build)" in stderr, stderr.decode()
    assert clean(work)
    work.write(made)
    goes_on(work, set())


@pytest.mark.parametrize("calls", [6, 11])
def test_an_engine_that_dies_ends_the_run(calls: int, index: FileIndex, tmp_path: Path) -> None:
    made = members(index, f"dies{calls}")
    folder = tmp_path / "bin"
    folder.mkdir()
    count = folder / "count"
    count.touch()
    wrapper = folder / engine().name
    wrapper.write_text(
        f'#!/bin/sh\necho >>{count}\n[ "$(wc -l <{count})" -le {calls} ] || {{ echo gone >&2; exit 1; }}\n'
        f'exec {shutil.which(engine().name)} "$@"\n'
    )
    wrapper.chmod(0o755)
    work = Workplace(folder=tmp_path / "work", index=index, env={"PATH": f"{folder}:{os.environ['PATH']}"})
    work.write(made)
    ended = work.run("--jobs", "1")
    assert ended.code in (0, 3) and (ended.code == 0 or "hint: " in ended.stderr), ended.stderr
    healthy = Workplace(folder=work.folder, index=index)
    assert clean(healthy) or not work.store.exists()
    goes_on(healthy, set())
    assert len(healthy.wheels()) == 2
    engine().reap()


def test_an_index_that_goes_away_is_asked_again_and_by_the_next_run(index: FileIndex, tmp_path: Path) -> None:
    first, second = members(index, "index")
    page = index._pages["second-index"]
    there, page[-1]["url"] = page[-1]["url"], "http://127.0.0.1:9/gone.tar.gz"
    index.page("second-index", page)
    work = Workplace(folder=tmp_path, index=index)
    work.write([first, second])
    ended = work.run()
    row = ended.outcomes["second-index"]
    assert (row["outcome"], row["class"], row["passing"]) == ("failed", "no-source", True)
    assert [it["class"] for it in row["earlier"]] == ["no-source"]
    assert ended.code == 1 and built(ended) == {"first-index"} and clean(work)
    page[-1]["url"] = there
    index.page("second-index", page)
    ended = work.run()  # what may pass is not remembered
    assert ended.code == 0 and built(ended) == {"second-index"} and clean(work)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_store_costs_no_build(index: FileIndex, tmp_path: Path) -> None:
    data = 'b"#" + random.Random(1).randbytes(300_000).hex().encode()'
    body = f'import random\nreturn pack(folder, {{NAME + ".py": {data}}})'
    made = members(index, "store", body)
    with small_disk(tmp_path / "work", "500k") as disk:
        work = Workplace(folder=disk, index=index)
        work.write(made)
        ended = work.run()
        assert ended.code == 3 and "full" in ended.stderr, ended.stderr
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        goes_on(work, {it.name.replace("_", "-") for it in made})
        assert len(work.wheels()) == 2


def test_a_full_cache_ends_the_run_and_is_no_package_s_failure(index: FileIndex, tmp_path: Path) -> None:
    made = members(index, "cache")
    index.offer(HOG)
    with small_disk(tmp_path / "cache", "48m") as disk:
        work = Workplace(folder=tmp_path / "work", index=index, env={"XDG_CACHE_HOME": str(disk)})
        work.write([HOG])
        ended = work.run()
        assert ended.code == 3 and "is full" in ended.stderr, ended.stderr
        assert clean(work)
        work.write(made)
        goes_on(work, set())
        assert len(work.wheels()) == 2
