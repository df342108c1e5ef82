"""Write again what should be there already, where it is gone or damaged."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from wheelbuilder.build import scratch
from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.layout import cache_control, content_type
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.wheels import file_digest


def renew(store: Store, key: str, data: bytes | Path) -> None:
    """Make sure that a key holds these bytes, which are all that it may ever hold. data: a Path is a file."""
    if not _holds(store, key, data):
        store.put(key, data, content_type=content_type(key), cache_control=cache_control(key))


def _holds(store: Store, key: str, data: bytes | Path) -> bool:
    with suppress(IntegrityError):  # the store's own word that it is damaged
        if isinstance(data, Path):
            return _holds_file(store, key, data)
        found = store.get(key)
        return found is not None and found.data == data
    return False


def _holds_file(store: Store, key: str, file: Path) -> bool:
    if (key, file.stat().st_size) not in {(listed.key, listed.size) for listed in store.list(key)}:
        return False
    with scratch.temporary("publish") as folder:
        there = Path(folder, "object")
        return store.download(key, there) and file_digest(there) == file_digest(file)
