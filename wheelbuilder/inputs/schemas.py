"""The JSON schemas (2020-12) of the files that people write, for editors and for checks before a run."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

NAMES = ("recipe", "list")


def schema(name: str) -> dict[str, Any]:
    """Return the schema of `recipe` or `list` files."""
    text = (files("wheelbuilder.inputs") / "data" / f"{name}.schema.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read
