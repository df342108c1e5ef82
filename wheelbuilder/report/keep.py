"""Puts outcomes into the store: logs and sources first, then the records that name them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wheelbuilder.build.outcomes import Built
from wheelbuilder.mirror.layout import cache_control, content_type, run_key
from wheelbuilder.mirror.store import Store
from wheelbuilder.report.records import Record, to_bytes


def keep(store: Store, records: Iterable[Record]) -> None:
    """Store the logs of outcomes, the sdists of wheels, and the records; nothing else of what failed."""
    for record in records:
        for log in record.logs:
            if log is not None:
                _create(store, log.key, log.data)
        if isinstance(record.outcome, Built):
            sdist = record.outcome.build.sdist
            _create(store, f"sdists/{sdist.sha256}/{sdist.filename}", record.outcome.sdist)
        _put(store, record.key, to_bytes(record.document()))


def keep_run(store: Store, run: str, document: dict[str, Any]) -> str:
    """Store the record of a run and return its key."""
    key = run_key(run)
    _put(store, key, to_bytes(document))
    return key


def _create(store: Store, key: str, data: bytes | Path) -> None:
    store.put(key, data, content_type=content_type(key), cache_control=cache_control(key), if_none_match=True)


def _put(store: Store, key: str, data: bytes) -> None:
    store.put(key, data, content_type=content_type(key), cache_control=cache_control(key))
