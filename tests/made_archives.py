"""Small sdists by hand, good and bad ones, and what is said of these."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sdists import EPOCH

from wheelbuilder.build.outcomes import StepFailedError

Member = tarfile.TarInfo


def failure_of(action: Callable[[], object]) -> StepFailedError:
    with pytest.raises(StepFailedError) as caught:
        action()
    return caught.value


def tar(path: Path, *members: tuple[Member, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data))
    return path


def file(name: str, data: bytes = b"", mode: int = 0o644, mtime: int = EPOCH) -> tuple[Member, bytes]:
    member = Member(name)
    member.mode, member.mtime = mode, mtime
    return member, data


def special(name: str, kind: bytes, linkname: str = "") -> tuple[Member, bytes]:
    member = Member(name)
    member.type, member.linkname = kind, linkname
    return member, b""


def with_headers(name: str, **headers: str) -> tuple[Member, bytes]:
    made, data = file(name)
    made.pax_headers = headers
    return made, data


def zipped(path: Path, *names: str, mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("thing-1.0/x")
            info.filename, info.external_attr = name, mode << 16
            archive.writestr(info, b"data")
    return path


TOP = file("thing-1.0/setup.py")
