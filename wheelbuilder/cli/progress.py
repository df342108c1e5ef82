"""Shows a run while it goes on: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType

from rich.live import Live
from rich.table import Table

from wheelbuilder.build.outcomes import Built, Covered, Failed, Outcome, Step
from wheelbuilder.cli.console import Screen
from wheelbuilder.plan.decisions import Build

REFRESH = 4  # a second


class Progress:
    """A `pipeline.Watch` for people, on stderr. A context manager: the live table ends with it."""

    def __init__(self, total: int) -> None:
        self._console = Screen(stderr=True)
        # By thread: while a build makes a requirement of its own first, its row shows that.
        self._running: dict[int, tuple[Build, Step, float]] = {}
        self._since: dict[str, float] = {}
        self._total, self._done, self._started = total, 0, time.monotonic()
        self._lock = threading.Lock()
        # A run without builds has nothing to show, and a live display starts a thread.
        live = self._console.is_terminal and total > 0
        self._live = (
            Live(
                get_renderable=self._table, console=self._console, refresh_per_second=REFRESH, transient=True
            )
            if live
            else None
        )

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def step(self, build: Build, step: Step) -> None:
        """Note the step; without a terminal, print it."""
        with self._lock:
            since = self._since.setdefault(build.key, time.monotonic())
            self._running[threading.get_ident()] = (build, step, since)
        if not self._live:
            self._say(f"{build.pin} {build.target}: {step}")

    def finished(self, outcome: Outcome) -> None:
        """Print the outcome in a line, which stays."""
        with self._lock:
            key = outcome.build.key
            self._running = {row: shown for row, shown in self._running.items() if shown[0].key != key}
            self._done += 1
        self._say(f"{outcome.build.pin} {outcome.build.target}: {_words(outcome)}")

    def published(self, number: int, changed: Sequence[str]) -> None:
        """Print the commit."""
        self._say(f"published commit {number}: {len(changed)} project(s) changed")

    def _say(self, line: str) -> None:
        elapsed = time.monotonic() - self._started
        self._console.print(f"[{elapsed // 60:3.0f}:{elapsed % 60:02.0f}] {line}", soft_wrap=True)

    def _table(self) -> Table:
        table = Table(title=f"{self._done} of {self._total} builds done", title_justify="left", box=None)
        for column in ("pin", "target", "step", "elapsed"):
            table.add_column(column, justify="right" if column == "elapsed" else "left")
        with self._lock:
            for build, step, since in self._running.values():
                table.add_row(str(build.pin), str(build.target), step, f"{time.monotonic() - since:.0f} s")
        return table


def _words(outcome: Outcome) -> str:
    match outcome:
        case Built():
            seconds = sum(step.seconds for step in outcome.steps)
            grafted = f", {len(outcome.wheel.grafted)} libraries grafted" if outcome.wheel.grafted else ""
            return f"built {outcome.wheel.filename} in {seconds:.0f} s{grafted}"
        case Covered():
            return f"covered by {outcome.filename}"
        case Failed():
            return f"FAILED ({outcome.failure}, at {outcome.step}): {outcome.summary}"
