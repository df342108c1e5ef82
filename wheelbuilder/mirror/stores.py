"""From a store's address to the store."""

from __future__ import annotations

from pathlib import Path

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.store import Store

SCHEME = "s3://"


def open_store(address: str) -> Store:
    """Open a store by its address: a directory, which need not exist yet, or s3://bucket/prefix.

    Errors: ConfigurationError (not an address, boto3 missing, AWS settings that cannot be).
    """
    if address.startswith(SCHEME):
        return _open_bucket(address)
    if "://" in address or not address.strip() or "\0" in address:
        raise ConfigurationError(
            f"{address!r} is not the address of a store.",
            "Give the path of a directory, or s3://bucket/prefix.",
        )
    return DirectoryStore(Path(address))


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
