"""The steps of one attempt as they go: what each took, in time and memory, its log, and the way they went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wheelbuilder.build.containers import ContainerExit
from wheelbuilder.build.outcomes import Compiled, Step, StepResult, Way


class Steps:
    """Takes notes. logs: the folder for them. report: hears which step starts."""

    def __init__(self, logs: Path, report: Callable[[Step], None], attempt: int) -> None:
        self._logs, self._report, self._attempt = logs, report, attempt
        self._peaks: list[int] = []
        self._compiled: list[Compiled] = []
        self.results: tuple[StepResult, ...] = ()
        self.way: Way | None = None  # once it is chosen

    @property
    def last(self) -> Step:
        """The step that has ended last."""
        return self.results[-1].step if self.results else Step.FETCH

    @contextmanager
    def step(self, step: Step, *, network: bool = False) -> Iterator[Path]:
        """Take a step; yields the file for what its programs print. network: it may use the network."""
        self._report(step)
        log = self._logs / f"{len(self.results) + 1}-{step}.log"
        self._peaks, self._compiled, started, ok = [], [], time.monotonic(), False
        try:
            yield log
            ok = True
        finally:
            result = StepResult(
                step=step,
                seconds=round(time.monotonic() - started, 3),
                ok=ok,
                network=network,
                log=log if log.exists() else None,
                peak_memory=max(self._peaks, default=None),
                compiled=sum(self._compiled, Compiled()) if self._compiled else None,
                attempt=self._attempt,
            )
            self.results = (*self.results, result)

    def spent(self, done: ContainerExit) -> None:
        """Note what a container of the step took, and what it compiled."""
        if done.peak_memory is not None:
            self._peaks.append(done.peak_memory)
        if done.compiled is not None:
            self._compiled.append(done.compiled)
