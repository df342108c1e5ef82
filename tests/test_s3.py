from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from s3_proxy import Fault, Proxy, Request, once, proxied
from s3_servers import SERVERS, FreshBucket, Server

from wheelbuilder.cli.doctor import command as doctor
from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.mirror.lease import Terms
from wheelbuilder.mirror.probe import KEPT, Form
from wheelbuilder.mirror.s3 import S3Store
from wheelbuilder.mirror.s3_client import Patience

pytestmark = pytest.mark.s3

QUICK = Patience(attempts=4, back_off=0.01, connect=5.0, read=1.0)
LOST = [Fault.LOST, Fault.LOST_ERROR, Fault.LOST_STALL, Fault.TRUNCATED]
NOT_DONE = [Fault.ERROR, Fault.BUSY, Fault.RESET, Fault.STALL]
FORMS = {"ministack": Form.QUOTED, "moto": Form.QUOTED, "radosgw": Form.UNQUOTED, "swift": Form.NONE}
CONDITIONS = frozenset({"if-match", "if-none-match"})


@pytest.fixture(autouse=True)
def own_cache(s3_bucket: FreshBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the bucket's own environment: what is found out in one test is not known in the next."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def put(store: S3Store, key: str, data: bytes | Path, **conditions: Any) -> str | None:
    return store.put(key, data, content_type="text/plain", cache_control="no-cache", **conditions)


def data_of(store: S3Store, key: str) -> bytes | None:
    found = store.get(key)
    return found.data if found else None


@contextmanager
def behind(
    bucket: FreshBucket, fault: Callable[[Request], Fault | None] = lambda _: None, **options: Any
) -> Iterator[tuple[S3Store, Proxy]]:
    """The bucket as seen through a proxy that makes the faults."""
    without = options.pop("without", frozenset())
    with proxied(bucket.endpoint, fault, without) as proxy:
        yield bucket.store("p", endpoint=proxy.endpoint, **({"patience": QUICK} | options)), proxy


def always(method: str, fault: Fault, query: str = "") -> Callable[[Request], Fault | None]:
    return lambda request: fault if request.method == method and query in request.query else None


class TestProbe:
    @pytest.mark.parametrize("name", SERVERS)
    def test_each_server_is_seen_as_it_is(self, name: str, s3_servers: Callable[[str], Server]) -> None:
        store = s3_servers(name).new_bucket().store("p")
        assert (store.abilities.if_match, store.abilities.etag_is_md5) == (FORMS[name], True)
        assert store.abilities.conditional == (FORMS[name] is not Form.NONE)

    def test_nothing_is_probed_before_the_first_conditional_write(self, s3_bucket: FreshBucket) -> None:
        with behind(s3_bucket) as (store, proxy):
            with store.exclusive():
                put(store, "a", b"1")
                store.get("a")
                list(store.list())
            assert [request.method for request in proxy.requests] == ["PUT", "GET", "GET"]
            put(store, "b", b"1", if_none_match=True)
            assert any("/.wheelbuilder/probe/" in line for line in proxy.lines())

    def test_what_was_found_is_kept_for_a_day(self, s3_bucket: FreshBucket) -> None:
        with behind(s3_bucket) as (store, proxy):
            first = store.abilities
            count = len(proxy.requests)
            again = s3_bucket.store("p", endpoint=proxy.endpoint)
            assert again.abilities == first and len(proxy.requests) == count
            (kept,) = self.kept()
            os.utime(kept, (kept.stat().st_mtime - KEPT - 1,) * 2)
            assert s3_bucket.store("p", endpoint=proxy.endpoint).abilities == first
            assert len(proxy.requests) == 2 * count

    @pytest.mark.parametrize("damage", ["", "[]", '{"if_match": "maybe"}', "{"])
    def test_what_was_kept_and_cannot_be_read_is_found_again(
        self, s3_bucket: FreshBucket, damage: str
    ) -> None:
        with behind(s3_bucket) as (store, proxy):
            first = store.abilities
            (kept,) = self.kept()
            kept.write_text(damage)
            assert s3_bucket.store("p", endpoint=proxy.endpoint).abilities == first

    def kept(self) -> list[Path]:
        return list(Path(os.environ["XDG_CACHE_HOME"], "wheelbuilder", "stores").iterdir())

    def test_it_leaves_nothing(self, s3_bucket: FreshBucket) -> None:
        assert s3_bucket.store("p").abilities.conditional
        listed = s3_bucket.server.client().list_objects_v2(Bucket=s3_bucket.bucket)
        assert listed["KeyCount"] == 0

    def test_conditions_that_are_ignored_are_found_out(self, s3_bucket: FreshBucket) -> None:
        with behind(s3_bucket, without=CONDITIONS, terms=Terms(duration=6.0, settle=0.5)) as (store, proxy):
            assert not store.abilities.conditional
            assert put(store, "k", b"1", if_none_match=True)
            assert put(store, "k", b"2", if_none_match=True) is None
            assert data_of(store, "k") == b"1"
            assert any(line.endswith("/.wheelbuilder/lease.json") for line in proxy.lines())


class TestLostAnswers:
    """A write whose answer was lost may have taken place, and then is ours."""

    @pytest.mark.parametrize("fault", [*LOST, *NOT_DONE])
    def test_a_creation_succeeds_once(self, s3_bucket: FreshBucket, fault: Fault) -> None:
        with behind(s3_bucket, once("PUT", "/k", fault)) as (store, proxy):
            etag = put(store, "k", b"ours", if_none_match=True)
            found = store.get("k")
            assert found and (found.data, found.etag) == (b"ours", etag)
            assert proxy.lines().count(f"PUT /{s3_bucket.bucket}/p/k") == 2

    @pytest.mark.parametrize("fault", LOST)
    def test_a_replacement_succeeds_once(self, s3_bucket: FreshBucket, fault: Fault) -> None:
        with behind(s3_bucket) as (store, proxy):
            seen = put(store, "k", b"old")
            proxy.fault = once("PUT", "/k", fault)
            etag = put(store, "k", b"new", if_match=seen)
            assert etag and etag != seen and data_of(store, "k") == b"new"
            assert put(store, "k", b"other", if_match=seen) is None

    @pytest.mark.parametrize("fault", NOT_DONE)
    def test_what_another_wrote_is_not_taken_for_ours(self, s3_bucket: FreshBucket, fault: Fault) -> None:
        with behind(s3_bucket) as (store, proxy):
            put(store, "k", b"another's")
            proxy.fault = once("PUT", "/k", fault)
            assert put(store, "k", b"ours", if_none_match=True) is None
            assert data_of(store, "k") == b"another's"

    def test_a_large_file_is_completed_once(self, s3_bucket: FreshBucket, tmp_path: Path) -> None:
        source = tmp_path / "large"
        source.write_bytes(os.urandom(6 << 20))
        sizes = {"large": 1 << 20, "part": 5 << 20}
        with behind(s3_bucket, once("POST", "/k", Fault.ERROR, Fault.LOST), **sizes) as (store, _):
            etag = put(store, "k", source, if_none_match=True)
            found = store.get("k")
            assert found and (found.data, found.etag) == (source.read_bytes(), etag)

    def test_deleting_again_does_no_harm(self, s3_bucket: FreshBucket) -> None:
        with behind(s3_bucket, once("POST", "", Fault.LOST)) as (store, _):
            put(store, "k", b"")
            store.delete(["k"])
            assert list(store.list()) == []


class TestReading:
    @pytest.mark.parametrize("fault", [*NOT_DONE, Fault.TRUNCATED, Fault.FLIPPED])
    def test_a_bad_answer_is_read_again(self, s3_bucket: FreshBucket, fault: Fault, tmp_path: Path) -> None:
        data = os.urandom(3_000_000)
        with behind(s3_bucket) as (store, proxy):
            put(store, "k", data)
            proxy.fault = once("GET", "/k", fault)
            assert data_of(store, "k") == data
            proxy.fault = once("GET", "/k", fault)
            assert store.download("k", tmp_path / "k") and (tmp_path / "k").read_bytes() == data

    @pytest.mark.parametrize("fault", [*NOT_DONE, Fault.TRUNCATED])
    def test_a_listing_is_whole_or_asked_for_again(self, s3_bucket: FreshBucket, fault: Fault) -> None:
        with behind(s3_bucket) as (store, proxy):
            for n in range(20):
                put(store, f"k/{n}", b"")
            proxy.fault = once("GET", s3_bucket.bucket, fault)
            assert len(list(store.list())) == 20

    def test_damage_at_rest_is_not_hidden(self, s3_bucket: FreshBucket, tmp_path: Path) -> None:
        with behind(s3_bucket) as (store, proxy):
            bucket = {"Bucket": s3_bucket.bucket, "Key": "p/k"}
            s3_bucket.server.client().put_object(**bucket, Body=b"damaged", Metadata={"sha256": "0" * 64})
            assert data_of(store, "k") == b"damaged"
            assert store.download("k", tmp_path / "k") and (tmp_path / "k").read_bytes() == b"damaged"
            assert len(proxy.requests) == 4  # each was read twice

    def test_patience_ends_with_one_error(self, s3_bucket: FreshBucket) -> None:
        with behind(s3_bucket, always("GET", Fault.ERROR)) as (store, proxy):
            with pytest.raises(UnreachableError, match=rf"s3://{s3_bucket.bucket}/p .*reading a/k"):
                store.get("a/k")
            assert len(proxy.requests) == QUICK.attempts


class TestWriting:
    def test_headers_and_digests_go_with_it(self, s3_bucket: FreshBucket) -> None:
        with behind(s3_bucket) as (store, proxy):
            store.put("k", b"abc", content_type="application/x-test", cache_control="max-age=1")
            (request,) = proxy.requests
            assert request.headers["content-md5"] == "kAFQmDzST7DWlj99KOF/cg=="
            assert not {"x-amz-trailer", "transfer-encoding"} & set(request.headers)
            found = store.get("k")
            assert found and found.content_type == "application/x-test" and found.cache_control == "max-age=1"

    def test_a_large_file_that_fails_leaves_no_parts(self, s3_bucket: FreshBucket, tmp_path: Path) -> None:
        source = tmp_path / "large"
        source.write_bytes(os.urandom(6 << 20))
        sizes = {"large": 1 << 20, "part": 5 << 20}
        with behind(s3_bucket, always("PUT", Fault.ERROR, "partNumber=2"), **sizes) as (store, _):
            with pytest.raises(UnreachableError, match="part 2"):
                put(store, "k", source)
            uploads = s3_bucket.server.client().list_multipart_uploads(Bucket=s3_bucket.bucket)
            assert uploads.get("Uploads", []) == [] and list(store.list()) == []

    def test_a_file_that_is_not_there_is_one_error(self, s3_bucket: FreshBucket, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="cannot be read"):
            put(s3_bucket.store(), "k", tmp_path / "absent")


@pytest.mark.parametrize("name", SERVERS)
def test_everybody_can_read_what_was_made_public(name: str, s3_servers: Callable[[str], Server]) -> None:
    bucket = s3_servers(name).new_bucket()
    put(bucket.store("p"), "a+b/index.html", b"page")
    with urllib.request.urlopen(f"{bucket.make_public()}/p/a%2Bb/") as answer:
        assert (answer.read(), answer.headers["content-type"]) == (b"page", "text/plain")
        assert answer.headers["cache-control"] == "no-cache"


class TestDoctor:
    """`wheelbuilder doctor --store` says who arbitrates between writers."""

    def said(self, address: str) -> tuple[bool, str]:
        result = CliRunner().invoke(doctor, ("--quick", "--json", "--store", address))
        (finding,) = (each for each in json.loads(result.stdout) if each["subject"] == "store")
        return finding["works"], finding["words"]

    @pytest.mark.parametrize("name", SERVERS)
    def test_it_says_what_each_server_honours(
        self, name: str, s3_servers: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket = s3_servers(name).new_bucket()
        for variable, value in bucket.env.items():
            monkeypatch.setenv(variable, value)
        works, words = self.said(bucket.address)
        assert works and ("lease of 30 s stands in" in words) == (FORMS[name] is Form.NONE)
        assert ("are honoured" in words) == (FORMS[name] is not Form.NONE)

    def test_it_says_what_is_wrong(self) -> None:
        works, words = self.said("s3://no-such-bucket")
        assert not works and "does not exist" in words

    def test_a_directory(self, tmp_path: Path) -> None:
        works, words = self.said(str(tmp_path / "store"))
        assert works and "can be made" in words and not (tmp_path / "store").exists()
