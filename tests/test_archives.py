from __future__ import annotations

import gzip
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from made_archives import Member, failure_of, file, tar
from sdists import EPOCH

from wheelbuilder.build import archives
from wheelbuilder.build.outcomes import FailureClass
from wheelbuilder.build.sdist import unpack


def raw(path: Path, *headers: tuple[bytes, int], data: bytes = b"") -> Path:
    with gzip.open(path, "wb", compresslevel=1) as archive:
        for kind, size in headers:
            member = Member("thing-1.0/x")
            member.type, member.size = kind, size
            archive.write(member.tobuf(tarfile.GNU_FORMAT))
            for _ in range(0, size, 1 << 20):
                archive.write(bytes(min(size, 1 << 20)))
        archive.write(data)
    return path


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_a_header_is_not_read_into_memory_unless_small(kind: bytes, tmp_path: Path) -> None:
    archive = raw(tmp_path / "thing-1.0.tar.gz", (kind, 64 << 20))
    for read in (lambda: unpack(archive, tmp_path / "in"), lambda: archives.newest_time(archive)):
        tracemalloc.start()
        failed = failure_of(read)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert "extended headers" in failed.summary and failed.failure is FailureClass.UNPACK
        assert most < 8 << 20


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_many_small_headers_are_one_large(kind: bytes, tmp_path: Path) -> None:
    archive = raw(tmp_path / "thing-1.0.tar.gz", *[(kind, 512)] * 100)
    assert "extended headers" in failure_of(lambda: unpack(archive, tmp_path / "in")).summary


def test_hidden_headers_count_as_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 4)
    archive = raw(tmp_path / "thing-1.0.tar.gz", *[(tarfile.GNUTYPE_LONGNAME, 512)] * 17)
    assert "members" in failure_of(lambda: unpack(archive, tmp_path / "in")).summary


@pytest.mark.parametrize("size", [-512, 1 << 62])
def test_a_size_that_cannot_be_is_refused(size: int, tmp_path: Path) -> None:
    member = Member("thing-1.0/x")
    member.type, member.size = tarfile.XHDTYPE, size
    archive = raw(tmp_path / "thing-1.0.tar.gz", data=member.tobuf(tarfile.GNU_FORMAT) + bytes(9999))
    assert failure_of(lambda: unpack(archive, tmp_path / "in")).failure is FailureClass.UNPACK


@pytest.mark.parametrize(
    ("time", "epoch"), [(0, archives.EARLIEST), (1 << 33, archives.LATEST), (EPOCH, EPOCH)]
)
def test_times_are_such_as_zip_can_hold(time: int, epoch: int, tmp_path: Path) -> None:
    assert archives.newest_time(tar(tmp_path / "x.tar.gz", file("x/y", mtime=time))) == epoch


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 10)
    archive = tar(tmp_path / "thing-1.0.tar.gz", *(file(f"thing-1.0/{n}") for n in range(11)))
    assert "members" in failure_of(lambda: unpack(archive, tmp_path / "in")).summary


WORDS = {"PKG-INFO": b"Name: it", "src/it.egg-info/requires.txt": b"one\n", "setup.py": b"raise SystemExit"}


def test_texts_are_read_from_both_kinds_of_archive(tmp_path: Path) -> None:
    members = [(Member(f"it-1/{path}"), data) for path, data in WORDS.items()]
    link = Member("it-1/pyproject.toml")
    link.type, link.linkname = tarfile.SYMTYPE, "PKG-INFO"
    unpacked = tar(tmp_path / "it-1.tar.gz", *members, (link, b""))
    with zipfile.ZipFile(tmp_path / "it-1.zip", "w") as archive:
        for path, data in WORDS.items():
            archive.writestr(f"it-1/{path}", data)
    wanted = {path: data for path, data in WORDS.items() if path != "setup.py"}
    for found in (unpacked, tmp_path / "it-1.zip"):
        assert archives.texts(found, lambda path: path != "setup.py") == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it-1.tar.gz", "it-1.zip"]


def test_texts_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_TEXT", 1 << 20)
    half = bytes(600_000)
    many = tar(tmp_path / "a.tar.gz", *((Member(f"a/{index}/PKG-INFO"), half) for index in range(2)))
    assert failure_of(lambda: archives.texts(many, lambda _: True)).failure is FailureClass.UNPACK
    assert archives.texts(many, lambda path: path.startswith("1/")) == {"1/PKG-INFO": half}


def test_texts_of_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    assert (
        failure_of(lambda: archives.texts(tmp_path / "a.zip", lambda _: True)).failure is FailureClass.UNPACK
    )
