"""Checks the zip archive below a wheel: every reader of it must see the same members, and none a flood.

Readers go by the central directory, by the local headers or by the names, and some stop at the first
end record. An archive on which they could differ is refused (APPNOTE.TXT 4.3).
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

MOST_UNPACKED = 4 << 30  # bytes of all members together
MOST_MEMBERS = 200_000
MOST_METADATA = 64 << 20  # bytes of one member of .dist-info: these are read at once
COMPRESSIONS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
CHUNK = 1 << 20  # bytes
LOCAL = struct.Struct("<4sHHHHHLLLHH")  # 4.3.7
END = struct.Struct("<4sHHHHLLH")  # 4.3.16
DESCRIPTORS = frozenset((12, 16, 20, 24))  # bytes of a data descriptor (4.3.9)
ENCRYPTED, DESCRIBED, UTF8 = 0x1, 0x8, 0x800
UNTOLD = 0xFFFFFFFF  # the zip64 extra field has it


def oddities(path: Path) -> Iterator[str]:
    """Yield what is wrong with the archive, from names to bytes; later checks need the earlier ones passed.

    Raises what zipfile and zlib raise for an archive that cannot be read.
    """
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for check in (_amount, _names, _members):
            if found := [*check(archive)]:
                yield from found
                return
        end = path.stat().st_size
        yield from [*_end(archive, file, end)] or [*_order(archive, file)]


def _amount(archive: zipfile.ZipFile) -> Iterator[str]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        yield f"the wheel has {len(members)} members, more than {MOST_MEMBERS}"
    unpacked = sum(info.file_size for info in members)
    if unpacked > MOST_UNPACKED:
        yield f"the wheel unpacks to {unpacked} bytes, more than {MOST_UNPACKED}"


def _names(archive: zipfile.ZipFile) -> Iterator[str]:
    seen: dict[str, bool] = {}  # whether it is a folder
    for info in archive.infolist():
        name, plain = info.filename, info.filename.rstrip("/")
        if not plain:
            yield f"the member {info.orig_filename!r} has no name"
            continue
        if plain in seen:
            yield f"the member {plain!r} occurs twice"
        seen[plain] = info.is_dir()
        if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
            yield f"the member {name!r} points outside the wheel"
        elif name != info.orig_filename or str(PurePosixPath(plain)) != plain:
            yield f"the member {info.orig_filename!r} has a name that readers take for different paths"
    for plain in seen:
        for parent in PurePosixPath(plain).parents:
            if not seen.get(str(parent), True):
                yield f"the member {str(parent)!r} is a file and, for {plain!r}, a folder"


def _members(archive: zipfile.ZipFile) -> Iterator[str]:
    for info in archive.infolist():
        name = info.filename
        if stat.S_ISLNK(info.external_attr >> 16):
            yield f"the member {name!r} is a symbolic link"
        if info.flag_bits & ENCRYPTED:
            yield f"the member {name!r} is encrypted"
        if info.compress_type not in COMPRESSIONS:
            yield f"the member {name!r} has compression method {info.compress_type}, which few know"
        if name.split("/", 1)[0].endswith(".dist-info") and info.file_size > MOST_METADATA:
            yield f"the member {name!r} has {info.file_size} bytes"


def _end(archive: zipfile.ZipFile, file: BinaryIO, size: int) -> Iterator[str]:
    file.seek(size - END.size)
    magic, _, _, _, count, length, offset, comment = END.unpack(file.read(END.size))
    if magic != b"PK\5\6" or comment:
        yield "the wheel has a comment or other bytes after its end record"
        return
    start = size - END.size - length
    large = count == 0xFFFF or UNTOLD in (length, offset)  # then the zip64 records have it
    if count not in (0xFFFF, len(archive.infolist())):
        yield f"the end record tells of {count} members, and there are {len(archive.infolist())}"
    if not large and not archive.start_dir == offset == start:
        yield "the wheel's central directory does not lie where its end record says"


def _order(archive: zipfile.ZipFile, file: BinaryIO) -> Iterator[str]:
    """Walk the members as they lie: no byte outside of them, and their local headers agree."""
    position, gaps = 0, frozenset((0,))
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset - position not in gaps:
            yield f"the wheel has bytes that are no member's before {info.filename!r}"
            return
        file.seek(info.header_offset)
        problem, data = _local(info, file)
        problem = problem or _content(info, file, data)
        if problem:
            yield f"the member {info.filename!r} {problem}"
            return
        position = data + info.compress_size
        gaps = DESCRIPTORS if info.flag_bits & DESCRIBED else frozenset((0,))
    if archive.start_dir - position not in gaps:
        yield "the wheel has bytes that are no member's before its central directory"


def _local(info: zipfile.ZipInfo, file: BinaryIO) -> tuple[str, int]:
    """Return what is wrong with the local header, and where the data begins."""
    header = file.read(LOCAL.size)
    if len(header) < LOCAL.size or not header.startswith(b"PK\3\4"):
        return "has no local header", 0
    _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = LOCAL.unpack(header)
    data = info.header_offset + LOCAL.size + name_length + extra_length
    name = info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "cp437")
    if file.read(name_length) != name:
        return "has another name in its local header", data
    if method != info.compress_type or (flags ^ info.flag_bits) & (ENCRYPTED | DESCRIBED | UTF8):
        return "is stored otherwise than its local header says", data
    told = ((crc, info.CRC), (packed, info.compress_size), (unpacked, info.file_size))
    if not flags & DESCRIBED and any(here not in (there, UNTOLD) for here, there in told):
        return "has another size or checksum in its local header", data
    return "", data


def _content(info: zipfile.ZipInfo, file: BinaryIO, data: int) -> str:
    """Return what is wrong with a member's bytes: they unpack to the size that is told, and end there."""
    if info.is_dir() and not info.compress_size and not info.file_size:
        return ""
    if info.compress_type == zipfile.ZIP_STORED:
        if info.flag_bits & DESCRIBED and info.file_size:
            return "does not tell where it ends"
        return "" if info.compress_size == info.file_size else "has two sizes"
    file.seek(data)
    left, unpacked, stream = info.compress_size, 0, zlib.decompressobj(-zlib.MAX_WBITS)
    while left and not stream.eof and unpacked <= info.file_size:
        packed = file.read(min(CHUNK, left))
        if not packed:
            break
        left -= len(packed)
        while (packed or not left) and not stream.eof and unpacked <= info.file_size:
            piece = stream.decompress(packed, CHUNK)
            unpacked += len(piece)
            packed = stream.unconsumed_tail
            if not piece and not packed:
                break
    if unpacked != info.file_size or not stream.eof or stream.unused_data or left:
        return "unpacks to another size than the wheel says"
    return ""
