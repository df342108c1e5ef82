from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_archives import failure_of
from sdists import FileIndex, in_tree
from simple_index import Answer

from wheelbuilder.build.fetching import fetch
from wheelbuilder.build.outcomes import FailureClass
from wheelbuilder.inputs.http import session
from wheelbuilder.plan.files import IndexFile

GOOD = in_tree("thing")
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
        return fetch(file, folder, connection)


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
