from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from samples import ARM, X86, file, pin

from wheelbuilder.build.outcomes import Built, BuiltWheel, Covered, Failed, FailureClass, Outcome, Step
from wheelbuilder.build.schedule import outcomes
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build

HOST, FOREIGN = (X86, ARM) if platform.machine() == "x86_64" else (ARM, X86)


def build(name: str = "foo", target: Target = HOST) -> Build:
    wanted = pin(f"{name}===1.0")
    return Build(
        pin=wanted,
        target=target,
        sdist=file(f"{name}-1.0.tar.gz"),
        recipe=Recipe(project=wanted.name),
        reason="",
        key=f"{name} {target}",
    )


def built(build: Build, tag: str) -> Built:
    wheel = BuiltWheel(
        path=Path(f"{build.pin.name}-1.0-{tag}.whl"), sha256="a" * 64, size=1, requires_python=None
    )
    return Built(build=build, wheel=wheel, sdist=Path("x"), steps=())


def pure(build: Build) -> Outcome:
    return built(build, "py3-none-any")


def native(build: Build) -> Outcome:
    return built(build, f"cp311-cp311-manylinux_2_17_{build.target.arch}")


def failing(build: Build) -> Outcome:
    return Failed(build=build, failure=FailureClass.COMPILER, step=Step.BUILD, summary="")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def noted(run: Callable[[Build], Outcome], calls: list[str]) -> Callable[[Build], Outcome]:
    def noting(build: Build) -> Outcome:
        calls.append(build.key)
        return run(build)

    return noting


def test_a_pure_wheel_covers_the_other_targets(pool: ThreadPoolExecutor) -> None:
    calls: list[str] = []
    found = list(outcomes([build(target=FOREIGN), build(target=HOST)], noted(pure, calls), pool))
    assert calls == [f"foo {HOST}"]
    assert isinstance(found[0], Built) and isinstance(found[1], Covered)
    assert (found[1].build.target, found[1].by, found[1].filename) == (
        FOREIGN,
        HOST,
        "foo-1.0-py3-none-any.whl",
    )


@pytest.mark.parametrize("run", [native, failing])
def test_other_targets_follow_where_nothing_covers_them(
    run: Callable[[Build], Outcome], pool: ThreadPoolExecutor
) -> None:
    calls: list[str] = []
    found = list(outcomes([build(target=FOREIGN), build(target=HOST)], noted(run, calls), pool))
    assert calls == [f"foo {HOST}", f"foo {FOREIGN}"] and [type(it) for it in found] == [type(found[0])] * 2


def test_outcomes_come_as_they_are_ready(pool: ThreadPoolExecutor) -> None:
    go = threading.Event()

    def run(build: Build) -> Outcome:
        if build.pin.name == "slow":
            assert go.wait(20)
        return pure(build)

    found = outcomes([build("slow"), build("quick")], run, pool)
    assert next(found).build.pin.name == "quick"
    go.set()
    assert [it.build.pin.name for it in found] == ["slow"]


def test_every_build_has_one_outcome(pool: ThreadPoolExecutor) -> None:
    builds = [build(f"p{n}", target) for n in range(50) for target in (X86, ARM)]
    runs = {name: (pure, native, failing)[n % 3] for n, name in enumerate(f"p{n}" for n in range(50))}
    found = list(outcomes(builds, lambda build: runs[build.pin.name](build), pool))
    assert sorted(it.build.key for it in found) == sorted(it.key for it in builds)
    assert list(outcomes([], pure, pool)) == []


def test_an_exception_ends_the_run_and_what_waits_is_not_started() -> None:
    calls: list[str] = []
    ended = threading.Event()

    def run(build: Build) -> Outcome:
        calls.append(build.key)
        if len(calls) == 1:
            raise RuntimeError("the engine is gone")
        ended.wait(30)  # what was started meanwhile is not done before the run has ended
        return pure(build)

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(RuntimeError, match="the engine is gone"):
            list(outcomes([build(f"p{n}") for n in range(500)], run, pool))
        ended.set()
    assert len(calls) <= 2
