"""What the branches of a run's list need of its channel: as the plan finds it, and as builds add to it."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import NormalizedName

from wheelbuilder.build.graph import End
from wheelbuilder.build.outcomes import Built, Covered
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.needs import Claim, Need
from wheelbuilder.mirror.publish import Change
from wheelbuilder.pipeline.request import Request
from wheelbuilder.plan.decisions import InMirror


class Needs:
    """Grows with the run. A claim speaks of one project: what each branch needs of it by now."""

    def __init__(self, request: Request) -> None:
        self._known: dict[NormalizedName, set[Need]] = {}
        self._built: dict[NormalizedName, set[str]] = {}
        self._new: set[NormalizedName] = set()
        self.go_on(request)

    def go_on(self, request: Request) -> None:
        """Take the plan of a request in, beside what is known."""
        self._request = request
        self._planned = {decision.pin.name for decision in request.plan.decisions}
        for decision in request.plan.decisions:
            if isinstance(decision, InMirror):
                self._enter(decision.pin, decision.target, decision.wheel.filename)

    def add(self, end: End) -> None:
        """Enter the wheel that a build gave, or that serves instead of it."""
        match end:
            case Built():
                filename = end.wheel.filename
            case Covered():
                filename = end.filename
            case _:
                return
        self._enter(end.build.pin, end.build.target, filename)
        self._built.setdefault(end.build.pin.name, set()).add(filename)
        self._new.add(end.build.pin.name)

    def all(self) -> Iterator[Change]:
        """Yield the claims on everything that the channel has, also those on what no branch pins any more."""
        names = set(self._known)
        if not self._request.forced:
            names |= {name for name in self._request.mirror if self._request.whole or name in self._planned}
        yield from map(self._change, sorted(names))

    def new(self) -> Iterator[Change]:
        """Yield the claims to which builds have added since they were asked for last."""
        names, self._new = sorted(self._new), set()
        yield from map(self._change, names)

    def _enter(self, pin: Pin, target: Target, filename: str) -> None:
        needs = self._known.setdefault(pin.name, set())
        for branch in pin.branches:
            need = Need(filename=filename, owner=self._request.listed.name, branch=branch, target=str(target))
            needs -= {known for known in needs if known.slot == need.slot}
            needs.add(need)

    def _change(self, name: NormalizedName) -> Change:
        request = self._request
        claim = Claim(
            owner=request.listed.name,
            branches=tuple(branch.branch for branch in request.listed.branches),
            targets=tuple(map(str, request.listed.targets)),
            # what is built again is there already: a build that fails takes nothing away
            judged=() if request.forced else tuple(map(str, request.plan.targets)),
            seen=self._seen(name),
            needs=tuple(sorted(self._known.get(name, ()))),
        )
        return Change(project=name, claim=claim)

    def _seen(self, name: NormalizedName) -> tuple[str, ...]:
        """Return the files of a project that the channel had, and those that builds have added."""
        served = {file.filename for file in self._request.mirror.get(name, ())}
        return tuple(sorted(served | self._built.get(name, set())))
