"""The mirrors that `publish.py` measures: projects of tiny wheels, with files of upstream's."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name

from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import blob_key
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.wheels import NewWheel
from wheelbuilder.plan.files import IndexFile

CHANNEL = "stable"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UPSTREAM = 10  # files of a pin
METADATA = b"Metadata-Version: 2.1\nName: project\nVersion: 1\n"


def make_mirror(folder: Path, projects: int, per_project: int) -> list[Change]:
    """Make a mirror in a directory by an ordinary publication; returns the changes that made it."""
    changes = [_change(number, per_project) for number in range(projects)]
    for change in changes:
        for wheel in change.wheels:
            _write(folder / blob_key(wheel.sha256, wheel.filename), _content(wheel.filename))
    publish(DirectoryStore(folder), CHANNEL, changes, run="bench", now=NOW)
    return changes


def link_wheels(folder: Path, tree: Path) -> int:
    """Link a mirror's wheels into a tree that holds nothing else; returns how many they are."""
    wheels = [*folder.glob("files/*/*.whl")]
    for wheel in wheels:
        target = tree / wheel.relative_to(folder)
        target.parent.mkdir(parents=True)
        os.link(wheel, target)
    return len(wheels)


def write_offers(folder: Path, changes: Sequence[Change], pins: int) -> dict[str, Path]:
    """Write what runs publish: `nightly` upstream's files of some pins, `all` everything once more."""
    nightly = [Change(project=change.project, upstream=change.upstream) for change in changes[:pins]]
    return {
        "nightly": _pickled(folder / "nightly", nightly),
        "all": _pickled(folder / "all", list(changes)),
    }


def one_wheel(folder: Path, project: str, version: int) -> Path:
    """Write the publication of one new wheel of a project, with upstream's files as a run has them."""
    filename = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
    wheel = _wheel(filename, path=folder / filename)
    (folder / filename).write_bytes(_content(filename))
    _, _, number = project.partition("project-")
    upstream = tuple(_upstream(int(number))) if number else ()
    change = Change(project=canonicalize_name(project), wheels=(wheel,), upstream=upstream)
    return _pickled(folder / filename.replace(".whl", ".offer"), [change])


def _change(number: int, per_project: int) -> Change:
    project = f"project-{number}"
    return Change(
        project=canonicalize_name(project),
        wheels=tuple(_wheel(f"project_{number}-1.{file}-py3-none-any.whl") for file in range(per_project)),
        upstream=tuple(_upstream(number)),
    )


def _upstream(number: int) -> Iterator[IndexFile]:
    names = [f"cp{310 + file}-cp{310 + file}-manylinux_2_28_x86_64.whl" for file in range(UPSTREAM - 1)]
    for filename in (f"project_{number}-2.0.tar.gz", *(f"project_{number}-2.0-{name}" for name in names)):
        digest = _sha256(filename.encode())
        yield IndexFile(
            filename=filename,
            url=f"https://files.example.org/packages/{digest}/{filename}",
            sha256=digest,
            size=123456,
            requires_python=">=3.9",
            upload_time="2026-01-02T03:04:05Z",
            metadata_sha256=_sha256(f"{filename}.metadata".encode()),
        )


def _wheel(filename: str, path: Path | None = None) -> NewWheel:
    content = _content(filename)
    return NewWheel(
        filename=filename,
        sha256=_sha256(content),
        size=len(content),
        metadata=METADATA,
        path=path,
        requires_python=">=3.9",
        build_key=_sha256(f"{filename}.key".encode()),
        target="cp311-manylinux_2_28_x86_64",
    )


def _content(filename: str) -> bytes:
    return f"a wheel called {filename}".encode()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def _pickled(path: Path, changes: list[Change]) -> Path:
    path.write_bytes(pickle.dumps(changes))
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
