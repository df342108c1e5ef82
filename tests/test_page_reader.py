"""The reader that other tests rely on does notice what must never be."""

from __future__ import annotations

from pathlib import Path

import pytest
from mirrors import NOW, wheel_change
from page_reader import Reader, assert_nothing_is_half_published, fetch_from

from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import View
from wheelbuilder.mirror.publish import publish


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "store")
    publish(store, "stable", [wheel_change(tmp_path, "foo"), wheel_change(tmp_path, "bar")], run="", now=NOW)
    return store


def test_a_whole_mirror_is_read_to_its_files(store: DirectoryStore) -> None:
    reader = Reader(fetch_from(store), "stable")
    reader.look()
    assert len(reader.listed) == 3 * len(View) and len(reader.there) == 4
    assert_nothing_is_half_published(store)


@pytest.mark.parametrize("lost", ["*.whl", "*.metadata"])
def test_a_link_to_nothing(store: DirectoryStore, lost: str) -> None:
    next(store.path.glob(f"files/*/{lost}")).unlink()
    with pytest.raises(AssertionError, match="which is not there"):
        Reader(fetch_from(store), "stable").look()
    with pytest.raises(AssertionError):
        assert_nothing_is_half_published(store)


@pytest.mark.parametrize("view", View)
def test_a_project_without_its_page(store: DirectoryStore, view: View) -> None:
    (store.path / "channels/stable" / view / "foo/index.html").unlink()
    with pytest.raises(AssertionError, match=f"{view}/foo/ is not there"):
        Reader(fetch_from(store), "stable").look()


@pytest.mark.parametrize("page", ["foo/index.html", "index.html"])
@pytest.mark.parametrize("view", View)
def test_a_page_that_goes_back_in_time(store: DirectoryStore, tmp_path: Path, view: View, page: str) -> None:
    path = store.path / "channels/stable" / view / page
    older = path.read_bytes()
    more = [wheel_change(tmp_path, "foo", "2.0"), wheel_change(tmp_path, "new")]
    publish(store, "stable", more, run="", now=NOW)
    reader = Reader(fetch_from(store), "stable")
    reader.look()
    reader.look()
    path.write_bytes(older)
    with pytest.raises(AssertionError, match="went back in time"):
        reader.look()


def test_a_root_page_that_vanishes(store: DirectoryStore) -> None:
    reader = Reader(fetch_from(store), "stable")
    reader.look()
    (store.path / "channels/stable/json/index.html").unlink()
    with pytest.raises(AssertionError, match="stable/json/ is not there"):
        reader.look()
