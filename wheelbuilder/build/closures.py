"""Resolves the closures of a list: walks along what pins require, and asks uv where it knows the platform.

uv sees nothing but wheels made up here, one for each pin of the walk, with that pin's requirements and
no code: nothing foreign can run, pins that exist only as sdists resolve like others, and equal
questions have equal answers, which are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.build import process
from wheelbuilder.build.library import Library
from wheelbuilder.build.requirements import sentence, uv
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.demands import Demands
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.closure import Closure, Walk
from wheelbuilder.plan.dependencies import Need, need

FORMAT = 1  # raised when uv is asked in another way
TIME_LIMIT = 120.0  # seconds for one resolution
EXTRA = re.compile(r'extra == "([^"]+)"')  # as normalized markers have it
SOME_GLIBC = {"major": 2, "minor": 17}  # it decides about wheels, and all that uv sees here are pure


def closures(listed: RequirementsList, library: Library) -> tuple[Closure, ...]:
    """Walk each branch on each target; what is unmet is in the result.

    Raises ConfigurationError for a line of a requirement file that cannot be honoured.
    """
    for demands in listed.demands.values():
        for line in demands.refused:
            raise ConfigurationError(f"{line}.", "Change the line, or name another requirement file.")
    walks = [
        Walk(branch, listed.demands[branch.branch], target, listed.unpinned)
        for branch in listed.branches
        for target in listed.targets
    ]
    while lacking := _proceed(walks, library):
        library.look_up(lacking)
    return tuple(walk.closure() for walk in walks)


def _proceed(walks: Iterable[Walk], library: Library) -> dict[Target, list[Pin]]:
    lacking: dict[Target, list[Pin]] = {}
    for walk in walks:
        if pins := walk.proceed(partial(library.of, target=walk.target)):
            lacking.setdefault(walk.target, []).extend(pins)
    return lacking


def resolved(listed: RequirementsList, catalogue: Catalogue, library: Library) -> RequirementsList:
    """Return a list in closure mode with what its closures reach.

    Raises ConfigurationError naming the origin of a requirement that no pin satisfies.
    """
    walked = closures(listed, library)
    refuse_unmet(walked, listed.name)
    questions = [_question(closure, listed.demands[closure.branch], catalogue, library) for closure in walked]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda question: _answer(question, library.cache), questions))
    found = tuple(zip(walked, answers, strict=True))
    return replace(
        listed,
        reached={(closure.branch, closure.target): names for closure, names in found},
        doubts=tuple(dict.fromkeys(doubt for pair in found for doubt in _doubts(*pair))),
        untold=tuple(dict.fromkeys(untold for closure in walked for untold in closure.untold)),
        floating=tuple(dict.fromkeys(line for closure in walked for line in _floating(closure))),
    )


def refuse_unmet(walked: Iterable[Closure], name: str) -> None:
    """Raise ConfigurationError for the first requirement that no pin satisfies. name: of the list."""
    unmet = [each for closure in walked for each in closure.unmet]
    if unmet:
        more = f"{len(unmet) - 1} more like it: " if len(unmet) > 1 else ""
        raise ConfigurationError(
            f"{unmet[0]}.", f"{more}`wheelbuilder list lint` names all that the list {name} has of these."
        )


def _doubts(closure: Closure, names: frozenset[NormalizedName]) -> Iterator[str]:
    yield from closure.doubts
    if differing := sorted(closure.projects ^ names):
        yield f"{closure.branch}, {closure.target}: uv and the walk disagree about {', '.join(differing)}"


def _floating(closure: Closure) -> Iterator[str]:
    for name in sorted(closure.floating):
        yield f"the branch {closure.branch} needs {name} and does not pin it: it is left out (unpinned)"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Question:
    """A resolution as uv is asked for it; platform: None where uv has no name for it.

    stubs: the METADATA of each pin by file name.
    """

    closure: Closure
    platform: str | None
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    stubs: Mapping[str, str]

    @property
    def digest(self) -> str:
        """What decides about the answer, as a file name."""
        target = self.closure.target
        parts = (FORMAT, self.platform, target.full_version, self.requirements, self.constraints)
        text = json.dumps((*parts, sorted(self.stubs.items())))
        return hashlib.sha256(text.encode()).hexdigest()


def _question(closure: Closure, demands: Demands, catalogue: Catalogue, library: Library) -> _Question:
    template = catalogue.architecture(closure.target).uv
    return _Question(
        closure=closure,
        platform=template and template.format(**SOME_GLIBC),
        requirements=tuple(
            str(demand.requirement)
            for demand in demands.wanted
            if canonicalize_name(demand.requirement.name) not in closure.floating
        ),
        constraints=(
            *(f"{pin.name}=={pin.version}" for pin in closure.pins),
            *(str(bound.requirement) for bound in demands.bounds),
        ),
        stubs=dict(_stub(pin, closure, library) for pin in closure.pins),
    )


def _stub(pin: Pin, closure: Closure, library: Library) -> tuple[str, str]:
    """Return the name and METADATA of the wheel that stands for a pin."""
    dependencies = library.of(pin, closure.target)
    assert dependencies is not None  # the walk has been there
    filename = f"{pin.name.replace('-', '_')}-{pin.version}-py3-none-any.whl"
    pinned = (words for words in dependencies.requires if not _is_of(words, closure.floating))
    return filename, _metadata(pin.name, str(pin.version), tuple(pinned))


def _is_of(words: str, projects: frozenset[NormalizedName]) -> bool:
    read = need(words)
    return read is not None and read.name in projects


@lru_cache(maxsize=4096)
def _metadata(name: str, version: str, requires: tuple[str, ...]) -> str:
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    needs = [read for words in requires if (read := need(words)) and not read.url]
    extras = sorted({extra for it in needs for extra in EXTRA.findall(it.marker or "")})
    lines += [f"Provides-Extra: {extra}\n" for extra in extras]
    return "".join([*lines, *(f"Requires-Dist: {_line(it)}\n" for it in needs)])


def _line(it: Need) -> str:
    extras = f"[{','.join(sorted(it.extras))}]" if it.extras else ""
    line = f"{it.name}{extras}{it.specifier}" + (f" ; {it.marker}" if it.marker else "")
    return " ".join(line.split())  # a line break in a marker would begin another field


def _answer(question: _Question, cache: Path) -> frozenset[NormalizedName]:
    if question.platform is None:
        return question.closure.projects
    kept = cache / "closures" / f"{question.digest}.json"
    with suppress(OSError, ValueError):
        return frozenset(map(canonicalize_name, json.loads(kept.read_bytes())))
    names = _ask(question)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False) as file:
        json.dump(sorted(names), file)
    Path(file.name).replace(kept)
    return names


def _ask(question: _Question) -> frozenset[NormalizedName]:
    closure = question.closure
    assert question.platform is not None  # else there is nobody to ask
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for filename, metadata in question.stubs.items():
            _write_stub(folder / filename, metadata)
        (folder / "constraints.txt").write_text("\n".join(question.constraints))
        argv = (
            *(uv(), "pip", "compile", "-", "--no-config", "--no-cache", "--offline", "--quiet"),
            *("--no-header", "--no-annotate", "--no-build", "--no-index", "--find-links", str(folder)),
            *("--no-python-downloads", "--python", sys.executable, "--prerelease", "allow"),
            *("--python-version", closure.target.full_version, "--python-platform", question.platform),
            *("--constraints", str(folder / "constraints.txt")),
        )
        done = process.run(argv, stdin="\n".join(question.requirements).encode(), timeout=TIME_LIMIT)
    if not done.ok:
        raise ConfigurationError(
            f"uv cannot resolve the requirements of the branch {closure.branch} for {closure.target}: "
            f"{sentence(done.stderr)}.",
            "The pins satisfy each other as far as their files say: report it with the list.",
        )
    return frozenset(canonicalize_name(line.partition("==")[0]) for line in done.stdout.split("\n") if line)


def _write_stub(path: Path, metadata: str) -> None:
    name, version = path.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
