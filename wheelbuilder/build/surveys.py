"""Looks at builds ahead of their turn, so that the graph is known before the workers get there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future

from wheelbuilder.build.outcomes import Needs
from wheelbuilder.plan.decisions import Build

AT_ONCE = 8  # with the clerks, so that what comes to light meanwhile gets its turn soon


class Surveys:
    """Builds that were or are to be looked at, each once."""

    def __init__(self, survey: Callable[[Build], Needs], clerks: Executor) -> None:
        self._survey, self._clerks = survey, clerks
        self._seen: set[str] = set()
        self._waiting: dict[str, Build] = {}
        self._running: dict[Future[Needs], str] = {}

    def add(self, builds: Iterable[Build]) -> None:
        """Have builds looked at, after those that wait already; one that was is left out."""
        self._waiting |= {build.key: build for build in builds if build.key not in self._seen}
        self._seen |= self._waiting.keys()

    def forget(self, build: Build) -> None:
        """Do not look at a build any more: a worker has it, and will see more."""
        self._waiting.pop(build.key, None)

    def submit(self) -> Iterable[Future[Needs]]:
        """Give the clerks something to do; return what they are doing."""
        while self._waiting and len(self._running) < AT_ONCE:
            build = self._waiting.pop(next(iter(self._waiting)))
            self._running[self._clerks.submit(self._survey, build)] = build.key
        return self._running.keys()

    def result(self, future: Future[Needs]) -> Needs | None:
        """Return what was found; None if this is none of our futures."""
        return future.result() if self._running.pop(future, None) else None

    def is_known(self, build: Build) -> bool:
        """Say whether a build was looked at."""
        return build.key not in self._waiting and build.key not in self._running.values()

    def cancel(self) -> None:
        """Look at nothing more."""
        self._waiting.clear()
        for future in self._running:
            future.cancel()
