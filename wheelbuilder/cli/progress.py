"""Shows a run while it goes on: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from wheelbuilder.build.graph import End
from wheelbuilder.build.outcomes import Built, Covered, Failed, Needs, Step, Unfinished, Way
from wheelbuilder.build.tasks import Attempt
from wheelbuilder.cli.screen import say
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.plan.decisions import Build
from wheelbuilder.shown import visible

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

REFRESH = 4  # a second


class Progress:
    """A `pipeline.Watch` for people, on stderr. A context manager: the live table ends with it."""

    def __init__(self, builds: Sequence[Build]) -> None:
        total = len(builds)
        self._running: dict[str, tuple[Build, Step, float]] = {}  # by build key; since when
        self._known = {build.key for build in builds}  # those that others need are found on the way
        self._done, self._started = 0, time.monotonic()
        self._lock = threading.Lock()
        # A run without builds has nothing to show, and a live display starts a thread.
        self._live = _live(self._table) if total > 0 and sys.stderr.isatty() else None

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
            _, _, since = self._running.get(build.key, (build, step, time.monotonic()))
            self._running[build.key] = (build, step, since)
        if not self._live:
            self._say(f"{build.pin} {build.target}: {step}")

    def waits(self, needs: Needs) -> None:
        """Print what a build waits for."""
        with self._lock:
            self._running.pop(needs.build.key, None)
            self._known |= {build.key for build in needs.builds}
        names = ", ".join(str(build.pin) for build in needs.builds)
        self._say(f"{needs.build.pin} {needs.build.target}: waits for {names}")

    def again(self, failed: Failed, attempt: Attempt) -> None:
        """Print why a build is tried once more, and on which rung if it falls from its own."""
        with self._lock:
            self._running.pop(failed.build.key, None)
        fall, why = attempt.fall, f"{failed.failure}, at {failed.step}: {failed.summary}"
        falls = f"falls from {fall.rung} to {fall.onto}" if fall and failed.fall == fall else "is tried again"
        self._say(f"{failed.build.pin} {failed.build.target}: {falls} ({why})")

    def grown(self, builds: Sequence[Build]) -> None:
        """Print what comes too."""
        with self._lock:
            self._known |= {build.key for build in builds}
        names = ", ".join(dict.fromkeys(str(build.pin) for build in builds))
        self._say(f"what was built requires more: {names}")

    def finished(self, end: End) -> None:
        """Print the outcome in a line, which stays."""
        with self._lock:
            self._running.pop(end.build.key, None)
            self._done += 1
        self._say(f"{end.build.pin} {end.build.target}: {_words(end)}")

    def published(self, number: int, changed: Sequence[str]) -> None:
        """Print the commit."""
        self._say(f"published commit {number}: {len(changed)} project(s) changed")

    def _say(self, line: str) -> None:
        elapsed = time.monotonic() - self._started
        told = f"[{elapsed // 60:3.0f}:{elapsed % 60:02.0f}] {line}"
        if self._live:
            self._live.console.print(visible(told), soft_wrap=True)
        else:
            say(told, err=True)

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(title=f"{self._done} of {len(self._known)} builds done", title_justify="left", box=None)
        for column in ("pin", "target", "step", "elapsed"):
            table.add_column(column, justify="right" if column == "elapsed" else "left")
        with self._lock:
            for build, step, since in self._running.values():
                table.add_row(str(build.pin), str(build.target), step, f"{time.monotonic() - since:.0f} s")
        return table


def _live(table: Callable[[], Table]) -> Live:
    # Imported where it is needed: a job that nobody watches does without.
    from rich.live import Live

    from wheelbuilder.cli.console import Screen

    console = Screen(stderr=True)
    return Live(get_renderable=table, console=console, refresh_per_second=REFRESH, transient=True)


def _words(end: End) -> str:
    match end:
        case Built():
            seconds = sum(step.seconds for step in end.steps)
            grafted = f", {len(end.wheel.grafted)} libraries grafted" if end.wheel.grafted else ""
            return f"built {end.wheel.filename} in {seconds:.0f} s{grafted}{_how(end.way)}"
        case Covered():
            return f"covered by {end.filename}"
        case Failed():
            return f"FAILED ({end.failure}, at {end.step}): {end.summary}"
        case Unfinished():
            return end.reason


def _how(way: Way) -> str:
    return "" if way.rung is Rung.NATIVE else f" ({way.rung}: {way.reason})"
