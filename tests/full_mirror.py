"""A small mirror with one of everything: channels, commits, upstream's files, records, runs, a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from builds import WAY
from mirrors import NOW, upstream_file
from packaging.utils import canonicalize_name
from samples import X86, file, pin
from tinywheel import make_wheel

from wheelbuilder.build.outcomes import Built, BuiltWheel, Failed, FailureClass, Step, StepResult
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.mirror import snapshots
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import amend
from wheelbuilder.mirror.channels import Reference, promote
from wheelbuilder.mirror.layout import head_key
from wheelbuilder.mirror.merge import Merged
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import read_head
from wheelbuilder.mirror.settle import write
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.wheels import read_wheel
from wheelbuilder.plan.decisions import Build
from wheelbuilder.report.keep import keep, keep_run
from wheelbuilder.report.records import Record, record

RUNS = ("20260102T030405Z-aaaaaa", "20260103T030405Z-bbbbbb", "20260104T030405Z-cccccc")


def fill(store: Store, folder: Path, projects: Sequence[str]) -> None:
    """Publish in three runs, promote, and take a snapshot; `folder` is for what is built."""
    third = max(1, len(projects) // 3)
    parts = (projects[:third], projects[third : 2 * third], projects[2 * third :])
    for number, (run, names) in enumerate(zip(RUNS, parts, strict=True)):
        _run(store, folder, run, names)
        if number < 2:
            when = Author(run="", now=NOW + timedelta(days=number), note="tried")
            promote(store, Reference(channel="candidate"), "stable", when)
    snapshots.take(store, "stable", read_head(store, "stable").commit, now=NOW)
    first = canonicalize_name(projects[0])
    amend(store, "stable", {first: _without_upstream}, run="", now=NOW)
    for channel in ("candidate", "stable"):
        rested(store, channel)


def rested(store: Store, channel: str) -> None:
    """Have a head say what it says of a channel where nothing has changed for long."""
    head = replace(read_head(store, channel), trail={})
    assert write(store, head_key(channel), head.to_bytes(channel))


def _run(store: Store, folder: Path, run: str, names: Sequence[str]) -> None:
    outcomes = [_built(folder, name) for name in names]
    records = [*map(record, outcomes), record(_failed(folder, f"bad-{names[0]}"))]
    keep(store, records)
    changes = [_change(outcome) for outcome in outcomes]
    changes.append(
        Change(
            project=canonicalize_name(f"theirs-{names[0]}"),
            upstream=(upstream_file(f"theirs_{names[0]}-1.0.tar.gz"),),
        )
    )
    number = publish(store, "candidate", changes, run=run, now=NOW).number
    keep_run(store, run, _run_document(run, number, records))


def _run_document(run: str, number: int, records: Sequence[Record]) -> dict[str, object]:
    outcomes = [it.document() for it in records]
    return {"schema": 1, "run": run, "published": {"commit": number}, "outcomes": outcomes, "seconds": 1.5}


def _change(outcome: Built) -> Change:
    name = outcome.build.pin.name
    wheel = read_wheel(outcome.wheel.path, build_key=outcome.build.key, target=str(outcome.build.target))
    sdist = upstream_file(f"{name}-1.0.tar.gz", requires_python=">=3.8", size=7)
    return Change(project=name, wheels=(wheel,), upstream=(sdist,))


def _built(folder: Path, name: str) -> Built:
    path = make_wheel(folder, name, requires_python=">=3.8")
    sdist = folder / f"{name}-1.0.tar.gz"
    sdist.write_bytes(f"source of {name}".encode())
    wheel = BuiltWheel(
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
        requires_python=">=3.8",
    )
    return Built(
        build=_build(name, sdist), wheel=wheel, sdist=sdist, way=WAY, steps=_steps(folder, name, ok=True)
    )


def _failed(folder: Path, name: str) -> Failed:
    return Failed(
        build=_build(name, None),
        failure=FailureClass.COMPILER,
        step=Step.BUILD,
        summary="no compiler",
        steps=_steps(folder, name, ok=False),
    )


def _steps(folder: Path, name: str, *, ok: bool) -> tuple[StepResult, ...]:
    log = folder / f"{name}.log"
    log.write_text(f"compiling {name}\n")
    return (StepResult(step=Step.BUILD, seconds=0.25, ok=ok, log=log),)


def _build(name: str, sdist: Path | None) -> Build:
    wanted = pin(f"{name}===1.0")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest() if sdist else "d" * 64
    return Build(
        pin=wanted,
        target=X86,
        sdist=file(f"{name}-1.0.tar.gz", sha256=digest),
        recipe=Recipe(project=wanted.name),
        reason="no wheel",
        key=hashlib.sha256(name.encode()).hexdigest(),
    )


def _without_upstream(state: ProjectState) -> Merged:
    return Merged(state=ProjectState(name=state.name, files=state.files))


def flipped(data: bytes, position: int) -> bytes:
    """Return bytes with one bit of one of them changed."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


@contextmanager
def damaged(path: Path, data: bytes | None) -> Iterator[None]:
    """Replace a file's bytes, or remove it (None), for a while."""
    before = path.read_bytes()
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(before)
