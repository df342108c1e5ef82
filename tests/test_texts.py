from __future__ import annotations

import os
from pathlib import Path

import pytest

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.texts import MOST, read_text


def test_the_line_ends_of_every_system_are_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("ä===1\r\nb===2\rc===3\n".encode())
    assert read_text(tmp_path / "a.txt") == "ä===1\nb===2\nc===3\n"


def test_what_cannot_be_read_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"a===1\nb===\xe9\n")
    (tmp_path / "large.txt").write_bytes(b"")
    os.truncate(tmp_path / "large.txt", MOST + 1)
    for name, words in (
        ("none.txt", "there is no such file"),
        (".", "it is a directory"),
        ("latin.txt/x", "what it names as a directory is none"),
        ("latin.txt", "line 2 has the byte 0xe9, which is not UTF-8"),
        ("large.txt", "it has more than 16 MiB"),
        ("nul\0.txt", "embedded null byte"),
        ("n" * 300, "File name too long"),
    ):
        with pytest.raises(ConfigurationError) as error:
            read_text(tmp_path / name)
        assert error.value.message == f"{tmp_path / name} cannot be read: {words}."
        assert error.value.hint


def test_what_has_no_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigurationError, match="/dev/zero cannot be read: it has more than 16 MiB"):
        read_text(Path("/dev/zero"))
