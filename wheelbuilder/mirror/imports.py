"""Take over wheels that were built elsewhere: the same checks as for ours, then the same publication.

What an import asks in addition is in `wheelbuilder.build.foreign`, the trial installation in
`wheelbuilder.mirror.import_trials`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.build import foreign, wheelcheck
from wheelbuilder.build.outcomes import StepFailedError
from wheelbuilder.build.wheelcheck import WheelFacts
from wheelbuilder.errors import IntegrityError
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.pins import Origin, Pin
from wheelbuilder.inputs.recipes import Recipes
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import Published
from wheelbuilder.mirror.merge import named
from wheelbuilder.mirror.publish import Change, publish, rehearse
from wheelbuilder.mirror.states import Namesakes
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.wheels import NewWheel, read_wheel, wheel_name
from wheelbuilder.plan.files import FileName, IndexFile, accepts
from wheelbuilder.plan.upstream import UpstreamIndex


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What wheels are checked against.

    targets: a wheel must serve one of them; whose: what they are those of, for messages. chosen: the
    target that the operator names for every wheel. recipes: which libraries a wheel may leave to the system.
    """

    catalogue: Catalogue
    targets: tuple[Target, ...]
    whose: str
    chosen: Target | None = None
    recipes: Recipes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Complaint:
    """A wheel that is refused, and why: a sentence without its full stop."""

    filename: str
    problem: str

    def __str__(self) -> str:
        name = self.filename if self.filename.isprintable() else repr(self.filename)
        return f"{name}: {self.problem}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A wheel that is right. targets: those that accept it, of those it may be for; facts: what it holds."""

    wheel: NewWheel
    path: Path
    pin: Pin
    targets: tuple[Target, ...]
    facts: WheelFacts


def check(paths: Iterable[Path], terms: Terms) -> tuple[tuple[Checked, ...], tuple[Complaint, ...]]:
    """Read and check wheels one after the other: those that are right, and what is wrong with the others."""
    wheels: list[Checked] = []
    complaints: list[Complaint] = []
    for path in paths:
        try:
            wheels.append(_checked(path, terms))
        except IntegrityError as error:
            complaints.append(complaint(path, error.message))
        except StepFailedError as error:
            complaints.append(complaint(path, error.summary))
    return tuple(wheels), tuple(complaints)


def complaint(path: Path, message: str) -> Complaint:
    """Return what is wrong with a wheel; a message that begins with its name need not say it twice."""
    return Complaint(filename=path.name or str(path), problem=_problem(message, path))


def shadowing(wheels: Sequence[NewWheel], index: UpstreamIndex) -> tuple[Complaint, ...]:
    """Ask upstream which of the wheels would shadow one of its own that has other bytes."""
    wanted: dict[NormalizedName, set[Version]] = {}
    for wheel in wheels:
        name = wheel_name(wheel.filename)
        wanted.setdefault(name.project, set()).add(name.version)
    upstream = index.files(wanted)
    return tuple(_shadowing(wheels, upstream))


def take_over(
    store: Store, channel: str, wheels: Sequence[NewWheel], author: Author, *, cache: Path | None = None
) -> Published:
    """Publish checked wheels as one commit; IntegrityError, and nothing published, if one is refused."""
    done = publish(
        store,
        channel,
        _changes(wheels),
        run=author.run,
        now=author.now,
        note=author.note,
        strict=True,
        cache=cache,
    )
    for refused in done.refused:
        raise IntegrityError(f"{refused.filename}: {refused.reason}.", "Nothing was published.")
    return done


def rehearsed(
    store: Store, channel: str, wheels: Sequence[NewWheel], author: Author, *, cache: Path | None = None
) -> Published:
    """Say what `take_over` would come to, and write nothing; IntegrityError if a wheel would be refused."""
    return rehearse(store, channel, _changes(wheels), now=author.now, strict=True, cache=cache)


def _changes(wheels: Iterable[NewWheel]) -> list[Change]:
    return [Change(project=wheel_name(wheel.filename).project, wheels=(wheel,)) for wheel in wheels]


def _checked(path: Path, terms: Terms) -> Checked:
    if path.is_symlink() or not path.is_file():
        raise IntegrityError("it is not a regular file" if path.exists() else "there is no such file")
    try:
        name, wheel = wheel_name(path.name), read_wheel(path)
        pin = _pin(path, name)
        fitting = _fitting(wheel, terms)
        # With the newest libc, which accepts every older tag too.
        target = max(fitting, key=lambda target: (target.libc, target.libc_version, target.python))
        facts = wheelcheck.check(path, pin, target, terms.catalogue.architecture(target), repaired=True)
        exclude = terms.recipes.for_pin(pin).repair.exclude if terms.recipes else ()
        foreign.check(path, facts, {tag.platform for tag in name.tags}, exclude)
    except (ValueError, RuntimeError) as error:  # of what reads zip archives, METADATA and versions
        raise IntegrityError(f"it cannot be read: {error}") from None
    wheel = replace(wheel, target=str(terms.chosen) if terms.chosen else None)
    return Checked(wheel=wheel, path=path, pin=pin, targets=fitting, facts=facts)


def _fitting(wheel: NewWheel, terms: Terms) -> tuple[Target, ...]:
    file = IndexFile(filename=wheel.filename, url="", sha256="", requires_python=wheel.requires_python)
    fitting = tuple(target for target in terms.targets if accepts(target, file))
    if not fitting:
        asked = f" and Requires-Python {wheel.requires_python!r}" if wheel.requires_python else ""
        raise IntegrityError(f"no target of {terms.whose} accepts its tags{asked}")
    return fitting


def _pin(path: Path, name: FileName) -> Pin:
    """Return what a wheel's own name says as what was asked for: METADATA must then agree."""
    return Pin(
        name=name.project,
        raw_name=name.project,
        version=name.version,
        version_text=str(name.version),
        marker=None,
        origin=Origin(branch="import", file=path.name, line=1),
        branches=("import",),
        arbitrary=True,
    )


def _shadowing(
    wheels: Iterable[NewWheel], upstream: Mapping[NormalizedName, Sequence[IndexFile] | None]
) -> Iterator[Complaint]:
    known = {name: Namesakes(files or ()) for name, files in upstream.items()}
    for wheel in wheels:
        namesakes = known.get(wheel_name(wheel.filename).project)
        if namesakes and (theirs := namesakes.other(wheel.filename, wheel.sha256)):
            called = named(theirs, wheel.filename)
            problem = f"upstream serves {called} with other bytes; build it under a build tag"
            yield Complaint(filename=wheel.filename, problem=problem)


def _problem(message: str, path: Path) -> str:
    """Return a message as one line that does not begin with the file's name: that comes before."""
    words = " ".join(message.split())
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in words)
    for start in (f"{path.name}", f"{path.name!r}", f"{path}"):
        if line.startswith((f"{start}: ", f"{start} ")):
            said = line.removeprefix(start)
            line = said[2:] if said.startswith(":") else f"it{said}"
    return line.rstrip(".")
