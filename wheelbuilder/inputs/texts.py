"""Reads the text files that people write, and says in plain words why one cannot be read."""

from __future__ import annotations

from pathlib import Path

from wheelbuilder.errors import ConfigurationError

MOST = 16 << 20  # bytes: a file that pins every project there is would be smaller
KNOWN: tuple[tuple[type[OSError], str], ...] = (
    (FileNotFoundError, "there is no such file"),
    (IsADirectoryError, "it is a directory"),
    (NotADirectoryError, "what it names as a directory is none"),
    (PermissionError, "this user may not read it"),
)


def read_text(path: Path, *, most: int = MOST) -> str:
    """Return the text of a file, its line ends as `\\n`; raises ConfigurationError naming it and why not.

    most: bytes that it may have.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ConfigurationError(f"{path} cannot be read: {why(error)}.", "Check the path.") from None
    if len(data) > most:
        raise ConfigurationError(
            f"{path} cannot be read: it has more than {most >> 20} MiB.", "Check the path."
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} cannot be read: {why(error)}.", "Save it as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def why(error: Exception) -> str:
    """Return why a file cannot be read, as the end of a sentence."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"line {line} has the byte 0x{error.object[error.start]:02x}, which is not UTF-8"
    if isinstance(error, OSError):
        known = (words for kind, words in KNOWN if isinstance(error, kind))
        return next(known, error.strerror or str(error))
    return str(error)
