"""Writes what the bench of foreign architectures has measured as Markdown tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from foreign_builds import REMOVAL, Row

from wheelbuilder.build import outcomes
from wheelbuilder.inputs.rungs import Rung

STEPS = (*map(str, outcomes.Step), REMOVAL)
LARGEST = 3  # packages, by what they take natively
MOST_PROGRAMS = 12
LETTERS = {Rung.NATIVE: "a", Rung.EMULATED: "b", Rung.TOOLCHAIN: "c"}
Measure = Callable[[Row], float]


def markdown(rows: Sequence[Row]) -> str:
    """Return all tables. Sums and means are over the packages that were built on all rungs."""
    rungs = {
        rung: {row.package: row for row in rows if row.rung == rung and not row.failed} for rung in LETTERS
    }
    packages = sorted(
        set.intersection(*(set(of) for of in rungs.values())),
        key=lambda it: rungs[Rung.NATIVE][it].wall,
    )
    failed = [f"- {row.package} ({LETTERS[Rung(row.rung)]}): {row.failed}" for row in rows if row.failed]
    parts = ["\n".join(failed), "\n".join(_steps(rows))]
    if packages:
        parts = [*map("\n".join, (_ratios(rungs, packages), _sums(rungs, packages))), *parts]
    if toolchain := [row for row in rows if row.rung == Rung.TOOLCHAIN and not row.failed]:
        parts.append("\n".join(_programs(toolchain)))
    return "\n\n".join(filter(None, parts))


def _ratios(rungs: dict[Rung, dict[str, Row]], packages: Sequence[str]) -> Iterator[str]:
    """Yield a line a package with wall and processor seconds of each rung, and their ratios."""
    titles = [f"{letter} {kind}" for kind in ("wall", "processor") for letter in ("a", "c", "b")]
    ratios = [f"{ratio} {kind}" for kind in ("wall", "processor") for ratio in ("c/a", "b/c")]
    yield from _head(["seconds", *titles, *ratios])
    for package in packages:
        yield _line(package, _figures(rungs, [package], sum))
    yield _line("**sum**", _figures(rungs, packages, sum))
    yield _line("**geometric mean**", _figures(rungs, packages, _geometric_mean))
    yield _line(f"**sum of the {LARGEST} largest**", _figures(rungs, packages[-LARGEST:], sum))


def _figures(
    rungs: dict[Rung, dict[str, Row]], packages: Sequence[str], joined: Callable[[Iterable[float]], float]
) -> list[str]:
    seconds, ratios = [], []
    for measure in (Measures.wall, Measures.cpu):
        native, toolchain, emulated = (
            joined(measure(rungs[rung][package]) for package in packages)
            for rung in (Rung.NATIVE, Rung.TOOLCHAIN, Rung.EMULATED)
        )
        seconds += [f"{it:.1f}" for it in (native, toolchain, emulated)]
        ratios += [f"{toolchain / native:.2f}", f"{emulated / toolchain:.2f}"]
    return [*seconds, *ratios]


class Measures:
    """What is taken of a row."""

    @staticmethod
    def wall(row: Row) -> float:
        """Wall seconds."""
        return row.wall

    @staticmethod
    def cpu(row: Row) -> float:
        """Processor seconds."""
        return row.cpu


def _geometric_mean(values: Iterable[float]) -> float:
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


def _sums(rungs: dict[Rung, dict[str, Row]], packages: Sequence[str]) -> Iterator[str]:
    """Yield a line a step, over all packages: where the time goes, and what is lost beside a native build."""
    yield from _head(["wall / processor seconds of a step", "a", "c", "b", "c - a"])
    for step in STEPS:
        taken = [
            [sum(rungs[rung][it].steps[step][kind] for it in packages) for kind in (0, 1)]
            for rung in (Rung.NATIVE, Rung.TOOLCHAIN, Rung.EMULATED)
        ]
        lost = [toolchain - native for native, toolchain in zip(taken[0], taken[1], strict=True)]
        yield _line(step, [f"{wall:.1f} / {cpu:.1f}" for wall, cpu in (*taken, lost)])


def _steps(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line a build with its steps."""
    yield from _head(["wall / processor seconds of a build", "", *STEPS])
    for row in sorted(rows, key=lambda it: (it.package.lower(), LETTERS[Rung(it.rung)])):
        if not row.failed:
            taken = [f"{wall:.1f} / {cpu:.1f}" for wall, cpu in (row.steps[step] for step in STEPS)]
            yield _line(row.package, [LETTERS[Rung(row.rung)], *taken])


def _programs(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line a program with its processor seconds; what was too short to be seen is one line."""
    total = sum((Counter(row.programs) for row in rows), Counter[str]())
    names = [name for name, _ in total.most_common(MOST_PROGRAMS)]
    yield from _head(["processor seconds of c by program", "sum", *(row.package for row in rows)])
    for name in names:
        taken = [row.programs.get(name, 0.0) for row in rows]
        yield _line(name, [f"{it:.1f}" for it in (sum(taken), *taken)])
    left = [row.cpu - sum(row.programs.get(name, 0.0) for name in names) for row in rows]
    yield _line("others, and what ended before it was seen", [f"{it:.1f}" for it in (sum(left), *left)])


def _head(titles: Sequence[str]) -> tuple[str, str]:
    return _line(titles[0], titles[1:]), _line("---", ["---:"] * (len(titles) - 1))


def _line(title: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join((title, *cells))} |"
