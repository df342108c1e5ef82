"""From a store's address to the store."""

from __future__ import annotations

from pathlib import Path

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.store import Store


def open_store(address: str) -> Store:
    """Open a store by its address: the path of a directory, which need not exist yet."""
    if address.startswith("s3://"):
        raise ConfigurationError(
            f"{address}: object storage is not supported yet.", "Give a directory, and copy it for now."
        )
    if "://" in address or not address.strip() or "\0" in address:
        raise ConfigurationError(
            f"{address!r} is not the address of a store.", "Give the path of a directory."
        )
    return DirectoryStore(Path(address))
