from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sdists import EPOCH, FileIndex, in_tree
from simple_index import Answer

from wheelbuilder.build import sdist
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.inputs.http import session
from wheelbuilder.inputs.recipes import Patch
from wheelbuilder.plan.files import IndexFile

GOOD = in_tree("thing")
Member = tarfile.TarInfo
DIGEST = hashlib.sha256(GOOD.data).hexdigest()


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        index.offer(GOOD)
        yield index


def listed(index: FileIndex, **values: str) -> IndexFile:
    usual: dict[str, Any] = {
        "filename": GOOD.filename,
        "url": f"{index.base}files/{GOOD.filename}",
        "sha256": DIGEST,
    }
    return IndexFile(**(usual | values))


def fetched(file: IndexFile, folder: Path) -> Path:
    with session(back_off=0.001) as connection:
        return sdist.fetch(file, folder, connection)


def failure_of(action: Callable[[], object]) -> StepFailedError:
    with pytest.raises(StepFailedError) as caught:
        action()
    return caught.value


def test_a_file_is_fetched_once(index: FileIndex, tmp_path: Path) -> None:
    place = fetched(listed(index), tmp_path)
    assert place == tmp_path / DIGEST / GOOD.filename and place.read_bytes() == GOOD.data
    assert fetched(listed(index), tmp_path) == place and len(index.requests) == 1
    assert stat.S_IMODE(place.stat().st_mode) == 0o644


def test_another_digest_is_refused_and_nothing_is_kept(index: FileIndex, tmp_path: Path) -> None:
    failed = failure_of(lambda: fetched(listed(index, sha256="a" * 64), tmp_path))
    assert failed.failure is FailureClass.BAD_DIGEST and DIGEST in failed.summary
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("filename", ["../thing-1.0.tar.gz", "/tmp/x", "a/b.tar.gz", "", ".."])
def test_a_name_that_is_a_path_is_refused(index: FileIndex, tmp_path: Path, filename: str) -> None:
    failed = failure_of(lambda: fetched(listed(index, filename=filename), tmp_path / "cache"))
    assert failed.failure is FailureClass.BAD_DIGEST and index.requests == []
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("sha256", ["", "../..", "A" * 64])
def test_a_digest_that_is_none_is_refused(index: FileIndex, tmp_path: Path, sha256: str) -> None:
    assert (
        failure_of(lambda: fetched(listed(index, sha256=sha256), tmp_path)).failure is FailureClass.BAD_DIGEST
    )


def test_a_body_that_breaks_off_is_fetched_again(index: FileIndex, tmp_path: Path) -> None:
    path = f"/files/{GOOD.filename}"
    index.answers(path, Answer(body=GOOD.data[:100], promised=len(GOOD.data)), Answer(body=GOOD.data))
    assert fetched(listed(index), tmp_path).read_bytes() == GOOD.data
    index.answers(path, Answer(body=GOOD.data[:100], promised=len(GOOD.data)))
    failed = failure_of(lambda: fetched(listed(index), tmp_path / "other"))
    assert failed.failure is FailureClass.NO_SOURCE
    assert [path for path in (tmp_path / "other").rglob("*") if path.is_file()] == []


def test_a_server_in_trouble_is_asked_again_and_one_without_the_file_is_not(
    index: FileIndex, tmp_path: Path
) -> None:
    path = f"/files/{GOOD.filename}"
    index.answers(path, Answer(status=500), Answer(status=503), Answer(body=GOOD.data))
    assert fetched(listed(index), tmp_path).read_bytes() == GOOD.data
    index.answers(path, Answer(status=404))
    before = len(index.requests)
    failed = failure_of(lambda: fetched(listed(index), tmp_path / "other"))
    assert failed.failure is FailureClass.NO_SOURCE and "404" in failed.summary
    assert len(index.requests) == before + 1
    index.answers(path, Answer(status=500))
    assert "500" in failure_of(lambda: fetched(listed(index), tmp_path / "third")).summary


def test_bytes_are_taken_as_they_are(index: FileIndex, tmp_path: Path) -> None:
    # A server that calls a .tar.gz compressed would have it unpacked on the way.
    answer = Answer(body=GOOD.data, headers={"X-Note": "no encoding was asked for"})
    index.answers(f"/files/{GOOD.filename}", answer)
    assert fetched(listed(index), tmp_path).read_bytes() == GOOD.data


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


TOP = file("thing-1.0/setup.py")
BAD_TARS = {
    "absolute": [TOP, file("/thing-1.0/x")],
    "dots": [TOP, file("thing-1.0/../../x")],
    "dots inside": [TOP, file("thing-1.0/a/../x")],
    "link out": [TOP, special("thing-1.0/l", tarfile.SYMTYPE, "../../etc/passwd")],
    "absolute link": [TOP, special("thing-1.0/l", tarfile.SYMTYPE, "/etc/passwd")],
    "hard link out": [TOP, special("thing-1.0/l", tarfile.LNKTYPE, "../../etc/passwd")],
    "absolute hard link": [TOP, special("thing-1.0/l", tarfile.LNKTYPE, "/etc/passwd")],
    "hard link to nothing": [TOP, special("thing-1.0/l", tarfile.LNKTYPE, "thing-1.0/none")],
    "through a link": [TOP, special("thing-1.0/l", tarfile.SYMTYPE, "."), file("thing-1.0/l/x")],
    "over a link": [TOP, special("thing-1.0/l", tarfile.SYMTYPE, "setup.py"), file("thing-1.0/l", b"x")],
    "device": [TOP, special("thing-1.0/null", tarfile.CHRTYPE)],
    "block device": [TOP, special("thing-1.0/disk", tarfile.BLKTYPE)],
    "pipe": [TOP, special("thing-1.0/pipe", tarfile.FIFOTYPE)],
    "two tops": [TOP, file("other/x")],
    "file at the top": [file("thing-1.0")],
    "link at the top": [special("thing-1.0", tarfile.SYMTYPE, ".")],
    "nothing": [],
    "too long a name": [file("thing-1.0/" + "x" * 300)],
    "too long a path": [TOP, file("thing-1.0" + "/x" * 600)],
    "backslashes": [TOP, file("..\\..\\x")],
    "hard link to a link": [
        TOP,
        special("thing-1.0/l", tarfile.SYMTYPE, "."),
        special("thing-1.0/hard", tarfile.LNKTYPE, "thing-1.0/l"),
        file("thing-1.0/hard/x"),
    ],
    "hard link behind a link": [
        TOP,
        special("thing-1.0/l", tarfile.SYMTYPE, "."),
        special("thing-1.0/hard", tarfile.LNKTYPE, "thing-1.0/l/setup.py"),
    ],
    "file as a folder": [TOP, file("thing-1.0/setup.py/x")],
    "folder over a link": [
        TOP,
        special("thing-1.0/l", tarfile.SYMTYPE, "."),
        special("thing-1.0/l", tarfile.DIRTYPE),
    ],
    "unknown kind": [TOP, special("thing-1.0/x", b"Q")],
    "sparse": [TOP, special("thing-1.0/x", tarfile.GNUTYPE_SPARSE)],
    "infinite time": [TOP, with_headers("thing-1.0/x", mtime="inf")],
    "absurd time": [TOP, with_headers("thing-1.0/x", mtime="1e300")],
    "no time": [TOP, with_headers("thing-1.0/x", mtime="nan")],
    "negative size": [TOP, with_headers("thing-1.0/x", size="-1024")],
    "NUL": [TOP, with_headers("thing-1.0/x", path="thing-1.0/x\0y")],
    "long header": [TOP, with_headers("thing-1.0/x", comment="x" * sdist.MOST_EXTENDED)],
    "sparse in a header": [TOP, with_headers("thing-1.0/x", **{"GNU.sparse.map": "0,9"})],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TARS)
def test_a_bad_tar_is_refused_and_nothing_leaves_the_folder(name: str, tmp_path: Path) -> None:
    archive = tar(tmp_path / "thing-1.0.tar.gz", *BAD_TARS[name])
    failed = failure_of(lambda: sdist.unpack(archive, tmp_path / "deep" / "in"))
    assert failed.failure is FailureClass.UNPACK and "thing-1.0.tar.gz" in failed.summary
    assert {path.name for path in tmp_path.iterdir()} == {"thing-1.0.tar.gz", "deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"in"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>not found</html>",
        GOOD.data[: len(GOOD.data) // 2],
        gzip.compress(b"x" * 5000),
        b"\xfd7zXZ\x00" + b"\0" * 50,
    ],
    ids=["empty", "html", "half", "gzip-of-no-tar", "xz"],  # the bytes hold the time: ids must not
)
@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
def test_an_archive_that_cannot_be_read_is_refused(data: bytes, ending: str, tmp_path: Path) -> None:
    archive = tmp_path / f"thing-1.0{ending}"
    archive.write_bytes(data)
    assert failure_of(lambda: sdist.unpack(archive, tmp_path / "in")).failure is FailureClass.UNPACK


def test_a_good_tar_keeps_links_inside_and_times(tmp_path: Path) -> None:
    link = special("thing-1.0/docs", tarfile.SYMTYPE, "./README")
    members = [TOP, file("thing-1.0/README", b"hello"), link, file("thing-1.0/new", mtime=EPOCH + 5)]
    archive = tar(tmp_path / "thing-1.0.tar.gz", *members)
    top = sdist.unpack(archive, tmp_path / "in")
    assert top == tmp_path / "in/source" and (top / "docs").read_bytes() == b"hello"
    assert (top / "new").stat().st_mtime == EPOCH + 5 == sdist.newest_time(archive)


def test_the_chain_of_links_that_older_filters_follow_is_refused(tmp_path: Path) -> None:
    # CVE-2025-4517: beyond PATH_MAX realpath stops resolving, and the filter believes what it says.
    members, path = [TOP], "thing-1.0"
    for letter in "abcdefghijklmnop":
        members += [special(f"{path}/{'d' * 247}", tarfile.DIRTYPE)]
        members += [special(f"{path}/{letter}", tarfile.SYMTYPE, "d" * 247)]
        path = f"{path}/{letter}"
    members += [special(f"{path}/{'l' * 254}", tarfile.SYMTYPE, "../" * 16)]
    members += [special("thing-1.0/escape", tarfile.SYMTYPE, f"{path[10:]}/{'l' * 254}/../../../planted")]
    members += [special("thing-1.0/hard", tarfile.LNKTYPE, "thing-1.0/escape"), file("thing-1.0/hard", b"x")]
    archive = tar(tmp_path / "thing-1.0.tar.gz", *members)
    assert failure_of(lambda: sdist.unpack(archive, tmp_path / "a/b/in")).failure is FailureClass.UNPACK
    assert list(tmp_path.rglob("planted*")) == []


def test_no_link_is_bent_by_another(tmp_path: Path) -> None:
    links = [
        special("thing-1.0/a/b/up", tarfile.SYMTYPE, "../.."),
        special("thing-1.0/out", tarfile.SYMTYPE, "a/b/up/../../../x"),
    ]
    top = sdist.unpack(tar(tmp_path / "thing-1.0.tar.gz", TOP, *links), tmp_path / "in")
    assert (top / "out").readlink() == Path("x") and (top / "a/b/up").resolve() == top


def test_hard_links_and_repeated_members_are_as_tar_has_them(tmp_path: Path) -> None:
    members = [
        special("./thing-1.0/", tarfile.DIRTYPE),
        file("./thing-1.0/a", b"old", mode=0o4777),
        file("./thing-1.0/a", b"new", mode=0o6777),
        special("./thing-1.0/deep/b", tarfile.LNKTYPE, "thing-1.0/a"),
        special("./thing-1.0/l", tarfile.SYMTYPE, "a"),
        special("./thing-1.0/l", tarfile.SYMTYPE, "deep/b"),
        file("./thing-1.0/c", mode=0o600),
    ]
    members[4][0].mtime = members[5][0].mtime = members[0][0].mtime = EPOCH
    top = sdist.unpack(tar(tmp_path / "thing-1.0.tar.gz", *members), tmp_path / "in")
    assert [(top / name).read_bytes() for name in ("a", "deep/b", "l")] == [b"new"] * 3
    assert [stat.S_IMODE((top / name).stat().st_mode) for name in "ac"] == [0o755, 0o644]
    assert (top / "l").lstat().st_mtime == top.stat().st_mtime == EPOCH


@pytest.mark.parametrize("name", ["comma,1", 'quo"te', "new\nline", "source", "-v", "a:b"])
@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
def test_the_top_folder_has_a_fixed_name(name: str, ending: str, tmp_path: Path) -> None:
    archive = tmp_path / f"x-1{ending}"
    if ending == ".zip":
        zipped(archive, f"{name}/setup.py")
    else:
        tar(archive, file(f"{name}/setup.py"))
    assert sdist.unpack(archive, tmp_path / "in") == tmp_path / "in/source"
    assert [path.name for path in (tmp_path / "in/source").iterdir()] == ["setup.py"]


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
    for read in (lambda: sdist.unpack(archive, tmp_path / "in"), lambda: sdist.newest_time(archive)):
        tracemalloc.start()
        failed = failure_of(read)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert "extended headers" in failed.summary and failed.failure is FailureClass.UNPACK
        assert most < 8 << 20


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_many_small_headers_are_one_large(kind: bytes, tmp_path: Path) -> None:
    archive = raw(tmp_path / "thing-1.0.tar.gz", *[(kind, 512)] * 100)
    assert "extended headers" in failure_of(lambda: sdist.unpack(archive, tmp_path / "in")).summary


def test_hidden_headers_count_as_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdist, "MOST_MEMBERS", 4)
    archive = raw(tmp_path / "thing-1.0.tar.gz", *[(tarfile.GNUTYPE_LONGNAME, 512)] * 17)
    assert "members" in failure_of(lambda: sdist.unpack(archive, tmp_path / "in")).summary


@pytest.mark.parametrize("size", [-512, 1 << 62])
def test_a_size_that_cannot_be_is_refused(size: int, tmp_path: Path) -> None:
    member = Member("thing-1.0/x")
    member.type, member.size = tarfile.XHDTYPE, size
    archive = raw(tmp_path / "thing-1.0.tar.gz", data=member.tobuf(tarfile.GNU_FORMAT) + bytes(9999))
    assert failure_of(lambda: sdist.unpack(archive, tmp_path / "in")).failure is FailureClass.UNPACK


@pytest.mark.parametrize(("time", "epoch"), [(0, sdist.EARLIEST), (1 << 33, sdist.LATEST), (EPOCH, EPOCH)])
def test_times_are_such_as_zip_can_hold(time: int, epoch: int, tmp_path: Path) -> None:
    assert sdist.newest_time(tar(tmp_path / "x.tar.gz", file("x/y", mtime=time))) == epoch


def test_a_bomb_is_refused_by_what_it_says_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdist, "MOST_BYTES", 1 << 20)
    archive = tar(tmp_path / "thing-1.0.tar.gz", TOP, file("thing-1.0/zeros", bytes(2 << 20)))
    failed = failure_of(lambda: sdist.unpack(archive, tmp_path / "in"))
    assert failed.failure is FailureClass.UNPACK and not (tmp_path / "in/thing-1.0/zeros").exists()
    zipped = tmp_path / "thing-1.0.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("thing-1.0/zeros", bytes(2 << 20))
    assert failure_of(lambda: sdist.unpack(zipped, tmp_path / "zip")).failure is FailureClass.UNPACK
    assert list((tmp_path / "zip").iterdir()) == []


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdist, "MOST_MEMBERS", 10)
    archive = tar(tmp_path / "thing-1.0.tar.gz", *(file(f"thing-1.0/{n}") for n in range(11)))
    assert "members" in failure_of(lambda: sdist.unpack(archive, tmp_path / "in")).summary


def zipped(path: Path, *names: str, mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("thing-1.0/x")
            info.filename, info.external_attr = name, mode << 16
            archive.writestr(info, b"data")
    return path


@pytest.mark.parametrize("name", ["/x", "../x", "thing-1.0/../../x", "..\\x", "thing-1.0\\x", "thing-1.0"])
def test_a_bad_zip_is_refused(name: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "thing-1.0.zip", "thing-1.0/setup.py", name)
    assert failure_of(lambda: sdist.unpack(archive, tmp_path / "in")).failure is FailureClass.UNPACK
    assert {path.name for path in tmp_path.iterdir()} == {"thing-1.0.zip", "in"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_zip_with_a_link_or_a_device_is_refused(kind: int, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "thing-1.0.zip", "thing-1.0/x", mode=kind | 0o777)
    assert failure_of(lambda: sdist.unpack(archive, tmp_path / "in")).failure is FailureClass.UNPACK


def test_a_good_zip(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "thing-1.0.zip", "thing-1.0/a/b", mode=stat.S_IFREG | 0o4755)
    top = sdist.unpack(archive, tmp_path / "in")
    assert stat.S_IMODE((top / "a/b").stat().st_mode) == 0o755
    assert sdist.newest_time(archive) == sdist.EARLIEST or sdist.newest_time(archive) < EPOCH


def test_give_sets_fixed_modes_and_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    outside.chmod(0o600)
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True, mode=0o700)
    (tree / "program").write_text("")
    (tree / "program").chmod(0o4700)
    (tree / "folder/text").write_text("")
    (tree / "folder/text").chmod(0o666)
    (tree / "link").symlink_to(outside)
    (tree / "up").symlink_to(tmp_path)
    sdist.give(tree, os.geteuid() or 1000)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tree, *tree.rglob("*")) if not p.is_symlink()}
    assert modes == {"tree": 0o755, "folder": 0o755, "program": 0o755, "text": 0o644}
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600 and outside.stat().st_uid == os.geteuid()
    assert tmp_path.stat().st_uid == os.geteuid()


def test_files_are_removed_by_name_and_by_pattern(tmp_path: Path) -> None:
    for name in ("a.c", "b.c", "deep/c.c", "keep.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    sdist.remove_files(("*.c", "deep/c.c"), tmp_path)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["keep.py"]
    failed = failure_of(lambda: sdist.remove_files(("deep",), tmp_path))
    assert failed.failure is FailureClass.PATCH and (tmp_path / "deep").is_dir()


def test_a_patch_fits_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("one\n")
    text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-one\n+two\n"
    sdist.apply_patch(Patch(name="p", text=text, status=""), tmp_path, tmp_path / "log")
    assert (tmp_path / "x").read_text() == "two\n"
    failed = failure_of(
        lambda: sdist.apply_patch(Patch(name="p", text=text, status=""), tmp_path, tmp_path / "log")
    )
    assert failed.failure is FailureClass.PATCH and failed.lines and (tmp_path / "x").read_text() == "two\n"
    out = text.replace("a/x", "a/../../x").replace("b/x", "b/../../x")
    assert (
        failure_of(
            lambda: sdist.apply_patch(Patch(name="p", text=out, status=""), tmp_path, tmp_path / "log")
        ).failure
        is FailureClass.PATCH
    )


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
        assert sdist.texts(found, lambda path: path != "setup.py") == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it-1.tar.gz", "it-1.zip"]


def test_texts_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdist, "MOST_TEXT", 1 << 20)
    half = bytes(600_000)
    many = tar(tmp_path / "a.tar.gz", *((Member(f"a/{index}/PKG-INFO"), half) for index in range(2)))
    assert failure_of(lambda: sdist.texts(many, lambda _: True)).failure is FailureClass.UNPACK
    assert sdist.texts(many, lambda path: path.startswith("1/")) == {"1/PKG-INFO": half}


def test_texts_of_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    assert failure_of(lambda: sdist.texts(tmp_path / "a.zip", lambda _: True)).failure is FailureClass.UNPACK
