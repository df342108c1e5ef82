"""What a run without a terminal prints while it goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from builds import FOREIGN, build, built, failed, needs

from wheelbuilder.build.admission import Room
from wheelbuilder.build.outcomes import FailureClass, Fall, Outcome
from wheelbuilder.build.schedule import Crew, Work, outcomes
from wheelbuilder.cli.progress import Progress
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.plan.experience import Cost

A = build("a", FOREIGN)
FALL = Fall(rung=Rung.TOOLCHAIN, failure=FailureClass.COMPILER, summary="it broke", toolchain="t")


def told(run: list[Outcome], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is printed of one build whose attempts end so, without the times."""
    with (
        Progress([A]) as watch,
        ThreadPoolExecutor(1) as builders,
        ThreadPoolExecutor(1) as clerks,
    ):
        work = Work(
            run=lambda _: run.pop(0), survey=needs, cost=lambda _: Cost(seconds=1.0), again=watch.again
        )
        for end in outcomes([A], work, Crew(builders=builders, clerks=clerks, room=Room(memory=8, slots=1))):
            watch.finished(end)
    return [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]


def test_a_fall_is_a_line_when_it_happens(capsys: pytest.CaptureFixture[str]) -> None:
    start = f"a===1.0 {FOREIGN}: "
    assert told([failed(A, fall=FALL), built(A)], capsys)[:-1] == [
        f"{start}falls from native-toolchain to emulated (compiler, at build: it broke)"
    ]
    assert told([failed(A, fall=FALL), failed(A)], capsys) == [
        f"{start}falls from native-toolchain to emulated (compiler, at build: it broke)",
        f"{start}FAILED (compiler, at build): it broke",
    ]


def test_what_is_tried_again_where_it_was_is_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    start = f"a===1.0 {FOREIGN}: "
    hang = failed(A, FailureClass.HANG, summary="nothing came")
    assert told([failed(A, fall=FALL), hang, hang], capsys) == [
        f"{start}falls from native-toolchain to emulated (compiler, at build: it broke)",
        f"{start}is tried again (hang, at build: nothing came)",
        f"{start}FAILED (hang, at build): nothing came",
    ]
