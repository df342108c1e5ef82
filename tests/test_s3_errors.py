from __future__ import annotations

import functools
import http.server
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from s3_proxy import Fault, proxied
from s3_servers import FreshBucket, Server, free_port

from wheelbuilder.errors import ConfigurationError, UnreachableError, WheelbuilderError
from wheelbuilder.mirror.s3 import S3Store
from wheelbuilder.mirror.s3_client import Patience
from wheelbuilder.mirror.stores import open_store

pytestmark = pytest.mark.s3

QUICK = Patience(attempts=3, back_off=0.01, connect=2.0, read=5.0)


def put(store: S3Store, key: str = "a/k", data: bytes = b"data") -> str | None:
    return store.put(key, data, content_type="text/plain", cache_control="no-cache")


def every_way(store: S3Store) -> list[WheelbuilderError]:
    """What each operation ends with; none may end well, or otherwise than by our own errors."""
    ways: list[Callable[[], object]] = [
        lambda: store.get("a/k"),
        lambda: store.exists("a/k"),
        lambda: list(store.list()),
        lambda: list(store.folders("")),
        lambda: put(store),
        lambda: store.abilities,
        lambda: store.delete(["a/k"]),
    ]
    errors = []
    for way in ways:
        with pytest.raises(WheelbuilderError) as caught:
            way()
        errors.append(caught.value)
    assert all(error.hint and store.address in error.message for error in errors)
    return errors


@pytest.fixture
def swift(s3_servers: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch) -> FreshBucket:
    """A bucket of a server that checks keys, regions and quotas."""
    bucket = s3_servers("swift").new_bucket()
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)
    return bucket


def swift_headers(bucket: FreshBucket, **headers: str) -> None:
    """Set what only Swift's own interface can set of a bucket."""
    endpoint = bucket.endpoint
    ask = urllib.request.Request(f"{endpoint}/auth/v1.0")
    ask.add_header("X-Auth-User", "test:tester")
    ask.add_header("X-Auth-Key", "testing")
    with urllib.request.urlopen(ask) as answer:
        token = answer.headers["X-Auth-Token"]
    change = urllib.request.Request(f"{endpoint}/v1/AUTH_test/{bucket.bucket}", method="POST")
    for name, value in {"X-Auth-Token": token, **headers}.items():
        change.add_header(name.replace("_", "-"), value)
    urllib.request.urlopen(change).close()


class TestBucket:
    @pytest.mark.parametrize("server", ["ministack", "swift"])
    def test_a_missing_bucket(self, server: str, s3_servers: Callable[[str], Server]) -> None:
        store = FreshBucket(server=s3_servers(server), bucket="no-such-bucket").store("p", patience=QUICK)
        for error in every_way(store):
            assert isinstance(error, ConfigurationError)
            assert "does not exist" in error.message

    def test_a_read_only_bucket(self, swift: FreshBucket, monkeypatch: pytest.MonkeyPatch) -> None:
        put(swift.store("p"))
        swift_headers(swift, X_Container_Read="test:reader")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test:reader")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "reading")
        store = S3Store(f"{swift.address}/p", patience=QUICK)
        found = store.get("a/k")
        assert found and found.data == b"data"
        for way in (lambda: put(store), lambda: store.delete(["a/k"]), lambda: store.abilities):
            with pytest.raises(UnreachableError, match=r"does not allow|refused deleting") as caught:
                way()
            assert "right" in caught.value.hint
        assert [listed.key for listed in swift.store().list()] == ["p/a/k"]

    def test_a_full_bucket(self, swift: FreshBucket) -> None:
        store = swift.store("p", patience=QUICK)
        put(store, data=b"old")
        swift_headers(swift, X_Container_Meta_Quota_Bytes="1000")
        with pytest.raises(UnreachableError, match="is full") as caught:
            put(store, data=b"x" * 2000)
        assert "Make room" in caught.value.hint
        found = store.get("a/k")
        assert found and found.data == b"old"

    def test_a_bucket_in_another_region(self, swift: FreshBucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        store = S3Store(swift.address, patience=QUICK)
        put(store)  # the server says which region it is in, and boto3 signs for that
        assert store.exists("a/k")

    def test_a_bucket_at_another_endpoint(self, s3_bucket: FreshBucket) -> None:
        with proxied(s3_bucket.endpoint, lambda _: Fault.MOVED) as proxy:
            for error in every_way(s3_bucket.store(endpoint=proxy.endpoint, patience=QUICK)):
                assert isinstance(error, UnreachableError)
                assert "another region" in error.message and "AWS_DEFAULT_REGION" in error.hint


class TestCredentials:
    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_wrong_ones(self, swift: FreshBucket, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(name, "wrong")
        with pytest.raises(UnreachableError, match="not accepted") as caught:
            put(S3Store(swift.address, patience=QUICK))
        assert name in caught.value.hint

    def test_none(self, s3_bucket: FreshBucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        for error in every_way(S3Store(s3_bucket.address, patience=QUICK)):
            assert isinstance(error, UnreachableError)
            assert "no usable credentials" in error.message and "AWS_PROFILE" in error.hint

    def test_half(self, s3_bucket: FreshBucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(UnreachableError, match="no usable credentials"):
            S3Store(s3_bucket.address).get("k")

    def test_an_unknown_profile(self, s3_bucket: FreshBucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(UnreachableError, match=r"cannot be opened: .*nobody"):
            open_store(s3_bucket.address)


class TestEndpoint:
    def test_nobody_listens(self, s3_bucket: FreshBucket) -> None:
        endpoint = f"http://127.0.0.1:{free_port()}"
        for error in every_way(s3_bucket.store(endpoint=endpoint, patience=QUICK)):
            assert isinstance(error, UnreachableError)
            assert "cannot be reached" in error.message and endpoint in error.message

    def test_no_address(self, s3_bucket: FreshBucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
        with pytest.raises(UnreachableError, match=r"cannot be opened: .*nonsense"):
            open_store(s3_bucket.address)

    def test_a_web_server(self, s3_bucket: FreshBucket, web: str) -> None:
        for error in every_way(s3_bucket.store(endpoint=web, patience=QUICK)):
            assert isinstance(error, UnreachableError)
            assert "is not an S3 server" in error.message

    def test_a_login_page(self, s3_bucket: FreshBucket) -> None:
        with proxied(s3_bucket.endpoint, lambda _: Fault.WEB_PAGE) as proxy:
            for error in every_way(s3_bucket.store(endpoint=proxy.endpoint, patience=QUICK)):
                assert isinstance(error, UnreachableError)
                assert "is not an S3 server" in error.message

    @pytest.fixture
    def web(self, tmp_path: Path) -> Iterator[str]:
        handler = functools.partial(_Quiet, directory=str(tmp_path))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class TestAddress:
    @pytest.mark.parametrize(
        "address",
        [
            "s3://",
            "s3://a",
            "s3:///x",
            "s3://bucket//x",
            "s3://bucket/../x",
            "s3://b ucket/x",
            "s3://bu/a\nb",
        ],
    )
    def test_what_is_no_bucket_is_refused(self, address: str) -> None:
        with pytest.raises(ConfigurationError, match="not the address of a bucket"):
            open_store(address)

    def test_boto3_is_only_needed_for_buckets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.startswith("wheelbuilder.mirror.s3")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "boto3", None)
        assert open_store(str(tmp_path)).address == str(tmp_path)
        with pytest.raises(ConfigurationError, match="boto3") as caught:
            open_store("s3://bucket/prefix")
        assert "pip install 'wheelbuilder[s3]'" in caught.value.hint
