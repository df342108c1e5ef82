"""The starter of processes, and the end of all that it has started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from wheelbuilder.build import process
from wheelbuilder.errors import InterruptedRunError


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    process.reset()


def test_what_starts_while_everything_is_ended_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def meanwhile(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        started: subprocess.Popen[bytes] = start(*words, **options)
        process.end_all()
        return started

    monkeypatch.setattr(subprocess, "Popen", meanwhile)
    with pytest.raises(InterruptedRunError):
        process.run(("sleep", "300"))


def test_nothing_starts_after_that_but_what_tidies_up() -> None:
    process.end_all()
    with pytest.raises(InterruptedRunError):
        process.run(("true",))
    assert process.run(("true",), tidying=True).ok
