"""The builds of a run as a graph: what each waits for, what is ready, what follows from an outcome."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.build.outcomes import Built, Covered, Failed, FailureClass, Needs, Outcome, Step, Unfinished
from wheelbuilder.build.siblings import serves, waits_for
from wheelbuilder.plan.decisions import Build

End = Outcome | Unfinished


@dataclass(kw_only=True, slots=True)
class _Node:
    """needs, needed_by: keys, in the order in which they were told. wheel: what it gave, or served it.

    offer: another target's build whose wheel may serve this target. declined: one whose wheel does not after
    all.
    """

    build: Build
    needs: dict[str, None] = field(default_factory=dict)
    needed_by: dict[str, None] = field(default_factory=dict)
    taken: bool = False
    end: End | None = None
    wheel: Path | None = None
    offer: Built | None = None
    declined: Built | None = None


class Graph:
    """Nodes are builds by key. A hard edge goes to a build requirement, which has to succeed; a soft one
    to another target of the same pin, which has to end: its wheel may serve this target as well. Such a
    wheel is offered to the build, which need not wait for anything then, until it declines it.

    cost: what a build takes, in seconds. known: the file name of a wheel that an earlier build of the
    same project gave. There is no cycle with a soft edge: a hard one stays on its target, and soft ones
    lead from later targets to earlier ones, in one order for all pins.
    """

    def __init__(self, *, cost: Callable[[Build], float], known: Callable[[Build], str | None]) -> None:
        self._cost, self._known = cost, known
        self._nodes: dict[str, _Node] = {}
        self._open: dict[str, _Node] = {}  # neither taken nor ended
        self._pins: defaultdict[tuple[NormalizedName, Version, int | None], list[_Node]] = defaultdict(list)
        self._lengths: dict[str, float] | None = None
        self._left = 0

    def __len__(self) -> int:
        """Return how many builds have not ended."""
        return self._left

    def add(self, build: Build) -> None:
        """Add a build if it is not there."""
        if build.key in self._nodes:
            return
        node = _Node(build=build)
        self._nodes[build.key] = self._open[build.key] = node
        built = (it.end for it in self._siblings(build) if isinstance(it.end, Built))
        node.offer = next((end for end in built if serves(build, end)), None)
        self._siblings(build).append(node)
        self._left += 1
        self._lengths = None

    def connect(self, needs: Needs) -> list[End]:
        """Let a build wait for others, adding those that are new; return the outcomes that follow.

        Those are the members of a cycle, and what a requirement that has failed already takes along.
        """
        node, ended = self._nodes[needs.build.key], []
        for build in needs.builds:
            self.add(build)
            node.needs[build.key] = None
            self._nodes[build.key].needed_by[node.build.key] = None
            self._lengths = None
        for build in needs.builds:
            needed = self._nodes[build.key]
            if needed.end is None and node.end is None:
                ended += self._break(self._way(build.key, node.build.key))
            elif node.end is None and (consequence := self._consequence(node, needed)):
                ended += self.settle(consequence)
        return ended

    def settle(self, *ends: End) -> list[End]:
        """Note how builds have ended; return that and everything that follows from it."""
        nodes = deque(self._close(end) for end in ends)  # all of them, before one takes another along
        ended = list(ends)
        while nodes:
            for end in self._consequences(nodes.popleft()):
                ended.append(end)
                nodes.append(self._close(end))
        return ended

    def take(self, build: Build) -> None:
        """A worker has the build now, or a pause before its next attempt."""
        self._nodes[build.key].taken = True
        self._open.pop(build.key, None)

    def offer(self, build: Build) -> Built | None:
        """Return another target's build whose wheel is to be tried for this one."""
        node = self._nodes[build.key]
        return None if node.declined or node.end else node.offer

    def declined(self, build: Build) -> Built | None:
        """Return another target's build whose wheel failed its trial for this one."""
        return self._nodes[build.key].declined

    def decline(self, build: Build, offer: Built) -> list[End]:
        """Let a build go its own way; return what follows from what it needs."""
        node = self._nodes[build.key]
        node.declined = offer
        self.give_back(build)
        for key in node.needs:
            if found := self._consequence(node, self._nodes[key]):
                return self.settle(found)
        return []

    def give_back(self, build: Build) -> None:
        """Nobody has the build any more, and it has not ended."""
        node = self._nodes[build.key]
        node.taken = False
        if node.end is None:
            self._open[build.key] = node

    def ready(self) -> list[Build]:
        """Return what can start now, the longest remaining path first."""
        lengths = self._remaining()
        ready = [node.build for node in self._open.values() if self._is_ready(node)]
        return sorted(ready, key=lambda build: (-lengths[build.key], build.key))

    def is_open(self, build: Build) -> bool:
        """Say whether nobody has taken a build and it has not ended."""
        return build.key in self._open

    def open(self) -> list[Build]:
        """Return what nobody has taken and what has not ended, ready or not."""
        return [node.build for node in self._open.values()]

    def remaining(self, build: Build) -> float:
        """Return the seconds from the start of a build to the end of all that waits for it."""
        return self._remaining()[build.key]

    def given(self, build: Build) -> Iterator[tuple[Build, Path]]:
        """Yield the requirements of a build that were built, each with its wheel."""
        for key in self._nodes[build.key].needs:
            needed = self._nodes[key]
            if needed.wheel:
                yield needed.build, needed.wheel

    def _siblings(self, build: Build) -> list[_Node]:
        return self._pins[build.pin.name, build.pin.version, build.build_tag]

    def _is_ready(self, node: _Node) -> bool:
        if self.offer(node.build):
            return True
        return all(self._nodes[key].end for key in node.needs) and not self._waits_for_sibling(node)

    def _waits_for_sibling(self, node: _Node) -> _Node | None:
        siblings = self._siblings(node.build)
        if len(siblings) == 1 or node.declined:
            return None
        told = (it.end.wheel.filename for it in siblings if isinstance(it.end, Built))
        known = next(told, None) or self._known(node.build)
        for first in waits_for(node.build.target, [it.build.target for it in siblings], known):
            if held := next((it for it in siblings if it.build.target == first and it.end is None), None):
                return held
        return None

    def _close(self, end: End) -> _Node:
        node = self._nodes[end.build.key]
        assert node.end is None, f"{node.build.pin} {node.build.target} ends twice"
        node.end = end
        self._open.pop(end.build.key, None)
        self._left -= 1
        if isinstance(end, Built):
            node.wheel = end.wheel.path
            for sibling in self._siblings(end.build):
                if not sibling.offer and serves(sibling.build, end):
                    sibling.offer = end
        elif isinstance(end, Covered):
            source = next(it for it in self._siblings(end.build) if it.build.target == end.by and it.wheel)
            node.wheel = source.wheel
        return node

    def _consequences(self, node: _Node) -> Iterator[End]:
        for key in node.needed_by:
            waiting = self._nodes[key]
            if waiting.end is None and (found := self._consequence(waiting, node)):
                yield found

    def _consequence(self, waiting: _Node, needed: _Node) -> End | None:
        if self.offer(waiting.build):
            return None
        match needed.end:
            case Failed() as failed:
                return _blocked(waiting.build, failed)
            case Unfinished(reason=reason):
                return Unfinished(build=waiting.build, reason=reason)
        return None

    def _way(self, start: str, goal: str) -> list[str]:
        """Return the keys from one build along what each needs to another; nothing if there is no way."""
        before: dict[str, str | None] = {start: None}
        queue = deque([start])
        while queue and goal not in before:
            key = queue.popleft()
            for needed in self._nodes[key].needs:
                if needed not in before and self._nodes[needed].end is None:
                    before[needed] = key
                    queue.append(needed)
        way: list[str] = []
        step = goal if goal in before else None
        while step is not None:
            way.append(step)
            step = before[step]
        return way[::-1]

    def _break(self, cycle: list[str]) -> list[End]:
        """End every member of a cycle. cycle: keys, each followed by one that it needs; maybe none."""
        builds = [self._nodes[key].build for key in cycle]
        names = list(map(_name, builds))
        start = names.index(min(names)) if names else 0  # told alike to all: it is one cycle, not several
        ring = (*names[start:], *names[: start + 1])
        return self.settle(*(_in_cycle(build, ring) for build in builds))

    def _remaining(self) -> dict[str, float]:
        if self._lengths is None:
            after = {key: self._after(node) for key, node in self._nodes.items() if node.end is None}
            self._lengths = {}
            for key in TopologicalSorter(after).static_order():
                longest = max((self._lengths[later] for later in after[key]), default=0.0)
                self._lengths[key] = self._cost(self._nodes[key].build) + longest
        return self._lengths

    def _after(self, node: _Node) -> list[str]:
        """Return what can start only after a build has ended."""
        held = [
            it.build.key
            for it in self._siblings(node.build)
            if it.end is None and it is not node and self._waits_for_sibling(it) is node
        ]
        return held + [key for key in node.needed_by if self._nodes[key].end is None]


def _blocked(build: Build, failed: Failed) -> Failed:
    name = _name(failed.build)
    is_root = failed.failure is not FailureClass.BLOCKED
    why = f"failed: {failed.failure}: {failed.summary}" if is_root else failed.summary.removeprefix("it ")
    return Failed(
        build=build,
        failure=FailureClass.BLOCKED,
        step=Step.REQUIREMENTS,
        summary=f"it needs {name}, which {why}",
        hint=failed.hint,
        lines=failed.lines,
        passing=failed.passing,
        blocked_by=(name, *failed.blocked_by),
    )


def _in_cycle(build: Build, ring: Sequence[str]) -> Failed:
    itself = "a build requirement without a wheel needs itself"
    others = "build requirements without a wheel need one another"
    return Failed(
        build=build,
        failure=FailureClass.REQUIREMENTS,
        step=Step.REQUIREMENTS,
        summary=f"{itself if len(ring) == 2 else others}: {' -> '.join(ring)}",
        hint="Give one of them a build-constraint for which a wheel exists.",
    )


def _name(build: Build) -> str:
    return f"{build.pin.name}=={build.pin.version}"
