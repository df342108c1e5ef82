"""Archives that readers see differently, made by changing the bytes of a wheel that is right."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, cast

import pytest

from wheelbuilder.build import wheelzip
from wheelbuilder.build.wheelzip import oddities

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def archive(
    path: Path, members: Mapping[str, bytes] | None = None, method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in (members or {"one": b"1" * 5000, "two": b"2" * 5000}).items():
            made.writestr(name, data)
    return path


def moved(data: bytes, at: int, extra: bytes) -> bytes:
    """Put bytes before the member at `at`, and let every offset be right again."""
    out = bytearray(data[:at] + extra + data[at:])
    place = -1
    while (place := out.find(CENTRAL, place + 1)) >= 0:
        (offset,) = struct.unpack_from("<L", out, place + 42)
        struct.pack_into("<L", out, place + 42, offset + (len(extra) if offset >= at else 0))
    end = out.rfind(END)
    struct.pack_into("<L", out, end + 16, struct.unpack_from("<L", out, end + 16)[0] + len(extra))
    return bytes(out)


def patched(data: bytes, mark: bytes, offset: int, new: bytes, *, last: bool = False) -> bytes:
    out, place = bytearray(data), (data.rfind(mark) if last else data.find(mark)) + offset
    out[place : place + len(new)] = new
    return bytes(out)


def commented(data: bytes) -> bytes:
    return patched(data, END, 20, b"\x03\x00") + b"abc"


def too_long(data: bytes) -> bytes:
    """Say in both headers that the first member is a byte shorter than it is."""
    return patched(patched(data, LOCAL, 22, struct.pack("<L", 4999)), CENTRAL, 24, struct.pack("<L", 4999))


CHANGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "bytes before": (lambda data: b"#!/bin/sh\n" + data, "does not lie where"),
    "bytes before, offsets right": (lambda data: moved(data, 0, b"#!/bin/sh\n"), "no member's"),
    "bytes between": (lambda data: moved(data, data.rfind(LOCAL), b"xx"), "bytes that are no member's"),
    "a hidden member": (lambda data: moved(data, data.rfind(LOCAL), data[: data.rfind(LOCAL)]), "no member"),
    "bytes before the directory": (lambda data: moved(data, data.find(CENTRAL), b"xx"), "before its"),
    "a comment": (commented, "comment"),
    "bytes after": (lambda data: data + b"abc", "after its end record"),
    "another local name": (lambda data: patched(data, LOCAL, 30, b"two"), "another name"),
    "another local method": (lambda data: patched(data, LOCAL, 8, b"\x00"), "stored otherwise"),
    "another local size": (lambda data: patched(data, LOCAL, 18, b"\x01"), "another size"),
    "another local checksum": (lambda data: patched(data, LOCAL, 14, b"\x01\x02\x03\x04"), "checksum"),
    "another length": (too_long, "another size than"),
    "another count": (lambda data: patched(data, END, 10, b"\x01"), "tells of 1"),
    "no local header": (lambda data: patched(data, LOCAL, 0, b"PK\x07\x08"), "no local header"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_an_archive_that_readers_see_differently_is_refused(name: str, tmp_path: Path) -> None:
    change, words = CHANGES[name]
    path = archive(tmp_path / "x.whl")
    assert list(oddities(path)) == []
    path.write_bytes(change(path.read_bytes()))
    assert words in "\n".join(oddities(path))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a", "a/"), "occurs twice"),
        (("a", "a/b"), "is a file and"),
        (("a//b",), "different paths"),
        (("./a",), "different paths"),
        (("a/./b",), "different paths"),
        (("a\\b",), "outside"),
    ],
)
def test_names_that_mean_two_things_are_refused(names: tuple[str, ...], words: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "x.whl", dict.fromkeys(names, b""))
    assert words in "\n".join(oddities(path))


def test_a_name_with_a_null_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.whl", {"oneX": b""})
    path.write_bytes(path.read_bytes().replace(b"oneX", b"one\0"))
    assert "different paths" in "\n".join(oddities(path))


@pytest.mark.parametrize("name", [b"\0neX", b"////"])
def test_a_member_without_a_name_is_refused(name: bytes, tmp_path: Path) -> None:
    path = archive(tmp_path / "x.whl", {"oneX": b""})
    path.write_bytes(path.read_bytes().replace(b"oneX", name))
    assert "has no name" in "\n".join(oddities(path))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_compressions_are_refused(method: int, tmp_path: Path) -> None:
    assert f"method {method}" in "\n".join(oddities(archive(tmp_path / "x.whl", method=method)))


def test_floods_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "x.whl")
    monkeypatch.setattr(wheelzip, "MOST_UNPACKED", 10_000)
    monkeypatch.setattr(wheelzip, "MOST_MEMBERS", 2)
    assert list(oddities(path)) == []
    monkeypatch.setattr(wheelzip, "MOST_UNPACKED", 9_999)
    assert "unpacks to 10000 bytes" in "\n".join(oddities(path))
    monkeypatch.setattr(wheelzip, "MOST_MEMBERS", 1)
    assert "2 members" in "\n".join(oddities(path))


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_ordinary_archives_pass(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheelzip, "CHUNK", chunk)
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.mkdir("folder")
        made.writestr("folder/\u00e4", b"")
        made.writestr("large", bytes(20_000), zipfile.ZIP_DEFLATED)
        with made.open(zipfile.ZipInfo("sixty-four"), "w", force_zip64=True) as member:
            member.write(b"x" * 9)
    assert list(oddities(path)) == []
    pipe = cast("IO[bytes]", Unseekable())
    with zipfile.ZipFile(pipe, "w") as made:
        made.writestr("streamed", b"y" * 3000, zipfile.ZIP_DEFLATED)
        made.writestr("again", b"z" * 3000, zipfile.ZIP_DEFLATED)
    path.write_bytes(pipe.getvalue())  # type: ignore[attr-defined]
    assert path.read_bytes()[6] & 0x8 and list(oddities(path)) == []


class Unseekable:
    """A pipe, as far as zipfile can see: members get data descriptors."""

    def __init__(self) -> None:
        self._raw = io.BytesIO()
        self.write, self.flush, self.getvalue = self._raw.write, self._raw.flush, self._raw.getvalue
