"""Wheels that lie, each made from one that is right, with words that the complaint must have."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from test_wheelcheck import INFO, METADATA, OTHER_RECORD, elf, wheel
from test_wheelzip import CENTRAL, LOCAL, commented, moved, patched

SUFFIX = "cpython-311-x86_64-linux-gnu.so"
EXTENSION = f"_foo.{SUFFIX}"
PURE = "foo-1.0-py3-none-any.whl"
NATIVE = "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"
NATIVE_TAGS = tuple(f"cp311-cp311-{it}" for it in ("manylinux_2_17_x86_64", "manylinux2014_x86_64"))
Make = Callable[[Path], Path]


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def appended(folder: Path, name: str, data: bytes, mode: int = 0o100644) -> Path:
    path = wheel(folder)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return path


def bomb(folder: Path) -> Path:
    path = folder / PURE
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{INFO}/METADATA", METADATA.encode() + b"\n" + bytes(65 << 20))
    return path


def hidden_bomb(folder: Path) -> Path:
    """METADATA that unpacks to more than it says."""
    path = folder / PURE
    data = METADATA.encode() + b"\n" + bytes(32 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{INFO}/METADATA", data)
    size = struct.pack("<L", 200)
    return rewritten(path, lambda it: patched(patched(it, LOCAL, 22, size), CENTRAL, 24, size))


def written(data: bytes, name: str = PURE) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def link(folder: Path) -> Path:
    wheel(folder).rename(folder / "real")
    (folder / PURE).symlink_to(folder / "real")
    return folder / PURE


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / PURE)
    return folder / PURE


def folder_of_that_name(folder: Path) -> Path:
    (folder / PURE).mkdir()
    return folder / PURE


def lying(**options: Any) -> Make:
    return lambda folder: wheel(folder, **options)


def changed(change: Callable[[bytes], bytes]) -> Make:
    return lambda folder: rewritten(wheel(folder), change)


def said(fields: str, **options: Any) -> Make:
    return lying(metadata=fields, **options)


def misnamed(name: str) -> Make:
    return lying(filename=name)


LIES: dict[str, tuple[Make, str]] = {
    "a digest in RECORD": (lying(record=OTHER_RECORD), "RECORD"),
    "a file that RECORD lacks": (lying(unrecorded={"more.py": b""}), "RECORD"),
    "a file that only RECORD has": (
        lying(without=("ghost.py",), files={"foo.py": b"", "ghost.py": b"x"}),
        "ghost.py",
    ),
    "no RECORD": (lying(without=(f"{INFO}/RECORD",)), "RECORD"),
    "RECORD is none": (lying(record="\0\n,,,,,\n"), "RECORD"),
    "no METADATA": (lying(without=(f"{INFO}/METADATA",)), "METADATA"),
    "no WHEEL": (lying(without=(f"{INFO}/WHEEL",)), "WHEEL"),
    "two METADATA": (lying(unrecorded={"Foo-1.0.0.dist-info/METADATA": METADATA.encode()}), "it has 2"),
    "METADATA of another project's": (
        lying(info="bar-1.0.dist-info"),
        "one foo-1.0.dist-info/METADATA; it has 'bar-1.0.dist-info/METADATA'",
    ),
    "another name": (said(METADATA.replace("foo", "bar")), "METADATA says 'bar'"),
    "another version": (said(METADATA.replace("1.0", "2.0")), "'2.0'"),
    "a version without end": (said(f"Metadata-Version: 2.1\nName: foo\nVersion: {'9' * 5000}\n"), "be read"),
    "two names": (said(f"{METADATA}Name: bar\n"), "''"),
    "a name that leaves": (said(METADATA.replace("foo", "../foo")), "'../foo'"),
    "a name with a line break": (said(METADATA.replace("foo", "foo\n .bar")), "METADATA says"),
    "a version with a line break": (said(METADATA.replace("1.0", "1.0\n +x")), "METADATA says"),
    "a Requires-Python that is none": (
        said(f'{METADATA}Requires-Python: "><script>alert(1)</script>\n'),
        "Requires-Python",
    ),
    "two Requires-Python": (
        said(f"{METADATA}Requires-Python: >=3.8\nRequires-Python: >=3.9\n"),
        "more than one Requires-Python",
    ),
    "a Requires-Python of two lines": (said(f"{METADATA}Requires-Python: >=3.8,\n <4\n"), "Requires-Python"),
    "a Requires-Python for nobody": (said(f"{METADATA}Requires-Python: <3\n"), "no target of the image"),
    "a Requires-Dist that is none": (said(f"{METADATA}Requires-Dist: <b>\n"), "Requires-Dist '<b>'"),
    "METADATA that is not UTF-8": (lying(metadata=METADATA.encode() + b"Author: J\xf6rg\n"), "UTF-8"),
    "other tags inside": (lying(tags=("py2-none-any",)), "tags in WHEEL"),
    "a member twice": (lambda folder: appended(folder, "foo.py", b"x = 2\n"), "'foo.py' occurs twice"),
    "METADATA twice": (lambda folder: appended(folder, f"{INFO}/METADATA", b""), "it has 2"),
    "a link as a member": (lambda folder: appended(folder, "l", b"/etc/passwd", 0o120777), "symbolic link"),
    "an absolute member": (lying(files={"/etc/x": b""}), "points outside"),
    "a member that leaves": (lying(files={"foo/../../x": b""}), "points outside"),
    "a member that leaves on Windows": (lying(files={"..\\x": b""}), "points outside"),
    "a member with a null": (lying(files={"foo.py": b"", "a\0b": b""}), "RECORD"),
    "bytes before": (changed(lambda it: b"#!/bin/sh\n" + it), "does not lie where"),
    "bytes between members": (changed(lambda it: moved(it, it.rfind(LOCAL), b"xx")), "no member's"),
    "bytes after": (changed(lambda it: it + b"abc"), "after its end record"),
    "a comment": (changed(commented), "comment"),
    "another local name": (changed(lambda it: patched(it, LOCAL, 30, b"bar")), "another name"),
    "the end cut off": (changed(lambda it: it[:-30]), "zip archive"),
    "the beginning cut off": (changed(lambda it: it[30:]), "central directory"),
    "no zip": (written(b"not a zip"), "zip archive"),
    "nothing": (written(b""), "zip archive"),
    "METADATA that is a bomb": (bomb, f"its METADATA has {(65 << 20) + len(METADATA) + 1} bytes"),
    "METADATA that hides a bomb": (hidden_bomb, ""),
    "no file": (lambda folder: folder / PURE, "there is no such file"),
    "a link": (link, "not a regular file"),
    "a pipe": (pipe, "not a regular file"),
    "a folder": (folder_of_that_name, "not a regular file"),
    "native code in 'any'": (lying(files={"_foo.so": elf()}), "'any'"),
    "no native code": (lying(tag=NATIVE, tags=NATIVE_TAGS), "no native code"),
    "an escape in a member's name": (
        lying(tag=NATIVE, tags=NATIVE_TAGS, files={"a\x1b[2J.so": elf(183)}), r"a\x1b[2J.so is code for"
    ),
    "code for another machine": (lying(tag=NATIVE, tags=NATIVE_TAGS, files={"a.so": elf(183)}), "EM_AARCH64"),
    "a linux tag": (lying(tag="cp311-cp311-linux_x86_64", files={EXTENSION: elf()}), "bare linux tag"),
    "a tag for Windows": (lying(tag="cp311-cp311-win_amd64"), "no target of the image table"),
    "a tag for Python 2": (lying(tag="cp27-none-any"), "no target of the image table"),
    "a file name with a line break": (misnamed("foo-1.0-py3\n-none-any.whl"), "not the name of a wheel"),
    "a file name with quotes": (misnamed("foo\"'-1.0-py3-none-any.whl"), "not the name of a wheel"),
    "a file name with angle brackets": (misnamed("<foo>-1.0-py3-none-any.whl"), "not the name of a wheel"),
    "a file name with an escape": (misnamed("foo-1.0-py3-none-any\x1b[2J.whl"), "not the name of a wheel"),
    "a file name of dots": (misnamed("..-1.0-py3-none-any.whl"), "not the name of a wheel"),
    "a file name with a backslash": (misnamed("..\\foo-1.0-py3-none-any.whl"), "not the name of a wheel"),
    "a file name in Greek": (misnamed("φοο-1.0-py3-none-any.whl"), "not the name of a wheel"),
    "a file name that is not UTF-8": (misnamed("fo\udcff-1.0-py3-none-any.whl"), "not the name of a wheel"),
    "a file name of another version": (misnamed("foo-2.0-py3-none-any.whl"), "foo-2.0.dist-info/METADATA"),
    "a file name of another project": (misnamed("bar-1.0-py3-none-any.whl"), "bar-1.0.dist-info/METADATA"),
    "a file name of an sdist": (misnamed("foo-1.0.tar.gz"), "not the name of a wheel"),
}  # fmt: skip
