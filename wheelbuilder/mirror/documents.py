"""JSON documents of the store: one form for equal values, a schema number, and a seal where it is needed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from packaging.utils import NormalizedName

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.tables import Table

SCHEMA = 1
SEAL = "~seal"  # key of the SHA-256 of the document's bytes without it; "~" sorts after all other keys
DIGITS = 64  # of a SHA-256 digest in hexadecimal
# What stands before a seal, after it, and in place of all three in the bytes that it is the digest of.
COMPACT = (b',"~seal":"', b'"}\n', b"}\n")
READABLE = (b',\n "~seal": "', b'"\n}\n', b"\n}\n")
NORMALIZED = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9]))*", re.ASCII)  # PEP 503
REPAIR = "Run 'wheelbuilder audit' on the store, then 'wheelbuilder audit --repair'."


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical(values: Mapping[str, object]) -> bytes:
    """Return the one JSON form of a document, in ASCII, so that no foreign string fails to encode."""
    return json.dumps({"schema": SCHEMA, **values}, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def sealed(values: Mapping[str, object]) -> bytes:
    """Return a document that says its own digest."""
    return _with_seal(canonical(values), COMPACT)


def readable(values: Mapping[str, object]) -> bytes:
    """Return a sealed document with one value a line, for those that people read."""
    document = {"schema": SCHEMA, **values}
    return _with_seal(json.dumps(document, sort_keys=True, indent=1).encode() + b"\n", READABLE)


def is_sealed(data: bytes) -> bool:
    """Say whether a document is whole: its digest is the one that it says, whatever its schema."""
    for before, after, end in (COMPACT, READABLE):
        body = data.removesuffix(after)
        head, seal = body[: -DIGITS - len(before)], body[-DIGITS:]
        if len(body) < len(data) and data == head + before + seal + after:
            return digest(head + end).encode() == seal
    return False


def parse(data: bytes, where: str) -> dict[str, Any]:
    """Read a document; IntegrityError names `where` if it is damaged, ConfigurationError if it is newer."""
    try:
        values = json.loads(data)
    except ValueError:  # UnicodeDecodeError and JSONDecodeError are such
        values = None
    if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
        raise IntegrityError(f"{where} is damaged: it is not what wheelbuilder writes.", REPAIR)
    if values["schema"] > SCHEMA:
        raise ConfigurationError(
            f"{where} has schema {values['schema']}, and this wheelbuilder knows none after {SCHEMA}.",
            "A newer wheelbuilder wrote it: use that one.",
        )
    return values


def unsealed(data: bytes, where: str) -> dict[str, Any]:
    """Read a sealed document of either form; errors as for `parse`, also where a byte was changed."""
    values = parse(data, where)
    if not is_sealed(data):
        raise IntegrityError(f"{where} is damaged: its bytes are not those it was sealed with.", REPAIR)
    del values[SEAL]
    return values


def table(data: bytes, where: str) -> Table:
    """Read a document as a table of typed values; errors as for `parse`."""
    return Table(parse(data, where), where)


def project_name(name: str, where: str) -> NormalizedName:
    """Return a project's name; IntegrityError where it is not normalized (PEP 503)."""
    if not NORMALIZED.fullmatch(name):
        raise IntegrityError(f"{where}: {name!r} is not a normalized project name.", REPAIR)
    return NormalizedName(name)


def _with_seal(data: bytes, form: tuple[bytes, bytes, bytes]) -> bytes:
    before, after, end = form
    return data.removesuffix(end) + before + digest(data).encode() + after
