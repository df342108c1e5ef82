"""The closure of a branch on a target: which of its pins requirement files need, directly or not, and why.

Every version is pinned, so there is nothing to search for: a walk from the files along what each pin
requires finds the one answer there is, or the requirement that no pin satisfies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.inputs.demands import Demand, Demands
from wheelbuilder.inputs.pins import Constraints, Pin, Untold
from wheelbuilder.inputs.targets import Target
from wheelbuilder.inputs.wanted import holds, pins_for
from wheelbuilder.plan.dependencies import DOUBTFUL, LEADING_NAME, Certainty, Dependencies, Need, need

Known = Callable[[Pin], Dependencies | None]  # what a pin requires; None where that has yet to be read


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """What asks for a project: a pin that requires it, or a line of a requirement file (parent: None)."""

    words: str
    parent: Pin | None
    origin: str = ""  # of the line

    def __str__(self) -> str:
        return f"{self.parent} requires {self.words!r}" if self.parent else f"{self.origin}: {self.words!r}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unmet:
    """A requirement that no pin satisfies. chain: what leads to it, from a line of a requirement file on."""

    branch: str
    target: Target
    chain: tuple[Reason, ...]
    complaint: str

    @property
    def sentence(self) -> str:
        """What is unmet, whatever the target."""
        return f"{', '.join(map(str, self.chain))}, but the branch {self.branch} {self.complaint}"

    def __str__(self) -> str:
        return f"{self.sentence} for {self.target}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Closure:
    """What requirement files need of one branch on one target.

    pins: what is in it, by name. reasons: for each project in it, all that asks for it. doubts: of
    which pins it is not certain what they require, one line each. untold: those of which nothing says it.
    floating: what is needed, not pinned, and left out because the list says so.
    """

    branch: str
    target: Target
    pins: tuple[Pin, ...]
    reasons: Mapping[NormalizedName, tuple[Reason, ...]]
    unmet: tuple[Unmet, ...]
    doubts: tuple[str, ...]
    untold: tuple[Untold, ...]
    floating: frozenset[NormalizedName]

    @property
    def projects(self) -> frozenset[NormalizedName]:
        """The projects in it."""
        return frozenset(self.reasons)

    def chain(self, name: NormalizedName) -> tuple[Reason, ...]:
        """Return the shortest way from a line of a requirement file to a project; empty if there is none."""
        return _shortest(self.reasons, name)


class Walk:
    """Goes from the requirement files of a branch along what pins require, as far as that is known."""

    def __init__(
        self,
        branch: Constraints,
        demands: Demands,
        target: Target,
        unpinned: frozenset[NormalizedName] = frozenset(),
    ) -> None:
        wanted = pins_for([branch], target)
        self.target = target
        self.pins = {pin.name: pin for pin in wanted.pins}
        self._branch = branch
        self._unpinned = unpinned - {pin.name for pin in branch.pins}
        self._floating: set[NormalizedName] = set()
        self._conflicts = {conflict.pins[0].name: conflict for conflict in wanted.conflicts}
        self._bounds: dict[NormalizedName, list[Demand]] = {}
        for bound in _holding(demands.bounds, target):
            self._bounds.setdefault(_need(bound).name, []).append(bound)
        self._reasons: dict[NormalizedName, dict[Reason, None]] = {}
        self._unmet: dict[Reason, str] = {}
        self._doubts: dict[str, None] = {}
        self._untold: dict[Untold, None] = {}
        self._asked: set[tuple[NormalizedName, str]] = set()  # with an extra, or "" for the project itself
        self._waiting: deque[tuple[NormalizedName, str]] = deque()
        for demand in _holding(demands.wanted, target):
            self._ask(_need(demand), Reason(words=demand.words, parent=None, origin=str(demand.origin)))

    def proceed(self, known: Known) -> tuple[Pin, ...]:
        """Go on; return the pins about which more has to be known. None are left at the end."""
        stuck: deque[tuple[NormalizedName, str]] = deque()
        while self._waiting:
            name, extra = self._waiting.popleft()
            dependencies = known(self.pins[name])
            if dependencies is None:
                stuck.append((name, extra))
            else:
                self._follow(self.pins[name], extra, dependencies)
        self._waiting = stuck
        return tuple(self.pins[name] for name in dict.fromkeys(name for name, _ in stuck))

    def closure(self) -> Closure:
        """Return what was found, once nothing is left to go on with."""
        assert not self._waiting
        reasons = {name: tuple(self._reasons[name]) for name in sorted(self._reasons)}
        return Closure(
            branch=self._branch.branch,
            target=self.target,
            pins=tuple(self.pins[name] for name in reasons),
            reasons=reasons,
            unmet=tuple(self._as_unmet(reason, reasons) for reason in self._unmet),
            doubts=tuple(self._doubts),
            untold=tuple(self._untold),
            floating=frozenset(self._floating),
        )

    def _follow(self, pin: Pin, extra: str, dependencies: Dependencies) -> None:
        if dependencies.certainty in DOUBTFUL:
            words = f"dependencies of {pin} are {dependencies.certainty} ({dependencies.file})"
            self._doubts[words] = None
        if dependencies.certainty is Certainty.UNKNOWN:
            self._untold[Untold(pin=pin, file=dependencies.file)] = None
        for words in dependencies.requires:
            required = need(words)
            if required is None or not required.readable:
                self._doubts[f"{pin}: not all of its requirement {words!r} can be read"] = None
            if required and (required.marker is None or holds(required.marker, self.target, extra)):
                self._ask(required, Reason(words=words, parent=pin))

    def _ask(self, required: Need, reason: Reason) -> None:
        if required.name in self._unpinned:
            self._floating.add(required.name)
            return
        complaint = self._complaint(required)
        if complaint and required.readable:
            self._unmet[reason] = complaint
        if complaint:
            return
        self._reasons.setdefault(required.name, {})[reason] = None
        for extra in ("", *sorted(required.extras)):
            if (required.name, extra) not in self._asked:
                self._asked.add((required.name, extra))
                self._waiting.append((required.name, extra))

    def _complaint(self, required: Need) -> str:
        """Say why no pin satisfies a requirement, to end a sentence about the branch; "" if one does."""
        pin = self.pins.get(required.name)
        if pin is None:
            return self._absence(required.name)
        pinned = f"pins {pin} ({pin.origin})"
        if required.url:
            return f"{pinned} and no URL"
        if not required.specifier.contains(pin.version, prereleases=True):
            return pinned
        excluding = [
            bound
            for bound in self._bounds.get(pin.name, ())
            if not _need(bound).specifier.contains(pin.version, prereleases=True)
        ]
        return f"{pinned}, which {excluding[0]} excludes" if excluding else ""

    def _absence(self, name: NormalizedName) -> str:
        if name in self._conflicts:
            return f"has {self._conflicts[name]}"
        elsewhere = [pin for pin in self._branch.pins if pin.name == name]
        if elsewhere:
            places = ", ".join(f"{pin.origin}: {pin.marker}" for pin in elsewhere)
            return f"pins it only where other markers hold ({places})"
        unread = [line for line in self._branch.quarantined if _begins(line.words) == name]
        return f"has a line that cannot be read ({unread[0]})" if unread else "does not pin it"

    def _as_unmet(self, reason: Reason, reasons: Mapping[NormalizedName, tuple[Reason, ...]]) -> Unmet:
        before = _shortest(reasons, reason.parent.name) if reason.parent else ()
        return Unmet(
            branch=self._branch.branch,
            target=self.target,
            chain=(*before, reason),
            complaint=self._unmet[reason],
        )


def _holding(demands: Iterable[Demand], target: Target) -> Iterator[Demand]:
    """Yield what applies on a target."""
    for demand in demands:
        marker = _need(demand).marker
        if marker is None or holds(marker, target):
            yield demand


def _need(demand: Demand) -> Need:
    read = need(str(demand.requirement))
    assert read is not None  # it was written by a requirement
    return read


def _begins(words: str) -> NormalizedName | None:
    name = LEADING_NAME.match(words)
    return canonicalize_name(name[1]) if name else None


def _shortest(
    reasons: Mapping[NormalizedName, tuple[Reason, ...]], name: NormalizedName
) -> tuple[Reason, ...]:
    """Return the shortest way to a project, breadth first and backwards from it."""
    queue = deque[tuple[NormalizedName, tuple[Reason, ...]]]([(name, ())])
    seen = {name}
    while queue:
        here, after = queue.popleft()
        for reason in reasons.get(here, ()):
            if reason.parent is None:
                return (reason, *after)
            if reason.parent.name not in seen:
                seen.add(reason.parent.name)
                queue.append((reason.parent.name, (reason, *after)))
    return ()
