from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builds import FOREIGN, HOST, WAY, build
from sdists import FileIndex
from sites import site

from wheelbuilder.build import shelf
from wheelbuilder.build.outcomes import Built, BuiltWheel, Compiled, FailureClass, Fall, Step, StepResult
from wheelbuilder.build.site import Site
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.mirror.wheels import file_digest

FOO = replace(build(), key="key-of-foo")
FALL = Fall(rung=Rung.TOOLCHAIN, failure=FailureClass.COMPILER, summary="it broke", toolchain="d1")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with FileIndex() as index:
        yield site(index, tmp_path)


def made(here: Site, folder: Path, content: bytes = b"wheel") -> Built:
    """What a build leaves behind: a wheel, logs, and the sdist it came from."""
    folder.mkdir(exist_ok=True)
    wheel, log = folder / "foo-1.0-py3-none-any.whl", folder / "build.log"
    wheel.write_bytes(content)
    log.write_text("said\n")
    sdist = here.sdists / FOO.sdist.sha256 / FOO.sdist.filename
    sdist.parent.mkdir(parents=True, exist_ok=True)
    sdist.touch()
    steps = (
        StepResult(step=Step.UNPACK, seconds=0.1, ok=True),
        StepResult(step=Step.BUILD, seconds=1.5, ok=False, log=log, peak_memory=1 << 20, attempt=2),
        StepResult(step=Step.BUILD, seconds=2.5, ok=True, compiled=Compiled(hits=1, misses=2), attempt=3),
    )
    return Built(
        build=FOO,
        wheel=BuiltWheel(
            path=wheel,
            sha256=file_digest(wheel),
            size=5,
            requires_python=">=3.8",
            grafted=("libx.so.1",),
            outside=("liby.so.2",),
        ),
        sdist=sdist,
        way=replace(WAY, rung=Rung.EMULATED, toolchain="", fall=FALL),
        steps=steps,
        requirements=("setuptools==80",),
    )


def test_what_is_taken_is_what_was_put(here: Site, tmp_path: Path) -> None:
    assert shelf.take(FOO, here) is None
    built = made(here, tmp_path / "out")
    put = shelf.put(built, here)
    assert put == replace(built, wheel=put.wheel, steps=put.steps) == shelf.take(FOO, here)
    assert put.wheel.path == shelf.place(FOO, here) / "foo-1.0-py3-none-any.whl"
    assert put.steps[1].log and put.steps[1].log.read_text() == "said\n"
    assert list((tmp_path / "out").iterdir()) == []
    assert [path.name for path in here.wheelhouse(HOST).iterdir()] == ["key-key-of-foo"]


def test_another_key_and_another_target_have_places_of_their_own(here: Site, tmp_path: Path) -> None:
    shelf.put(made(here, tmp_path / "out"), here)
    assert shelf.take(replace(FOO, key="other"), here) is None
    assert shelf.take(replace(FOO, target=FOREIGN), here) is None


def test_what_is_put_again_takes_the_place_of_what_was_there(here: Site, tmp_path: Path) -> None:
    for content in (b"first", b"again"):
        put = shelf.put(made(here, tmp_path / "out", content), here)
        assert put.wheel.path.read_bytes() == content
    assert shelf.take(FOO, here) == put


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("foo-1.0-py3-none-any.whl", b"wheel."),
        ("foo-1.0-py3-none-any.whl", None),
        (shelf.OUTCOME, b""),
        (shelf.OUTCOME, b"[]"),
        (shelf.OUTCOME, b"{\xff}"),
        (shelf.OUTCOME, b'{"wheel": {"path": 3}}'),
        (shelf.OUTCOME, None),
    ],
)
def test_what_is_not_as_it_was_is_not_taken(
    here: Site, tmp_path: Path, name: str, damage: bytes | None
) -> None:
    shelf.put(made(here, tmp_path / "out"), here)
    path = shelf.place(FOO, here) / name
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    assert shelf.take(FOO, here) is None
    shelf.put(made(here, tmp_path / "out"), here)
    assert shelf.take(FOO, here) is not None


def test_a_wheel_whose_sdist_is_gone_is_not_taken(here: Site, tmp_path: Path) -> None:
    put = shelf.put(made(here, tmp_path / "out"), here)
    put.sdist.unlink()
    assert shelf.take(FOO, here) is None


def test_what_is_published_is_let_go(here: Site, tmp_path: Path) -> None:
    shelf.put(made(here, tmp_path / "out"), here)
    shelf.drop(FOO, here)
    shelf.drop(FOO, here)
    assert shelf.take(FOO, here) is None and list(here.wheelhouse(HOST).iterdir()) == []


def test_what_nobody_has_used_for_long_goes(here: Site, tmp_path: Path) -> None:
    shelf.put(made(here, tmp_path / "out"), here)
    old = time.time() - shelf.KEPT - 60
    os.utime(shelf.place(FOO, here), (old, old))
    assert shelf.take(FOO, here) is not None  # and that is a use
    shelf.sweep(here.cache)
    assert shelf.take(FOO, here) is not None
    os.utime(shelf.place(FOO, here), (old, old))
    shelf.sweep(here.cache)
    assert shelf.take(FOO, here) is None
