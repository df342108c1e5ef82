"""Keeps the experience of a channel's builds in the store: one document, read once a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.mirror.documents import sealed, unsealed
from wheelbuilder.mirror.layout import cache_control, content_type, experience_key
from wheelbuilder.mirror.store import Store
from wheelbuilder.plan.experience import Cost, Experience, Lessons
from wheelbuilder.plan.past import PastFailure, PastFall

KEPT = timedelta(days=180)  # for failures of pins that no run has met since
MOST_TRIES = 20
DATES = ("first", "last", "expires")


class Memory:
    """What the store knows of earlier builds. Several jobs may learn at once: each adds what it has learned.

    A document that is damaged or of a newer version counts as missing: what it said is learned again.
    """

    def __init__(self, store: Store, channel: str) -> None:
        self._store = store
        self._key = experience_key(channel)
        self._experience, self._etag = self._read()

    @property
    def experience(self) -> Experience:
        """What is known by now."""
        return self._experience

    def learn(self, lessons: Lessons, today: date) -> None:
        """Add to what the store knows; nothing to add writes nothing."""
        if not lessons:
            return
        with self._store.exclusive():
            for _ in range(MOST_TRIES):
                learned = self._experience.with_lessons(lessons).forgetting(today - KEPT)
                if etag := self._write(learned):
                    self._experience, self._etag = learned, etag
                    return
                self._experience, self._etag = self._read()

    def _read(self) -> tuple[Experience, str | None]:
        found = self._store.get(self._key)
        return (parsed(found.data, self._key), found.etag) if found else (Experience(), None)

    def _write(self, experience: Experience) -> str | None:
        return self._store.put(
            self._key,
            to_bytes(experience),
            content_type=content_type(self._key),
            cache_control=cache_control(self._key),
            if_match=self._etag,
            if_none_match=self._etag is None,
        )


def to_bytes(experience: Experience) -> bytes:
    """Return the document that holds an experience."""
    failures = sorted(experience.failures.values(), key=lambda it: (it.attempt[:3], it.build_tag or 0))
    costs = {
        project: {target: [cost.seconds, cost.peak_memory] for target, cost in known.items()}
        for project, known in experience.costs.items()
    }
    falls = [fall_document(fall) for _, fall in sorted(experience.falls.items())]
    return sealed({"failures": [_row(failure) for failure in failures], "costs": costs, "falls": falls})


def parsed(data: bytes, where: str) -> Experience:
    """Read a document; one that cannot be read tells nothing."""
    try:
        values = unsealed(data, where)
        failures = [_failure(row) for row in values["failures"]]
        costs = {project: _costs(known) for project, known in values["costs"].items()}
        falls = [_fall(row) for row in values.get("falls", ())]  # an older document has none
    except (ConfigurationError, IntegrityError, ValueError, KeyError, TypeError, AttributeError):
        return Experience()
    return Experience(
        failures={failure.key: failure for failure in failures},
        costs=costs,
        falls={fall.place: fall for fall in falls},
    )


def fall_document(fall: PastFall) -> dict[str, Any]:
    """Return a fall as JSON values."""
    return _row(fall)


def _row(past: PastFailure | PastFall) -> dict[str, Any]:
    return asdict(past) | {name: getattr(past, name).isoformat() for name in DATES}


def _dates(row: Mapping[str, Any]) -> dict[str, date]:
    return {name: date.fromisoformat(row[name]) for name in DATES}


def _failure(row: Mapping[str, Any]) -> PastFailure:
    return PastFailure(**{**row, **_dates(row), "blocked_by": tuple(row["blocked_by"])})


def _fall(row: Mapping[str, Any]) -> PastFall:
    return PastFall(**{**row, **_dates(row), "rung": Rung(row["rung"])})


def _costs(known: Mapping[str, Any]) -> dict[str, Cost]:
    return {target: Cost(seconds=seconds, peak_memory=memory) for target, (seconds, memory) in known.items()}
