from __future__ import annotations

from pathlib import Path

import requests
from mirrors import NOW, Interfering, wheel_change

from wheelbuilder.errors import UnreachableError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.relay import relaying


def test_objects_are_given_out_as_they_are(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    publish(store, "test", [wheel_change(tmp_path, "foo")], run="1", now=NOW)
    (wheel,) = store.path.glob("files/*/*.whl")
    key = wheel.relative_to(store.path).as_posix()
    with relaying(store) as relay:
        page = requests.get(f"{relay.url}channels/test/simple/foo/", timeout=10)
        assert (page.headers["Content-Type"], page.headers["Cache-Control"]) == ("text/html", "no-store")
        assert page.content == (store.path / "channels/test/simple/foo/index.html").read_bytes()
        assert requests.get(f"{relay.url}{key}", timeout=10).content == wheel.read_bytes()
        head = requests.head(f"{relay.url}{key}.metadata", timeout=10)
        assert (head.status_code, head.content) == (200, b"")
        for path in (
            "channels/test/simple/bar/",
            "channels/test/simple/foo",
            "",
            ".wheelbuilder/",
            "%2e%2e/x",
        ):
            assert requests.get(f"{relay.url}{path}", timeout=10).status_code == 404
        assert relay.failure is None


def test_a_store_that_fails_is_remembered(tmp_path: Path) -> None:
    def fail() -> None:
        raise UnreachableError("The store is away.")

    with relaying(Interfering(DirectoryStore(tmp_path), 1, fail)) as relay:
        assert requests.get(f"{relay.url}a/", timeout=10).status_code == 502
        assert requests.get(f"{relay.url}a/", timeout=10).status_code == 404
        assert str(relay.failure) == "The store is away."
