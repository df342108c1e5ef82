"""Containers that wait for a compile slot, in earnest or not: slots of the tests' own."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from engines import engine, image, log_of

from wheelbuilder.build import compilers, front, slots
from wheelbuilder.build.containers import ContainerExit, Mount
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.targets import Target

pytestmark = pytest.mark.engine

TIMEOUT = 8.0  # seconds
LONG = 60.0
COMPILE = ("sh", "-c", "echo 'int a;' | gcc -x c -c - -o /tmp/a.o && test -s /tmp/a.o")
PRETEND = """
import fcntl, time
open("/proc/self/comm", "w").write("waits-for-slot")
queue = open("/opt/wheelbuilder/slots/queue")
fcntl.flock(queue, fcntl.LOCK_EX)
time.sleep(600)
"""


@pytest.fixture
def places(tmp_path: Path) -> Path:
    folder = tmp_path / "slots"
    folder.mkdir()
    for name in (slots.QUEUE, "0", "1"):
        (folder / name).touch(0o444)
    return folder


@contextmanager
def occupied(places: Path, *names: str) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            fcntl.flock(stack.enter_context((places / name).open()), fcntl.LOCK_EX)
        yield


def run(places: Path, argv: tuple[str, ...], timeout: float, silence: float) -> ContainerExit:
    target = Target(python=(3, 11), arch="x86_64", libc="manylinux", libc_version=(2, 36))
    root, log = image(role=Role.BUILD), log_of("held-up")
    place = front.ensure(engine(), Catalogue.read(default_path()), target, root, log=log)
    assert place
    return engine().run(
        root,
        argv,
        mounts=(Mount(source=place, target=compilers.INSIDE), Mount(source=places, target=slots.INSIDE)),
        env={"PATH": f"{compilers.NAMES}:/usr/bin:/bin"},
        timeout=timeout,
        silence=silence,
        slots=places,
        log=places.parent / "log",
    )


def test_waiting_for_a_slot_counts_against_no_limit(places: Path) -> None:
    ended: list[ContainerExit] = []
    waiting = threading.Thread(target=lambda: ended.append(run(places, COMPILE, TIMEOUT, TIMEOUT / 2)))
    with occupied(places, "0", "1"):
        waiting.start()
        end = time.monotonic() + LONG
        while not slots.are_others_to_blame(places, everybody()):
            assert time.monotonic() < end
            time.sleep(0.1)
        waiting.join(2 * TIMEOUT)
        assert waiting.is_alive()
    waiting.join(LONG)
    assert [(it.ok, it.timed_out, it.hung) for it in ended] == [(True, False, False)]


def everybody() -> set[int]:
    """Every process but those of the tests, which hold the slots."""
    return {int(path.name) for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid())}


@pytest.mark.parametrize(
    ("timeout", "silence", "how"), [(TIMEOUT, LONG, "timed_out"), (LONG, TIMEOUT, "hung")]
)
def test_whoever_pretends_to_wait_is_not_believed(
    timeout: float, silence: float, how: str, places: Path
) -> None:
    with occupied(places, "0"):
        done = run(places, ("python3", "-c", PRETEND), timeout, silence)
    assert getattr(done, how)
