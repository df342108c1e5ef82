"""Reads what pinned versions require from the files of an index, each once, and runs none of them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import requests
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.build.archives import texts
from wheelbuilder.build.fetching import fetch
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.wheelcheck import UNREADABLE, requires_dist
from wheelbuilder.errors import IntegrityError, UnreachableError
from wheelbuilder.inputs.http import TIMEOUT, beginning, session, shown, unreachable
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.dependencies import (
    DOUBTFUL,
    Certainty,
    Dependencies,
    nothing_known,
    of_sdist,
    of_wheel,
    telling_file,
    telling_wheel,
    tells,
)
from wheelbuilder.plan.files import SHA256, IndexFile
from wheelbuilder.plan.upstream import UpstreamIndex

CONNECTIONS = 16  # requests at a time
FORMAT = 1  # raised when what is kept of a file is read in another way
NO_FILE = "upstream has no file of it"
MISSING = (404, 410)
MOST_METADATA = 16 << 20  # bytes; the largest real ones have a few hundred kilobytes

Question = tuple[NormalizedName, Version, Target]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What a channel serves itself. metadata: reads it of one of its wheels; None if it is gone."""

    files: Mapping[NormalizedName, Sequence[IndexFile]]
    metadata: Callable[[IndexFile], bytes | None]


@dataclass(kw_only=True)
class Library:
    """What pins of an index require. cache: a folder for what was read, and for files that were fetched.

    published: our own wheels, asked where the index does not tell for certain: building tells.
    """

    index: UpstreamIndex
    cache: Path
    published: Published | None = None
    _pages: dict[tuple[NormalizedName, Version], tuple[IndexFile, ...]] = field(default_factory=dict)
    _chosen: dict[Question, IndexFile | None] = field(default_factory=dict)
    _read: dict[str, Dependencies] = field(default_factory=dict)

    def of(self, pin: Pin, target: Target) -> Dependencies | None:
        """Return what a pin requires on a target; None where that has not been looked up."""
        question = (pin.name, pin.version, target)
        if question not in self._chosen:
            return None
        file = self._chosen[question]
        return self._read[_identity(file)] if file else nothing_known(NO_FILE)

    def look_up(self, wanted: Mapping[Target, Iterable[Pin]]) -> None:
        """Look pins up, all at once.

        Raises UnreachableError if the index or a file cannot be had, and IntegrityError if a file is not what
        its digest says.
        """
        asked = [(pin, target) for target, pins in wanted.items() for pin in pins]
        self._ask_for_pages({(pin.name, pin.version) for pin, _ in asked} - self._pages.keys())
        for pin, target in asked:
            files = self._pages[pin.name, pin.version]
            self._chosen[pin.name, pin.version, target] = telling_file(pin, target, files)
        chosen = {_identity(file): file for file in self._chosen.values() if file}
        unread = {identity: file for identity, file in chosen.items() if identity not in self._read}
        with session(connections=CONNECTIONS) as connection, ThreadPoolExecutor(CONNECTIONS) as pool:
            found = pool.map(lambda file: self._dependencies(file, connection), unread.values())
            self._read |= dict(zip(unread, found, strict=True))
        if self.published:
            self._ask_published(self.published, asked)

    def _ask_published(self, published: Published, asked: Iterable[tuple[Pin, Target]]) -> None:
        """Choose our own wheels for what upstream's files leave in doubt."""
        own: dict[Question, IndexFile] = {}
        for pin, target in asked:
            known = self.of(pin, target)
            wheel = telling_wheel(pin, target, published.files.get(pin.name, ()))
            if known and known.certainty in DOUBTFUL and wheel:
                own[pin.name, pin.version, target] = wheel
        unread = {_identity(file): file for file in own.values() if _identity(file) not in self._read}
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            found = pool.map(lambda file: self._from_published(file, published), unread.values())
            self._read |= {name: it for name, it in zip(unread, found, strict=True) if it}
        self._chosen |= {question: file for question, file in own.items() if _identity(file) in self._read}

    def _ask_for_pages(self, wanted: set[tuple[NormalizedName, Version]]) -> None:
        versions: dict[NormalizedName, set[Version]] = {}
        for name, version in wanted:
            versions.setdefault(name, set()).add(version)
        pages = self.index.files(versions)
        self._pages |= {(name, version): pages[name] or () for name, version in wanted}

    def _dependencies(self, file: IndexFile, connection: requests.Session) -> Dependencies:
        kept = self._place(file)
        if known := _kept(kept):
            return known
        read = self._from_wheel(file, connection) if file.is_wheel else self._from_sdist(file, connection)
        _keep(kept, read)
        return read

    def _from_published(self, file: IndexFile, published: Published) -> Dependencies | None:
        kept = self._place(file)
        if known := _kept(kept):
            return known
        metadata = published.metadata(file)
        if metadata is None:  # `audit` tells of it
            return None
        _check(metadata, file, f"{file.url}.metadata", "Repair the mirror: wheelbuilder audit --repair.")
        read = of_wheel(metadata, file.filename)
        _keep(kept, read)
        return read

    def _place(self, file: IndexFile) -> Path:
        return self.cache / "dependencies" / _identity(file)[:2] / f"{_identity(file)}.json"

    def _from_wheel(self, file: IndexFile, connection: requests.Session) -> Dependencies:
        metadata = _metadata(file, connection) if file.metadata_sha256 is not None else None
        if metadata is not None:
            return of_wheel(metadata, file.filename)
        try:
            requires = requires_dist(self._fetched(file, "wheels", connection))
        except (StepFailedError, *UNREADABLE):  # installers cannot read it either
            return nothing_known(file.filename)
        return Dependencies(requires=requires, certainty=Certainty.WHEEL, file=file.filename)

    def _from_sdist(self, file: IndexFile, connection: requests.Session) -> Dependencies:
        archive = self._fetched(file, "sdists", connection)
        try:
            return of_sdist(texts(archive, tells), file.filename)
        except StepFailedError:  # its build will say what is wrong with it
            return nothing_known(file.filename)

    def _fetched(self, file: IndexFile, folder: str, connection: requests.Session) -> Path:
        try:
            return fetch(file, self.cache / folder, connection)
        except StepFailedError as error:
            kind = IntegrityError if error.failure is FailureClass.BAD_DIGEST else UnreachableError
            raise kind(f"{error.summary}.", error.hint) from None


def _identity(file: IndexFile) -> str:
    """Return a digest that files share only if they say the same."""
    said = file.metadata_sha256 or ""
    return said if SHA256.fullmatch(said) else file.sha256


def _metadata(file: IndexFile, connection: requests.Session) -> bytes | None:
    """Return the METADATA that the index serves beside a wheel (PEP 658), None if it does not after all."""
    url = f"{file.url}.metadata"
    try:
        with connection.get(url, timeout=TIMEOUT, stream=True) as response:
            if response.status_code in MISSING:
                return None
            response.raise_for_status()
            # More than any METADATA has is cut off: that has another digest.
            content = beginning(response, MOST_METADATA + 1)
    except requests.RequestException as error:
        raise unreachable(url, error) from None
    _check(content, file, shown(url), "Tell the index; installers refuse the wheel too.")
    return content


def _check(metadata: bytes, file: IndexFile, place: str, hint: str) -> None:
    digest = hashlib.sha256(metadata).hexdigest()
    if file.metadata_sha256 not in ("", digest):
        raise IntegrityError(
            f"{place} is not what its digest says: the index says {file.metadata_sha256}, "
            f"the bytes give {digest}.",
            hint,
        )


def _kept(path: Path) -> Dependencies | None:
    try:
        read = json.loads(path.read_bytes())
        if read["format"] != FORMAT:
            return None
        return Dependencies(
            requires=tuple(map(str, read["requires"])),
            certainty=Certainty(read["certainty"]),
            file=str(read["file"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(path: Path, read: Dependencies) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump({"format": FORMAT} | asdict(read), file)
    Path(file.name).replace(path)
