"""The cross-check of the coverage proof: installers find the wheels that it says are there, and no others."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from packaging.utils import NormalizedName

from wheelbuilder.build.installers import Answer, Installer
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.coverage import Coverage, Gap

MOST_GAPS = 100  # asked about for a branch and target: each costs a process
MOST_REFUSED = 20  # pins that are singled out for a target: by then it is clear that something is wrong
Identity = tuple[NormalizedName, str]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """A pin about which proof and installer differ. said: by the installer, after its name."""

    pin: Pin
    target: Target
    proven: str
    installer: str
    said: str

    def __str__(self) -> str:
        return (
            f"{self.pin} {self.target}: the proof says that {self.proven}, but {self.installer} {self.said}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """What an installer made of the coverage of a branch on a target.

    pins, gaps: on how many of each the proof was held against the installer. remarks: on which not, and why.
    """

    branch: str
    target: Target
    installer: str
    pins: int
    gaps: int
    remarks: tuple[str, ...]
    disagreements: tuple[Disagreement, ...]

    @property
    def line(self) -> str:
        """The result in one line."""
        verdict = "agrees on" if not self.disagreements else f"disagrees on {len(self.disagreements)} of"
        asked = f"{_counted(self.pins, 'pin')} and {_counted(self.gaps, 'gap')}"
        return "; ".join((f"{self.target}: {self.installer} {verdict} {asked}", *self.remarks))


def simulate(
    covered: Sequence[Coverage],
    installers_for: Callable[[Target], Sequence[Installer]],
    progress: Progress = lambda _done, _all: None,
) -> tuple[Simulated, ...]:
    """Ask about every pin and, within bounds, every gap of each branch and target; equal questions once.

    The first installer of a target is asked. Where it takes a wheel that the proof denies, the last one,
    pip, as which the proof decides, has the last word.
    Raises UnreachableError if an installer cannot read an index.
    """
    targets = dict.fromkeys(it.target for it in covered)
    inquiries = {target: _Inquiry(target, installers_for(target)) for target in targets}
    questions = {(it.target, pin.identity) for it in covered for pin in _questions(it)}

    def told() -> None:
        progress(sum(len(inquiry.answers) for inquiry in inquiries.values()), len(questions))

    return tuple(inquiries[it.target].check(it, told) for it in covered)


class _Inquiry:
    """What the installers have answered for one target so far. answers: of the first one."""

    def __init__(self, target: Target, installers: Sequence[Installer]) -> None:
        self.answers: dict[Identity, Answer] = {}
        self._target = target
        self._installer, self._judge = installers[0], installers[-1]
        self._singled_out = 0  # pins that the proof says are covered
        self._judged: dict[Identity, Answer] = {}

    def check(self, covered: Coverage, told: Callable[[], None]) -> Simulated:
        """Hold the coverage of a branch against what the installer says."""
        gaps = _chosen(covered)
        self._ask_together(covered.served, told)
        self._ask_alone([gap.pin for gap in gaps], told)
        pins = [pin for pin in covered.served if pin.identity in self.answers]
        refused = [self._refused(pin) for pin in pins if not self.answers[pin.identity].found]
        taken = [gap for gap in gaps if self.answers[gap.pin.identity].found]
        wrong = [gap for gap in taken if self._verdict(gap.pin).found]
        differing = [str(gap.pin) for gap in taken if gap not in wrong]
        return Simulated(
            branch=covered.branch,
            target=self._target,
            installer=self._installer.name,
            pins=len(pins),
            gaps=len(gaps) - len(differing),
            remarks=(*self._differing(differing), *_unasked(covered, len(pins), len(gaps))),
            disagreements=(*refused, *map(self._taken, wrong)),
        )

    def _ask_together(self, pins: Iterable[Pin], told: Callable[[], None]) -> None:
        """Ask about all pins at once; as long as some are refused, about fewer, until it is clear which."""
        waiting = deque([tuple(pin for pin in pins if pin.identity not in self.answers)])
        while waiting and self._singled_out < MOST_REFUSED:
            asked = waiting.popleft()
            answer = self._installer.ask(asked) if asked else None
            if answer and (answer.found or len(asked) == 1):
                self.answers.update((pin.identity, answer) for pin in asked)
                self._singled_out += not answer.found
                told()
            elif answer:
                waiting.extendleft(reversed(_parts(asked, answer.words)))

    def _ask_alone(self, pins: Iterable[Pin], told: Callable[[], None]) -> None:
        waiting = [pin for pin in pins if pin.identity not in self.answers]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for pin, answer in zip(
                waiting, pool.map(lambda pin: self._installer.ask([pin]), waiting), strict=True
            ):
                self.answers[pin.identity] = answer
                told()

    def _verdict(self, pin: Pin) -> Answer:
        """Return what pip says of a pin for which the first installer has found a wheel."""
        if self._judge is self._installer:
            return self.answers[pin.identity]
        if pin.identity not in self._judged:
            self._judged[pin.identity] = self._judge.ask([pin])
        return self._judged[pin.identity]

    def _differing(self, pins: Sequence[str]) -> Iterator[str]:
        if pins:
            yield f"it takes a wheel where {self._judge.name} takes none: {', '.join(pins)}"

    def _refused(self, pin: Pin) -> Disagreement:
        said = f"finds none: {self.answers[pin.identity].words}"
        return self._disagreement(pin, "there is a wheel", said)

    def _taken(self, gap: Gap) -> Disagreement:
        said = f"takes one: {self.answers[gap.pin.identity].words}"
        return self._disagreement(gap.pin, f"there is no wheel ({gap.reason})", said)

    def _disagreement(self, pin: Pin, proven: str, said: str) -> Disagreement:
        return Disagreement(
            pin=pin, target=self._target, proven=proven, installer=self._installer.name, said=said
        )


def _questions(covered: Coverage) -> tuple[Pin, ...]:
    return (*covered.served, *(gap.pin for gap in _chosen(covered)))


def _chosen(covered: Coverage) -> tuple[Gap, ...]:
    """Return the gaps to ask about, spread over the alphabet where there are too many."""
    gaps = [gap for gap in covered.gaps if not gap.passed_over]
    asked = min(len(gaps), MOST_GAPS)
    return tuple(gaps[at * len(gaps) // asked] for at in range(asked))


def _parts(pins: tuple[Pin, ...], words: str) -> list[tuple[Pin, ...]]:
    """Divide pins that were refused together: those that the refusal names, each alone; else into halves."""
    named = [pin for pin in pins if re.search(rf"(?<![\w.-]){re.escape(pin.name)}(?![\w.-])", words)]
    if len(named) < len(pins):
        rest = tuple(pin for pin in pins if pin not in named)
        if named:
            return [*((pin,) for pin in named), rest]
    middle = len(pins) // 2
    return [pins[:middle], pins[middle:]]


def _unasked(covered: Coverage, pins: int, gaps: int) -> Iterator[str]:
    passed_over = sum(gap.passed_over for gap in covered.gaps)
    if passed_over:
        yield f"{_counted(passed_over, 'gap')} not asked about: there is a wheel, which consumers pass over"
    if more := len(covered.gaps) - passed_over - gaps:
        yield f"{more} more gaps not asked about"
    if more := len(covered.served) - pins:
        yield f"{more} more pins not asked about, because too many were refused"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
