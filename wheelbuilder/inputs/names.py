"""Names of projects as people write them (PEP 508, PEP 503)."""

from __future__ import annotations

import re

from packaging.utils import InvalidName, NormalizedName, canonicalize_name

from wheelbuilder.errors import ConfigurationError


def project_name(text: str, where: str = "") -> NormalizedName:
    """Return a project's name, normalized; ConfigurationError for what none can have. where: it stands."""
    try:
        return canonicalize_name(text, validate=True)
    except InvalidName:
        versioned = text.strip() and re.search(r"[<>=~!@;\[]", text)
        hint = "Write the name alone." if versioned else "A name has letters, digits, '.', '_' and '-'."
        raise ConfigurationError(f"{where}{text!r} is no project's name.", hint) from None
