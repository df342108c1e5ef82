from __future__ import annotations

import os
import resource
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from s3_servers import SERVERS, FreshBucket

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.mirror.directory import STALE, DirectoryStore
from wheelbuilder.mirror.lease import Terms
from wheelbuilder.mirror.store import HIDDEN, Store
from wheelbuilder.mirror.stores import open_store

# Every implementation of the protocol keeps the same contract: another one is one more row here.
# The lease of servers that do not arbitrate is quick here; large files are 2 MiB and more.
TERMS = Terms(duration=6.0, settle=0.5)
STORES = ("directory", *SERVERS)


@pytest.fixture(
    params=[pytest.param(name, marks=() if name == "directory" else pytest.mark.s3) for name in STORES]
)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "store")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bucket: FreshBucket = request.getfixturevalue("s3_servers")(request.param).new_bucket()
    return bucket.store("some/prefix", terms=TERMS, large=2 << 20, part=5 << 20)


def put(store: Store, key: str, data: bytes | Path, **conditions: object) -> str | None:
    return store.put(key, data, content_type="text/plain", cache_control="no-cache", **conditions)  # type: ignore[arg-type]


def data_of(store: Store, key: str) -> bytes | None:
    found = store.get(key)
    return found.data if found else None


def keys(store: Store, prefix: str = "") -> list[str]:
    return sorted(listed.key for listed in store.list(prefix))


class TestContract:
    def test_what_was_put_is_got_with_the_same_etag(self, store: Store) -> None:
        etag = put(store, "a/b.txt", b"one")
        found = store.get("a/b.txt")
        assert found and (found.data, found.etag) == (b"one", etag)

    def test_nothing_is_none(self, store: Store) -> None:
        put(store, "a/b", b"")
        assert store.get("a/c") is None
        assert store.get("a") is None
        assert store.get("a/b/c") is None
        assert data_of(store, "a/b") == b""

    def test_a_file_is_put_by_its_path(self, store: Store, tmp_path: Path) -> None:
        source = tmp_path / "big"
        source.write_bytes(os.urandom(3_000_000))
        etag = put(store, "files/big", source)
        found = store.get("files/big")
        assert found and found.data == source.read_bytes() and found.etag == etag

    def test_create_only_keeps_the_first(self, store: Store) -> None:
        assert put(store, "k", b"first", if_none_match=True)
        assert put(store, "k", b"second", if_none_match=True) is None
        assert data_of(store, "k") == b"first"

    def test_if_match_replaces_only_what_was_seen(self, store: Store) -> None:
        first = put(store, "k", b"1")
        second = put(store, "k", b"2", if_match=first)
        assert second and second != first
        assert put(store, "k", b"3", if_match=first) is None
        assert data_of(store, "k") == b"2"

    def test_if_match_does_not_create(self, store: Store) -> None:
        etag = put(store, "other", b"1")
        assert put(store, "k", b"1", if_match=etag) is None
        assert store.get("k") is None

    def test_list_has_prefix_and_sizes_and_nothing_else(self, store: Store) -> None:
        for key in ("a/1", "a/2/x", "ab", "b"):
            put(store, key, key.encode())
        assert keys(store) == ["a/1", "a/2/x", "ab", "b"]
        assert keys(store, "a/") == ["a/1", "a/2/x"]
        assert keys(store, "a") == ["a/1", "a/2/x", "ab"]
        assert keys(store, "nowhere/") == []
        assert {listed.key: listed.size for listed in store.list("a/")} == {"a/1": 3, "a/2/x": 5}

    def test_delete_many_and_what_is_not_there(self, store: Store) -> None:
        put(store, "a/1", b"1")
        put(store, "a/2", b"2")
        store.delete(["a/1", "a/3"])
        assert keys(store) == ["a/2"]

    @pytest.mark.parametrize(
        "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\\b", "a\nb", "a\0b", f"{HIDDEN}/x"]
    )
    def test_keys_that_leave_the_store_are_refused(self, store: Store, key: str) -> None:
        for action in (lambda: store.get(key), lambda: put(store, key, b""), lambda: store.delete([key])):
            with pytest.raises(ConfigurationError, match="cannot be a key"):
                action()
        assert keys(store) == []

    def test_odd_keys_are_kept_as_they_are(self, store: Store) -> None:
        odd = ["files/a+b", "files/ü", "a b", "a'\"<>&", "a%2Fb", "a%20b", ".x/y", "~a", "a?b#c=d", "a" * 200]
        for key in odd:
            put(store, key, key.encode())
        assert keys(store) == sorted(odd)
        assert [data_of(store, key) for key in odd] == [key.encode() for key in odd]
        store.delete(odd)
        assert keys(store) == []

    def test_one_of_many_creators_wins(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as pool, store.exclusive():
            for key in (f"k{n}" for n in range(10)):
                won = list(pool.map(lambda n: put(store, key, b"%d" % n, if_none_match=True), range(8)))  # noqa: B023
                (winner,) = (n for n, etag in enumerate(won) if etag)
                assert data_of(store, key) == b"%d" % winner

    def test_a_counter_loses_no_step(self, store: Store) -> None:
        put(store, "n", b"0")

        def count(_: int) -> None:
            # As in heads no two writers' bytes are equal: after a lost answer that tells whose they are.
            token = secrets.token_hex(8)
            while True:
                seen = store.get("n")
                assert seen
                number = int(seen.data.partition(b" ")[0]) + 1
                if put(store, "n", b"%d %s" % (number, token.encode()), if_match=seen.etag):
                    return

        with ThreadPoolExecutor(8) as pool, store.exclusive():
            list(pool.map(count, range(40)))
        assert (data_of(store, "n") or b"").partition(b" ")[0] == b"40"

    def test_what_is_there_exists(self, store: Store) -> None:
        put(store, "a/b", b"")
        assert store.exists("a/b")
        assert not store.exists("a") and not store.exists("a/c") and not store.exists("a/b/c")

    def test_a_known_etag_is_the_real_one(self, store: Store) -> None:
        etag = put(store, "k", b"what")
        assert store.etag_of(b"what") in (etag, None)

    def test_folders_are_those_directly_below(self, store: Store) -> None:
        for key in ("a/1/x", "a/2/x/y", "a/3", "b/4/x"):
            put(store, key, b"")
        assert sorted(store.folders("a/")) == ["1", "2"]
        assert list(store.folders("nowhere/")) == []

    def test_a_large_file_goes_in_and_out(self, store: Store, tmp_path: Path) -> None:
        source, copy = tmp_path / "large", tmp_path / "copy"
        source.write_bytes(os.urandom(11 << 20))
        etag = put(store, "files/large", source, if_none_match=True)
        assert etag and put(store, "files/large", source, if_none_match=True) is None
        assert store.download("files/large", copy) and copy.read_bytes() == source.read_bytes()
        found = store.get("files/large")
        assert found and found.etag == etag
        assert [listed.size for listed in store.list("files/")] == [11 << 20]

    def test_what_is_not_there_is_not_downloaded(self, store: Store, tmp_path: Path) -> None:
        assert store.download("k", tmp_path / "copy") is False

    def test_a_listing_has_the_time_of_writing(self, store: Store) -> None:
        before = time.time()
        put(store, "k", b"")
        (listed,) = store.list()
        assert before - 2 <= listed.modified <= time.time() + 2

    def test_more_keys_than_one_answer_holds(self, store: Store, request: pytest.FixtureRequest) -> None:
        if request.node.callspec.params["store"] == "swift" and "S3_SERVERS" not in os.environ:
            pytest.skip("takes Swift most of a minute: make test-s3-all")
        wanted = [f"n/{n:04}" for n in range(1020)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: put(store, key, b"x"), wanted))
        assert keys(store) == wanted
        store.delete(wanted[1:])
        assert keys(store) == wanted[:1]


class TestDirectory:
    def test_nothing_temporary_stays(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        etag = put(store, "k", b"1")
        put(store, "k", b"2", if_none_match=True)
        put(store, "k", b"3", if_match=etag)
        put(store, "k", b"4", if_match=etag)
        assert {path.name for path in (tmp_path / HIDDEN).iterdir()} == {"lock"}

    def test_what_a_dead_writer_left_is_swept(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        etag = put(store, "k", b"1")
        old, young = tmp_path / HIDDEN / "1-old", tmp_path / HIDDEN / "1-young"
        for path in (old, young):
            path.write_bytes(b"half")
        os.utime(old, (old.stat().st_mtime - STALE - 1,) * 2)
        put(store, "k", b"2", if_match=etag)
        assert young.exists() and not old.exists()

    def test_reading_makes_nothing(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path / "absent")
        assert store.get("k") is None and keys(store) == []
        assert not (tmp_path / "absent").exists()

    def test_a_file_is_not_a_store(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(ConfigurationError, match="is a file"):
            open_store(str(tmp_path / "file"))
        with pytest.raises(UnreachableError, match="Not a directory"):
            put(open_store(str(tmp_path / "file" / "store")), "k", b"")

    def test_a_place_that_cannot_be_written_is_one_clear_error(self) -> None:
        with pytest.raises(
            UnreachableError, match=r"The store /proc/store does not work: .* at k\."
        ) as caught:
            put(DirectoryStore(Path("/proc/store")), "k", b"1")
        assert caught.value.hint and caught.value.exit_code == 3

    def test_a_full_disk_leaves_the_old_object_and_no_half_one(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        put(store, "k", b"old")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # the kernel refuses longer files
        try:
            with pytest.raises(UnreachableError, match="File too large"):
                put(store, "k", b"x" * 2000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert data_of(store, "k") == b"old"
        assert list((tmp_path / HIDDEN).iterdir()) == []


class TestOpen:
    @pytest.mark.parametrize("address", ["", " ", "ftp://example.org/x", "a\0b"])
    def test_other_addresses_are_refused(self, address: str) -> None:
        with pytest.raises(ConfigurationError, match="not the address of a store"):
            open_store(address)
