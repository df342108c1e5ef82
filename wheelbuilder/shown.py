"""Foreign text as people may see it: nothing that a terminal would obey, no secrets out of addresses."""

from __future__ import annotations

import re

HIDDEN = "***"
# What stands before the host: a name alone too in web addresses, where it may be a token.
USER = re.compile(r"(?:(?<=http://)|(?<=https://)|(?<=://)(?=[^\s/?#\"]*:))[^\s/?#\"]+@", re.IGNORECASE)
# The secret keys of object stores hold slashes.
KEYS = re.compile(r"(?<=s3://)[^\s?\"]*:[^\s?\"]*@", re.IGNORECASE)
VALUES = re.compile(
    r"(?<=[?&])([^\s=&#]*(?:auth|cred|key|passw|pwd|secret|sig|token)[^\s=&#]*=)[^\s&#'\"]+", re.IGNORECASE
)


def visible(text: str) -> str:
    """Return a text in which what is no printable character is written as its escape, a tab apart.

    Control and escape sequences, line breaks, what reverses the direction of text, what has no width, and
    bytes that are no text. What is visible already stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else _escape(char) for char in text)


def without_secrets(text: str) -> str:
    """Return a text in which addresses hold no user name, password, key or token."""
    if "://" not in text:
        return text
    text = USER.sub(f"{HIDDEN}@", KEYS.sub(f"{HIDDEN}@", text))
    return VALUES.sub(rf"\1{HIDDEN}", text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
