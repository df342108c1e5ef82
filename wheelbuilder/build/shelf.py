"""Keeps on this machine what builds gave, by build key: nothing that was built is built twice.

A build requirement stays; a pin's wheel goes once it is published. So a run that could not publish,
or was killed before it did, costs the next one nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelbuilder.build import untrusted
from wheelbuilder.build.outcomes import (
    Built,
    BuiltWheel,
    Compiled,
    FailureClass,
    Fall,
    Step,
    StepResult,
    Way,
)
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.plan.decisions import Build

if TYPE_CHECKING:
    from wheelbuilder.build.site import Site

OUTCOME = "outcome.json"
LOGS = "logs"
KEPT = 60 * 86400.0  # seconds since its last use


def place(build: Build, site: Site) -> Path:
    """Return the folder of one build: resolvers find its wheel there, and nothing else."""
    return site.wheelhouse(build.target) / f"key-{build.key}"


def put(built: Built, site: Site) -> Built:
    """Move a wheel and its logs onto the shelf, and return the outcome with where they are now."""
    folder = place(built.build, site)
    partial = folder.with_name(f".partial-{os.getpid()}-{secrets.token_hex(4)}")
    (partial / LOGS).mkdir(parents=True)
    built.wheel.path.rename(partial / built.wheel.filename)
    for step in built.steps:
        if step.log:
            step.log.rename(partial / LOGS / step.log.name)
    (partial / OUTCOME).write_text(json.dumps(_document(built)))
    untrusted.remove(folder)  # what could not be taken
    partial.rename(folder)
    return replace(
        built,
        wheel=replace(built.wheel, path=folder / built.wheel.filename),
        steps=tuple(replace(step, log=step.log and folder / LOGS / step.log.name) for step in built.steps),
    )


def take(build: Build, site: Site) -> Built | None:
    """Return what a build with this key gave; None if it is not there, or not as it was."""
    folder = place(build, site)
    try:
        built = _read(build, folder, json.loads((folder / OUTCOME).read_text()), site)
        with built.wheel.path.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == built.wheel.sha256
        os.utime(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return built if whole and built.sdist.exists() else None


def drop(build: Build, site: Site) -> None:
    """Let go of what is published."""
    untrusted.remove(place(build, site))


def sweep(cache: Path) -> None:
    """Remove what nobody has used for KEPT."""
    old = time.time() - KEPT
    untrusted.remove(*(it for it in cache.glob("wheelhouse/*/*") if it.stat().st_mtime < old))


def _document(built: Built) -> dict[str, Any]:
    return {
        "wheel": asdict(built.wheel) | {"path": built.wheel.filename},
        "requirements": built.requirements,
        "way": asdict(built.way),
        "steps": [asdict(step) | {"log": step.log and step.log.name} for step in built.steps],
    }


def _read(build: Build, folder: Path, document: dict[str, Any], site: Site) -> Built:
    wheel = document["wheel"]
    return Built(
        build=build,
        wheel=BuiltWheel(
            **wheel
            | {"path": folder / wheel["path"]}
            | {name: tuple(wheel[name]) for name in ("grafted", "outside")}
        ),
        sdist=site.sdists / build.sdist.sha256 / build.sdist.filename,
        way=_way(document["way"]),
        steps=tuple(_step(folder, step) for step in document["steps"]),
        requirements=tuple(document["requirements"]),
    )


def _way(row: dict[str, Any]) -> Way:
    fall = row["fall"]
    return Way(**row | {"rung": Rung(row["rung"]), "fall": fall and _fall(fall)})


def _fall(row: dict[str, Any]) -> Fall:
    return Fall(**row | {"rung": Rung(row["rung"]), "failure": FailureClass(row["failure"])})


def _step(folder: Path, step: dict[str, Any]) -> StepResult:
    log = step["log"] and folder / LOGS / step["log"]
    compiled = step["compiled"] and Compiled(**step["compiled"])
    return StepResult(**step | {"step": Step(step["step"]), "log": log, "compiled": compiled})
