from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from made_archives import TOP, failure_of, file, special, tar, with_headers, zipped
from sdists import EPOCH, in_tree

from wheelbuilder.build import archives
from wheelbuilder.build.archives import MOST_EXTENDED, newest_time
from wheelbuilder.build.outcomes import FailureClass
from wheelbuilder.build.sdist import unpack

GOOD = in_tree("thing")
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
    "long header": [TOP, with_headers("thing-1.0/x", comment="x" * MOST_EXTENDED)],
    "sparse in a header": [TOP, with_headers("thing-1.0/x", **{"GNU.sparse.map": "0,9"})],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TARS)
def test_a_bad_tar_is_refused_and_nothing_leaves_the_folder(name: str, tmp_path: Path) -> None:
    archive = tar(tmp_path / "thing-1.0.tar.gz", *BAD_TARS[name])
    failed = failure_of(lambda: unpack(archive, tmp_path / "deep" / "in"))
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
    assert failure_of(lambda: unpack(archive, tmp_path / "in")).failure is FailureClass.UNPACK


def test_a_good_tar_keeps_links_inside_and_times(tmp_path: Path) -> None:
    link = special("thing-1.0/docs", tarfile.SYMTYPE, "./README")
    members = [TOP, file("thing-1.0/README", b"hello"), link, file("thing-1.0/new", mtime=EPOCH + 5)]
    archive = tar(tmp_path / "thing-1.0.tar.gz", *members)
    top = unpack(archive, tmp_path / "in")
    assert top == tmp_path / "in/source" and (top / "docs").read_bytes() == b"hello"
    assert (top / "new").stat().st_mtime == EPOCH + 5 == newest_time(archive)


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
    assert failure_of(lambda: unpack(archive, tmp_path / "a/b/in")).failure is FailureClass.UNPACK
    assert list(tmp_path.rglob("planted*")) == []


def test_no_link_is_bent_by_another(tmp_path: Path) -> None:
    links = [
        special("thing-1.0/a/b/up", tarfile.SYMTYPE, "../.."),
        special("thing-1.0/out", tarfile.SYMTYPE, "a/b/up/../../../x"),
    ]
    top = unpack(tar(tmp_path / "thing-1.0.tar.gz", TOP, *links), tmp_path / "in")
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
    top = unpack(tar(tmp_path / "thing-1.0.tar.gz", *members), tmp_path / "in")
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
    assert unpack(archive, tmp_path / "in") == tmp_path / "in/source"
    assert [path.name for path in (tmp_path / "in/source").iterdir()] == ["setup.py"]


def test_a_bomb_is_refused_by_what_it_says_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 1 << 20)
    archive = tar(tmp_path / "thing-1.0.tar.gz", TOP, file("thing-1.0/zeros", bytes(2 << 20)))
    failed = failure_of(lambda: unpack(archive, tmp_path / "in"))
    assert failed.failure is FailureClass.UNPACK and not (tmp_path / "in/thing-1.0/zeros").exists()
    zipped = tmp_path / "thing-1.0.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("thing-1.0/zeros", bytes(2 << 20))
    assert failure_of(lambda: unpack(zipped, tmp_path / "zip")).failure is FailureClass.UNPACK
    assert list((tmp_path / "zip").iterdir()) == []


@pytest.mark.parametrize("name", ["/x", "../x", "thing-1.0/../../x", "..\\x", "thing-1.0\\x", "thing-1.0"])
def test_a_bad_zip_is_refused(name: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "thing-1.0.zip", "thing-1.0/setup.py", name)
    assert failure_of(lambda: unpack(archive, tmp_path / "in")).failure is FailureClass.UNPACK
    assert {path.name for path in tmp_path.iterdir()} == {"thing-1.0.zip", "in"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_zip_with_a_link_or_a_device_is_refused(kind: int, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "thing-1.0.zip", "thing-1.0/x", mode=kind | 0o777)
    assert failure_of(lambda: unpack(archive, tmp_path / "in")).failure is FailureClass.UNPACK


def test_a_good_zip(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "thing-1.0.zip", "thing-1.0/a/b", mode=stat.S_IFREG | 0o4755)
    top = unpack(archive, tmp_path / "in")
    assert stat.S_IMODE((top / "a/b").stat().st_mode) == 0o755
    assert newest_time(archive) == archives.EARLIEST or newest_time(archive) < EPOCH
