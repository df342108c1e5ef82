"""Outcomes and runs as the JSON documents that are kept; everything else about them can be made again."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wheelbuilder import __version__
from wheelbuilder.build.outcomes import (
    Built,
    Covered,
    Failed,
    Fall,
    Outcome,
    StepResult,
    Unfinished,
    Way,
)
from wheelbuilder.mirror.documents import readable
from wheelbuilder.mirror.layout import record_key
from wheelbuilder.plan.coverage import Coverage, lines
from wheelbuilder.plan.decisions import Unavailable
from wheelbuilder.plan.plans import Plan
from wheelbuilder.report.falls import Fallen
from wheelbuilder.report.news import News
from wheelbuilder.shown import without_secrets

SCHEMA = 1
MOST_LOG = 64 << 20  # bytes of one step's log that are kept, from the end


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptLog:
    """A step's log as it is stored: gzip, named after the digest of the stored bytes."""

    key: str
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """An outcome as stored, with its logs."""

    outcome: Outcome
    logs: tuple[KeptLog | None, ...]  # one for each step

    @property
    def key(self) -> str:
        """Where the store keeps it."""
        return record_key(self.outcome.build.key)

    def without_data(self) -> Record:
        """Return it with the names of its logs only, once they are stored: a run may have thousands."""
        return replace(self, logs=tuple(log and KeptLog(key=log.key, data=b"") for log in self.logs))

    def document(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        build = self.outcome.build
        known = {
            "schema": SCHEMA,
            "key": build.key,
            "project": build.pin.name,
            "version": str(build.pin.version),
            "branches": list(build.pin.branches),
            "target": str(build.target),
            "reason": build.reason,
            "again": build.again,
            "build_tag": build.build_tag,
            "sdist": {"filename": build.sdist.filename, "sha256": build.sdist.sha256},
        }
        return known | _result(self.outcome) | {"steps": self._steps()}

    def _steps(self) -> list[dict[str, Any]]:
        return [_step(step, log) for step, log in zip(self.outcome.steps, self.logs, strict=True)]


def record(outcome: Outcome) -> Record:
    """Return the record of an outcome, reading its steps' logs from disk."""
    logs = tuple(_kept(step.log) if step.log else None for step in outcome.steps)
    return Record(outcome=outcome, logs=logs)


def run_document(
    *,
    run: str,
    list_name: str,
    channel: str,
    started: str,
    seconds: float,
    plan: Plan,
    records: Sequence[Record],
    unfinished: Sequence[Unfinished],
    told: News,
    fell: Sequence[Fallen],
    commit: int,
    changed: Sequence[str],
    refused: Sequence[dict[str, str]],
    unlisted: Sequence[dict[str, str]],
    coverage: Sequence[Coverage],
    quarantined: Sequence[str],
    untold: Sequence[str],
) -> dict[str, Any]:
    """Return a whole run as JSON values. started: RFC 3339; seconds: wall time."""
    return {
        "schema": SCHEMA,
        "wheelbuilder": __version__,
        "run": run,
        "list": list_name,
        "channel": channel,
        "started": started,
        "seconds": round(seconds, 3),
        "plan": {str(target): counts for target, counts in plan.counts().items()},
        "outcomes": [each.document() for each in records],
        "unfinished": [_unfinished(it) for it in unfinished],
        "news": told.document(),
        "fell": [it.document() for it in fell],
        "unavailable": [_unavailable(it) for it in plan.unavailable],
        "published": {
            "commit": commit,
            "changed": list(changed),
            "refused": list(refused),
            "unlisted": list(unlisted),
        },
        "coverage": list(lines(coverage)),
        "quarantined": list(quarantined),
        "untold": list(untold),
    }


def to_bytes(document: dict[str, Any]) -> bytes:
    """Return a document as it is stored: for people to read, and sealed, so that damage to it is noticed."""
    return readable(document)


def _unfinished(it: Unfinished) -> dict[str, Any]:
    pin, target = it.build.pin, it.build.target
    return {
        "project": pin.name,
        "version": str(pin.version),
        "target": str(target),
        "reason": it.reason,
    }


def _unavailable(it: Unavailable) -> dict[str, Any]:
    return {
        "project": it.pin.name,
        "version": str(it.pin.version),
        "branches": list(it.pin.branches),
        "target": str(it.target),
        "reason": it.reason,
    }


def _result(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Built(wheel=wheel):
            return {
                "outcome": "built",
                "wheel": {"filename": wheel.filename, "sha256": wheel.sha256, "size": wheel.size},
                "grafted": list(wheel.grafted),
                "needs": _needs(outcome),
                "build_environment": list(outcome.requirements),
                **_way(outcome.way),
                "earlier": [_attempt(failed) for failed in outcome.earlier],
            }
        case Covered():
            return {"outcome": "covered", "wheel": {"filename": outcome.filename}, "by": str(outcome.by)}
        case Failed():
            return {
                "outcome": "failed",
                "class": outcome.failure.value,
                "step": outcome.step.value,
                "summary": outcome.summary,
                "hint": outcome.hint,
                "lines": list(outcome.lines),
                "passing": outcome.passing,
                "blocked_by": list(outcome.blocked_by),
                **_way(outcome.way),
                "earlier": [_attempt(failed) for failed in outcome.earlier],
            }


def _needs(outcome: Built) -> dict[str, list[str]]:
    """Return what a consumer must have installed: libraries by soname, and the packages that bring them."""
    recipe = outcome.build.recipe
    return {
        "libraries": list(outcome.wheel.outside),
        "deb": list(recipe.runtime_deb),
        "rpm": list(recipe.runtime_rpm),
    }


def _attempt(failed: Failed) -> dict[str, Any]:
    return {
        "class": failed.failure.value,
        "step": failed.step.value,
        "summary": failed.summary,
        "rung": failed.way and failed.way.rung.value,
    }


def _way(way: Way | None) -> dict[str, Any]:
    """Return the rung and why that one; all None if a build failed before it was chosen."""
    return {
        "rung": way and way.rung.value,
        "rung_reason": way and way.reason,
        "toolchain": (way and way.toolchain) or None,
        "fell": way and way.fall and _fall(way.fall),
    }


def _fall(fall: Fall) -> dict[str, Any]:
    return {
        "from": fall.rung.value,
        "class": fall.failure.value,
        "summary": fall.summary,
        "remembered": fall.remembered,
    }


def _step(step: StepResult, log: KeptLog | None) -> dict[str, Any]:
    known = {
        "step": step.step.value,
        "attempt": step.attempt,
        "seconds": step.seconds,
        "ok": step.ok,
        "network": step.network,
        "peak_memory": step.peak_memory,
    }
    compiled = {"compiler_cache": asdict(step.compiled)} if step.compiled else {}
    return known | compiled | ({"log": log.key} if log else {})


def _kept(path: Path) -> KeptLog:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST_LOG))
        text = file.read().decode("latin-1")  # any bytes are, and come back as they were
        data = gzip.compress(without_secrets(text).encode("latin-1"), mtime=0)
    return KeptLog(key=f"logs/{hashlib.sha256(data).hexdigest()}.log.gz", data=data)
