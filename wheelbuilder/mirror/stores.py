"""From a store's address to the store."""

from __future__ import annotations

import os
from pathlib import Path

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.store import Store

SCHEME = "s3://"


def open_store(address: str) -> Store:
    """Open a store by its address: a directory, which need not exist yet, or s3://bucket/prefix.

    Errors: ConfigurationError (not an address, boto3 missing, AWS settings that cannot be).
    """
    if address.startswith(SCHEME):
        return _open_bucket(address)
    if "://" in address or address.lower().startswith("s3:") or not address.strip() or "\0" in address:
        raise ConfigurationError(
            f"{address!r} is not the address of a store.",
            "Give the path of a directory, or s3://bucket/prefix.",
        )
    return DirectoryStore(Path(address))


def lacking(store: Store, channel: str) -> str:
    """Say in words what a store lacks that has nothing of a channel: the channel, or all of it."""
    exists = not isinstance(store, DirectoryStore) or store.is_there
    return f"has no channel {channel!r}" if exists else "does not exist"


def open_existing(address: str) -> Store:
    """Open a store to read what somebody published: a directory has to be there.

    Errors: those of `open_store`, ConfigurationError.
    """
    store = open_store(address)
    if isinstance(store, DirectoryStore) and not store.is_there:
        raise ConfigurationError(
            f"The store {store.path} does not exist.", "Check the path, or publish first."
        )
    return store


def directory_of(address: str) -> Path:
    """Return the directory of a store that is one; ConfigurationError for one that is not, or not there."""
    if address.lower().startswith(SCHEME):
        raise ConfigurationError(
            f"{address} is a bucket, and only directories are served.",
            "Give installers the bucket's own URL, or copy it: wheelbuilder sync BUCKET DIRECTORY.",
        )
    store = open_existing(address)
    assert isinstance(store, DirectoryStore)
    return store.path


def look_at(address: str) -> str:
    """Try a store, writing and removing keys of our own, and say how several writers get on in it.

    Errors: UnreachableError or ConfigurationError, where it cannot be opened, read or written.
    """
    store = open_store(address)
    if isinstance(store, DirectoryStore):
        return f"{_look_into(store)}; a lock of the file system arbitrates between writers"
    from wheelbuilder.mirror.s3 import S3Store

    assert isinstance(store, S3Store)
    return f"{address} answers and can be written; {store.look()}"


def _look_into(store: DirectoryStore) -> str:
    there = store.is_there
    if not os.access(_nearest(store.path), os.W_OK):
        raise UnreachableError(f"The directory {store.path} cannot be written.", "Give this user the right.")
    return f"{store.path} can be written" if there else f"{store.path} does not exist yet and can be made"


def _nearest(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _nearest(path.parent)


def _open_bucket(address: str) -> Store:
    try:
        from wheelbuilder.mirror.s3 import S3Store
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("boto3", "botocore"):
            raise
        raise ConfigurationError(
            f"The store {address} needs boto3, which is not installed.",
            "Install it: pip install 'wheelbuilder[s3]'",
        ) from None
    return S3Store(address)
