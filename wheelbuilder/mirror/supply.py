"""Puts wheels and their metadata into a store, before anything refers to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.layout import BLOB_TYPE, IMMUTABLE, blob_keys
from wheelbuilder.mirror.marks import rescue
from wheelbuilder.mirror.renew import renew
from wheelbuilder.mirror.states import MirrorFile
from wheelbuilder.mirror.store import Store, each
from wheelbuilder.mirror.wheels import NewWheel, file_digest


class Supplier:
    """Puts wheels into the store, each once, however often a lost race asks for it."""

    def __init__(self, store: Store, wheels: Mapping[str, NewWheel]) -> None:
        self._store = store
        self._wheels = wheels
        self._done: set[str] = set()

    def __call__(self, files: Sequence[MirrorFile]) -> None:
        """Put the wheels of these files; what is there already is kept from being pruned, and made whole."""
        todo = [file for file in files if file.key not in self._done]
        new = each(self._create, todo)
        if there := [file for file, created in zip(todo, new, strict=True) if not created]:
            rescue(self._store, [key for file in there for key in blob_keys(file.key)])
            each(self._renew, there)  # a prune may have been quicker, and the bytes may be damaged
        self._done |= {file.key for file in todo}

    def _create(self, file: MirrorFile) -> bool:
        """Put a wheel, then its metadata; False if something was there already."""
        wheel = self._wheels[file.sha256]
        new = [_create(self._store, key, data) for key, data in _objects(self._store, wheel, file.key)]
        return wheel.path is not None and all(new)

    def _renew(self, file: MirrorFile) -> None:
        for key, data in _objects(self._store, self._wheels[file.sha256], file.key):
            renew(self._store, key, data)


def _objects(store: Store, wheel: NewWheel, key: str) -> Iterator[tuple[str, bytes | Path]]:
    """Yield what to store of a wheel, in this order: its file, unless that is there, and its metadata."""
    if wheel.path is None:
        if not any((listed.key, listed.size) == (key, wheel.size) for listed in store.list(key)):
            raise IntegrityError(f"{key} is not in the store, or not whole.", "Build the wheel again.")
    elif file_digest(wheel.path) != wheel.sha256:
        raise IntegrityError(
            f"{wheel.path} does not have the digest it was built with.", "Build the wheel again."
        )
    else:
        yield key, wheel.path
    yield f"{key}.metadata", wheel.metadata


def _create(store: Store, key: str, data: bytes | Path) -> bool:
    etag = store.put(key, data, content_type=BLOB_TYPE, cache_control=IMMUTABLE, if_none_match=True)
    return etag is not None
