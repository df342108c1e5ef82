from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engines import engine, image, log_of, root

from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.roots import ensure, local_roots, remove
from wheelbuilder.build.smoke import smoke
from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.inputs.images import Role, Root

pytestmark = pytest.mark.engine

# Makes a small root of its own: more than one test may need to see it made from the start.
PROGRAM = """
import sys
from engines import engine, log_of, root
from wheelbuilder.build.roots import ensure
print(ensure(engine(), root().adding((sys.argv[1],)), log=log_of("roots-" + sys.argv[2]), report=print))
"""


def start(package: str, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (sys.executable, "-c", PROGRAM, package, name),
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def fresh(package: str) -> Root:
    wider = root().adding((package,))
    if engine().has(wider.tag):
        remove(engine(), wider.tag)
    return wider


def test_two_processes_make_a_root_once_and_a_killed_one_leaves_nothing_that_counts() -> None:
    wider = fresh("hello")
    making = cache_home() / "making"
    first = start("hello", "killed")
    end = time.monotonic() + 60
    while not list(making.glob(f"{wider.digest}-*/root")):
        assert first.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert list(making.glob(f"{wider.digest}-*")) and not engine().has(wider.tag)

    both = [start("hello", name) for name in ("one", "two")]
    outputs = [process.communicate(timeout=300)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [lines[-1] for lines in outputs] == [wider.tag, wider.tag]
    assert sorted(len(lines) for lines in outputs) == [1, 3]  # one said what it made, the other waited
    assert wider.tag in local_roots(engine())
    assert engine().run(wider.tag, ("hello",), timeout=60).stdout == "Hello, world!\n"
    remove(engine(), wider.tag)


def test_a_root_that_is_here_costs_next_to_nothing() -> None:
    image()
    started = time.monotonic()
    assert ensure(engine(), root(), log=log_of("roots")) == root().tag
    assert time.monotonic() - started < 1


def test_the_start_up_test_compiles_where_it_shall() -> None:
    assert smoke(engine(), root("x86_64", Role.BUILD), image("x86_64", Role.BUILD)).endswith("compiles")
    assert smoke(engine(), root(), image()) == "python 3.11.2 x86_64 1000"


def test_a_root_of_another_machine_is_refused() -> None:
    with pytest.raises(IntegrityError, match="says that its machine is"):
        smoke(engine(), root("aarch64"), image("x86_64"))


def test_a_build_root_without_a_compiler_does_not_pass() -> None:
    with pytest.raises(Exception, match=r"start-up test.*cc: not found"):
        smoke(engine(), replace(root(), role=Role.BUILD), image())


def test_a_root_that_does_not_answer_in_time_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelbuilder.build.smoke.TIMEOUT", 0.001)
    with pytest.raises(UnreachableError, match=r"start-up test: it had not ended after 0\.001 s"):
        smoke(engine(), root(), image())
