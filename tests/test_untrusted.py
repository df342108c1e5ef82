from __future__ import annotations

import os
from pathlib import Path

import pytest

from wheelbuilder.build import untrusted


def test_a_small_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    assert untrusted.read(tmp_path / "file", 4) == b"four"
    assert untrusted.read(tmp_path / "file", 3) is None


@pytest.mark.parametrize("kind", ["nothing", "link", "pipe", "folder", "device"])
def test_nothing_else_is(kind: str, tmp_path: Path) -> None:
    path, secret = tmp_path / "file", tmp_path / "secret"
    secret.write_bytes(b"host")
    match kind:
        case "link":
            path.symlink_to(secret)
        case "pipe":
            os.mkfifo(path)  # opening it to read would wait for a writer
        case "folder":
            path.mkdir()
        case "device":
            path = Path("/dev/zero")
    assert untrusted.read(path, 100) is None


def test_what_is_nested_deeper_than_python_recurses_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    untrusted.remove(top, tmp_path / "never-there")
    assert not top.exists()


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    untrusted.remove(tmp_path / "link")
    assert (tmp_path / "kept").is_dir() and not os.path.lexists(tmp_path / "link")
