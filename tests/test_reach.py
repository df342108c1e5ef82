"""Nothing is read or written through a link below a store's root, whoever put it there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from commands import command
from mirrors import NOW, snapshot, wheel_change

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror import reach
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.serve import serving
from wheelbuilder.mirror.store import HIDDEN, Store

SECRET = b"not of the store"
PAGE = "channels/stable/simple/foo/index.html"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the store, with a file in it."""
    made = tmp_path / "outside"
    made.mkdir()
    (made / "index.html").write_bytes(SECRET)
    return made


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = DirectoryStore(tmp_path / "store")
    publish(made, "stable", [wheel_change(tmp_path / "made")], run="", now=NOW)
    return made


def put(store: Store, key: str, **conditions: object) -> object:
    return store.put(key, b"new", content_type="", cache_control="", **conditions)  # type: ignore[arg-type]


def the_blob(store: DirectoryStore) -> str:
    (key,) = (it.key for it in store.list("files/") if it.key.endswith(".whl"))
    return key


def linked_folder(store: DirectoryStore, key: str, outside: Path) -> None:
    """Put a link to a folder outside in the place of the one that a key lies in."""
    folder = (store.path / key).parent
    folder.rename(store.path.parent / "moved")
    folder.symlink_to(outside)


OPERATIONS: dict[str, Callable[[DirectoryStore, Path], object]] = {
    "get": lambda store, _: store.get(PAGE),
    "exists": lambda store, _: store.exists(PAGE),
    "download": lambda store, copy: store.download(PAGE, copy),
    "create": lambda store, _: put(store, PAGE, if_none_match=True),
    "if match": lambda store, _: put(store, PAGE, if_match=store.etag_of(SECRET)),
}
IN_FOLDERS = OPERATIONS | {
    "put": lambda store, _: put(store, PAGE),
    "delete": lambda store, _: store.delete([PAGE]),
    "list": lambda store, _: list(store.list("channels/stable/simple/foo/")),
    "folders": lambda store, _: list(store.folders("channels/stable/simple/")),
}


@pytest.mark.parametrize("name", IN_FOLDERS)
def test_a_linked_folder_is_damage(name: str, store: DirectoryStore, outside: Path, tmp_path: Path) -> None:
    linked_folder(store, PAGE, outside)
    with pytest.raises(IntegrityError, match="a symbolic link at channels/stable/simple/foo") as caught:
        IN_FOLDERS[name](store, tmp_path / "copy")
    assert "\n" not in caught.value.message and caught.value.hint
    assert snapshot(outside).keys() == {"index.html"} and not (tmp_path / "copy").exists()
    assert (outside / "index.html").read_bytes() == SECRET


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("there", [True, False])
def test_a_linked_file_is_damage(
    name: str, there: bool, store: DirectoryStore, outside: Path, tmp_path: Path
) -> None:
    (store.path / PAGE).unlink()
    (store.path / PAGE).symlink_to(outside / ("index.html" if there else "absent"))
    with pytest.raises(IntegrityError, match=f"a symbolic link at {PAGE}"):
        OPERATIONS[name](store, tmp_path / "copy")
    assert not (tmp_path / "copy").exists() and snapshot(outside).keys() == {"index.html"}


def test_a_linked_file_is_listed_as_what_it_is_and_gives_way(store: DirectoryStore, outside: Path) -> None:
    path = store.path / PAGE
    path.unlink()
    path.symlink_to(outside / "index.html")
    (listed,) = store.list(PAGE)
    assert listed.size == path.lstat().st_size != len(SECRET)
    assert put(store, PAGE) and path.read_bytes() == b"new" and not path.is_symlink()
    path.unlink()
    path.symlink_to(outside / "index.html")
    store.delete([PAGE])
    assert not os.path.lexists(path) and (outside / "index.html").read_bytes() == SECRET


@pytest.mark.parametrize("name", [HIDDEN, f"{HIDDEN}/lock"])
def test_what_a_store_keeps_for_itself_is_not_linked_either(
    name: str, store: DirectoryStore, outside: Path, tmp_path: Path
) -> None:
    put(store, "k")
    (store.path / name).rename(tmp_path / "moved") if (store.path / name).exists() else None
    (store.path / name).symlink_to(outside if name == HIDDEN else outside / "lock")
    with pytest.raises(IntegrityError, match=f"a symbolic link at {name}"):
        put(store, "k", if_match=store.etag_of(b"new"))
    assert snapshot(outside).keys() == {"index.html"}


def test_what_is_no_file_does_not_make_us_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "k")
    with pytest.raises(IntegrityError, match="is damaged: something that is no file at k"):
        DirectoryStore(tmp_path).get("k")


def test_folders_without_end_are_one_error(tmp_path: Path) -> None:
    deep = tmp_path / "/".join(["d"] * (reach.DEEPEST + 5))
    deep.mkdir(parents=True)
    (deep / "k").write_bytes(b"")
    with pytest.raises(IntegrityError, match=f"folders {reach.DEEPEST} deep at d/d/"):
        list(DirectoryStore(tmp_path).list())


def test_names_that_are_no_keys_are_passed_over(tmp_path: Path) -> None:
    for name in ("a\nb", "a\\b", "k"):
        (tmp_path / name).write_bytes(b"")
    assert [listed.key for listed in DirectoryStore(tmp_path).list()] == ["k"]


def test_the_store_itself_may_be_a_link(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.path)
    linked = DirectoryStore(tmp_path / "link")
    assert put(linked, "k") and store.exists("k") and linked.exists(PAGE)
    with serving(tmp_path / "link") as server:
        assert command("config", "pip", server.url).code == 0
    assert command("audit", tmp_path / "link", "--deep").code == 0


class TestCommands:
    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_a_copy_of_a_store_with_a_link_is_refused_before_anything_is_published(
        self, kind: str, store: DirectoryStore, outside: Path, tmp_path: Path
    ) -> None:
        blob = the_blob(store)
        if kind == "folder":
            linked_folder(store, blob, outside)
        else:
            (store.path / blob).unlink()
            (store.path / blob).symlink_to(outside / "index.html")
        ended = command("sync", store.path, tmp_path / "copy")
        assert ended.code == 4 and "a symbolic link at files/" in ended.error
        assert not list((tmp_path / "copy").glob("channels/**/*"))
        assert all(SECRET not in data for data, _ in snapshot(tmp_path / "copy").values())

    def test_a_copy_into_a_store_with_a_link_leaves_what_is_outside_alone(
        self, store: DirectoryStore, outside: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy/channels").symlink_to(outside)
        ended = command("sync", store.path, tmp_path / "copy")
        assert ended.code == 4 and "a symbolic link at channels" in ended.error
        assert snapshot(outside).keys() == {"index.html"}

    def test_an_audit_names_a_linked_file_and_a_repair_puts_the_page_there(
        self, store: DirectoryStore, outside: Path
    ) -> None:
        before = (store.path / PAGE).read_bytes()
        (store.path / PAGE).unlink()
        (store.path / PAGE).symlink_to(outside / "index.html")
        ended = command("audit", store.path)
        assert ended.code == 4 and f"error: {PAGE}: " in ended.out and "a symbolic link" in ended.out
        assert command("audit", store.path, "--repair").code == 0
        assert not (store.path / PAGE).is_symlink() and (store.path / PAGE).read_bytes() == before
        assert (outside / "index.html").read_bytes() == SECRET

    def test_an_audit_of_a_linked_folder_ends_with_one_sentence(
        self, store: DirectoryStore, outside: Path
    ) -> None:
        linked_folder(store, the_blob(store), outside)
        ended = command("audit", store.path, "--deep")
        assert ended.code == 4 and "a symbolic link at files/" in ended.err

    def test_nothing_linked_is_served(self, store: DirectoryStore, outside: Path) -> None:
        blob = the_blob(store)
        linked_folder(store, PAGE, outside)
        (store.path / "files/link").symlink_to(store.path / blob)
        with serving(store.path) as server:
            for path in (PAGE, PAGE.removesuffix("index.html"), "files/link"):
                assert requests.get(f"{server.url}{path}", timeout=10).status_code == 404
            assert requests.get(f"{server.url}{blob}", timeout=10).status_code == 200
