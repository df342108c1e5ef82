"""A page lies where installers ask for it: its name ends in "/", unless a web host adds the index."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import command
from mirrors import NOW, wheel_change
from s3_servers import SERVERS, FreshBucket, Server

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import JSON_TYPE
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.s3 import S3Store
from wheelbuilder.mirror.s3_client import Place

PAGE = "channels/stable/json/foo/index.html"
WEB_HOST = "?index=index.html"


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.s3) for name in SERVERS])
def bucket(request: pytest.FixtureRequest, s3_servers: Callable[[str], Server]) -> FreshBucket:
    return s3_servers(request.param).new_bucket()


def put(store: S3Store, key: str, data: bytes = b"page", **conditions: Any) -> str | None:
    return store.put(key, data, content_type=JSON_TYPE, cache_control="no-cache", **conditions)


def listed(store: S3Store, prefix: str = "") -> list[str]:
    return sorted(it.key for it in store.list(prefix))


def names(bucket: FreshBucket) -> list[str]:
    found = bucket.server.client().list_objects_v2(Bucket=bucket.bucket)
    return sorted(entry["Key"] for entry in found.get("Contents", ()))


def test_everybody_gets_a_page_at_its_folder(bucket: FreshBucket) -> None:
    put(bucket.store("p"), PAGE)
    with urllib.request.urlopen(f"{bucket.make_public()}/p/channels/stable/json/foo/") as answer:
        assert (answer.read(), answer.headers["content-type"]) == (b"page", JSON_TYPE)


def test_one_object_holds_it(bucket: FreshBucket) -> None:
    put(bucket.store("p"), PAGE)
    assert names(bucket) == ["p/channels/stable/json/foo/"]
    put(bucket.store(f"q{WEB_HOST}"), PAGE)
    assert names(bucket) == ["p/channels/stable/json/foo/", f"q/{PAGE}"]


@pytest.mark.parametrize("option", ["", WEB_HOST])
def test_the_store_keeps_its_contract(bucket: FreshBucket, tmp_path: Path, option: str) -> None:
    store = bucket.store(f"p{option}")
    keys = ["index.html", "a/index.html", "a/b", "a/b/index.html", "a/index.html.metadata"]
    for key in keys:
        put(store, key, key.encode())
    assert listed(store) == sorted(keys)
    assert listed(store, "a/index") == ["a/index.html", "a/index.html.metadata"]
    assert listed(store, "a/index.html") == ["a/index.html", "a/index.html.metadata"]
    assert listed(store, "a/b/i") == ["a/b/index.html"]
    assert sorted(store.folders("")) == ["a"] and sorted(store.folders("a/")) == ["b"]
    found = store.get("a/index.html")
    assert found and found.data == b"a/index.html" and store.exists("a/b/index.html")
    assert store.download("a/index.html", tmp_path / "copy")
    store.delete(["a/index.html", "index.html"])
    assert listed(store) == sorted(set(keys) - {"a/index.html", "index.html"})


def test_what_others_left_there_is_no_key(bucket: FreshBucket) -> None:
    """A folder's mark at the top, and a tree that was copied by a program that knows nothing of this."""
    client = bucket.server.client()
    for name in ("p/", f"p/{PAGE}", "p/a//"):
        client.put_object(Bucket=bucket.bucket, Key=name, Body=b"")
    store = bucket.store("p")
    assert listed(store) == [] and store.get(PAGE) is None
    assert listed(bucket.store(f"p{WEB_HOST}")) == [PAGE]


@pytest.mark.parametrize("option", ["?", "?index=", "?index=default.html", "?index=index.html&x=1", "?x"])
def test_other_options_are_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the address of a bucket"):
        Place.parse(f"s3://bucket/prefix{option}")


def test_the_address_stays_as_it_was_written() -> None:
    place = Place.parse(f"s3://bucket/prefix/{WEB_HOST}")
    assert (place.address, place.prefix, place.web_host) == (
        f"s3://bucket/prefix/{WEB_HOST}",
        "prefix/",
        True,
    )


def test_caches_may_be_told_to_keep_pages_for_a_while(bucket: FreshBucket) -> None:
    store = bucket.store("p?page-max-age=60")
    put(store, PAGE)
    store.put("channels/stable/head.json", b"{}", content_type="", cache_control="no-store")
    with urllib.request.urlopen(f"{bucket.make_public()}/p/channels/stable/json/foo/") as answer:
        assert answer.headers["cache-control"] == "public, max-age=60"
    page, head = store.get(PAGE), store.get("channels/stable/head.json")
    assert page and page.cache_control == "no-cache"  # what the layout asks for: the address is no damage
    assert head and head.cache_control == "no-store"


@pytest.mark.parametrize("age", ["", "x", "-1", "1.5", "999999999"])
def test_a_strange_age_is_refused(age: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the address of a bucket"):
        Place.parse(f"s3://bucket/prefix?page-max-age={age}")


@pytest.mark.s3
class TestOneSetting:
    @pytest.mark.parametrize(("first", "other"), [("", WEB_HOST), (WEB_HOST, "")])
    def test_an_address_that_names_pages_otherwise_is_refused(
        self, first: str, other: str, s3_bucket: FreshBucket, tmp_path: Path
    ) -> None:
        change, mirror = wheel_change(tmp_path), DirectoryStore(tmp_path / "mirror")
        publish(s3_bucket.store(f"p{first}"), "stable", [change], run="", now=NOW)
        publish(mirror, "stable", [change], run="", now=NOW)
        before, wrong = objects(s3_bucket), f"{s3_bucket.address}/p{other}"
        imported = ("import", change.wheels[0].path or "", "--no-upstream", "--store", wrong)
        for words in (
            (*imported, "--channel", "stable"),
            (*imported, "--channel", "another"),
            ("sync", mirror.path, wrong),
            ("sync", wrong, tmp_path / "copy"),
            ("yank", "foo==1.0", "--reason", "x", "--store", wrong),
            ("promote", "stable", "another", "--store", wrong),
            ("channel", "show", "stable", "--store", wrong),
            ("audit", wrong, "--repair"),
        ):
            ended = command(*words)
            assert ended.code == 2 and "names end in" in ended.error, (words, ended.err)
            assert f"Write {s3_bucket.address}/p{first};" in ended.err
        assert objects(s3_bucket) == before and not (tmp_path / "copy/channels").exists()
        right = ("audit", f"{s3_bucket.address}/p{first}", "--deep")
        assert command(*right).code == 0

    def test_a_head_of_an_earlier_version_says_nothing_and_is_taken(self, s3_bucket: FreshBucket) -> None:
        store, head = s3_bucket.store("p"), "channels/stable/head.json"
        s3_bucket.server.client().put_object(Bucket=s3_bucket.bucket, Key=f"p/{head}", Body=b"{}")
        found = s3_bucket.store(f"p{WEB_HOST}").get(head)
        assert found and put(store, head, b"{ }", if_match=found.etag)
        with pytest.raises(ConfigurationError, match="names end in /, and this address asks for index"):
            s3_bucket.store(f"p{WEB_HOST}").get(head)


def objects(bucket: FreshBucket) -> dict[str, str]:
    """What a bucket holds, by the objects' own names; not what the store tries out meanwhile."""
    found = bucket.server.client().list_objects_v2(Bucket=bucket.bucket)["Contents"]
    return {it["Key"]: it["ETag"] for it in found if ".wheelbuilder/" not in it["Key"]}
