from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from mirrors import NOW, upstream_file, wheel_change

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import JSON_TYPE
from wheelbuilder.mirror.negotiate import best, span
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.serve import Server, serving

PIP = f"{JSON_TYPE}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
V1_HTML = "application/vnd.pypi.simple.v1+html"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    store = DirectoryStore(folder / "store")
    foo = wheel_change(folder, "Foo-Bar", "1.0+l.1")
    theirs = wheel_change(folder, "theirs").project
    changes = [foo, Change(project=theirs, upstream=(upstream_file("theirs-1.0.tar.gz"),))]
    publish(store, "stable", changes, run="1", now=NOW)
    (folder / "secret").write_text("secret")
    (store.path / "index.html").write_text("for people")
    return store.path


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with serving(root) as server:
        yield server


@pytest.fixture(scope="module")
def base(server: Server) -> str:
    return f"{server.url}channels/stable/"


def get(url: str, accept: str | None = None, method: str = "GET", **headers: str) -> requests.Response:
    wanted = {"Accept": accept, **headers}
    return requests.request(method, url, headers=wanted, timeout=10, allow_redirects=False)


def raw(server: Server, target: str) -> tuple[int, str | None, bytes]:
    """Send a request target as it stands; clients would tidy it up."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.putrequest("GET", target, skip_host=False)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.getheader("Location"), body


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        (PIP, JSON_TYPE),
        (JSON_TYPE, JSON_TYPE),
        (f"{JSON_TYPE}, text/html", JSON_TYPE),
        (f"text/html, {JSON_TYPE}", JSON_TYPE),
        (f"{JSON_TYPE};q=0.1, text/html", "text/html"),
        (f"{JSON_TYPE};q=0, */*", "text/html"),
        (V1_HTML, V1_HTML),
        ("application/vnd.pypi.simple.latest+json", JSON_TYPE),
        (f"{JSON_TYPE.upper()} ; Q=1.0", JSON_TYPE),
    ],
)
def test_a_page_comes_in_the_form_that_is_liked_best(
    base: str, accept: str | None, content_type: str
) -> None:
    answer = get(f"{base}simple/foo-bar/", accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.headers["Vary"] == "Accept" and answer.headers["Cache-Control"] == "no-cache"
    assert (answer.content[:1] == b"{") == (content_type == JSON_TYPE)


@pytest.mark.parametrize(
    "accept", ["application/json", "image/png", f"{JSON_TYPE};q=0", "text/html;q=0, text/plain"]
)
def test_406_only_if_nothing_fits(base: str, accept: str) -> None:
    assert get(f"{base}simple/foo-bar/", accept).status_code == 406


@pytest.mark.parametrize("accept", [None, "*/*", PIP, "text/html"])
def test_json_trees_answer_with_json_whatever_is_asked(base: str, accept: str | None) -> None:
    for page in ("json/foo-bar/", "json/", "whole-json/theirs/"):
        answer = get(f"{base}{page}", accept)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, JSON_TYPE)
        assert answer.json()["meta"] == {"api-version": "1.4"}


def test_root_pages_negotiate_too(base: str) -> None:
    assert get(f"{base}whole/", PIP).json()["projects"] == [{"name": "foo-bar"}, {"name": "theirs"}]
    assert b'<a href="foo-bar/">' in get(f"{base}simple/").content


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("simple/none/", 404),
        ("simple/theirs/", 404),
        ("whole/theirs/", 200),
        ("json/theirs/", 404),
        ("head.json", 200),
        ("none.json", 404),
        ("commits/", 404),
        ("../../../secret", 404),
    ],
)
def test_what_is_there_and_what_is_not(base: str, path: str, status: int) -> None:
    assert get(f"{base}{path}", PIP).status_code == status


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("simple/foo-bar", "simple/foo-bar/"),
        ("simple/Foo_Bar/", "simple/foo-bar/"),
        ("simple/Foo.Bar", "simple/foo-bar/"),
        ("whole-json/FOO--BAR/", "whole-json/foo-bar/"),
        ("simple", "simple/"),
    ],
)
def test_redirects(base: str, path: str, location: str) -> None:
    answer = get(f"{base}{path}")
    assert (answer.status_code, answer.headers["Location"]) == (301, f"/channels/stable/{location}")


@pytest.mark.parametrize(
    "target",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/channels/%2e%2e/%2e%2e/secret",
        "/..%2fsecret",
        "/channels\\..\\..\\secret",
        "/.wheelbuilder/lock",
        "/channels/stable/head.json%00",
        "/channels/stable/head.json/",
        "/%ff%fe",
        "/" + "a" * 5000,
        "/" + "%C3%A4" * 200,
        "/" + "a/" * 5000,
    ],
)
def test_nothing_outside_or_hidden_is_served(server: Server, target: str) -> None:
    status, _, body = raw(server, target)
    assert status == 404 and b"secret" not in body


def test_a_redirect_never_leaves_the_server(server: Server) -> None:
    assert raw(server, "//channels")[:2] == (301, "/channels/")
    assert raw(server, "//evil.example.org/channels")[0] in (301, 404)
    assert not (raw(server, "//evil.example.org/channels")[1] or "/").startswith("//")


def test_a_link_out_of_the_store_is_not_followed(root: Path, server: Server) -> None:
    (root / "channels/link.html").symlink_to(root.parent / "secret")
    assert raw(server, "/channels/link.html")[0] == 404
    (root / "channels/link.html").unlink()


def test_an_unchanged_page_is_not_sent_again(base: str, root: Path) -> None:
    first = get(f"{base}simple/foo-bar/", PIP)
    etag = first.headers["ETag"]
    again = get(f"{base}simple/foo-bar/", PIP, **{"If-None-Match": f'"x", W/{etag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert again.headers["Vary"] == "Accept"
    assert get(f"{base}simple/foo-bar/", "text/html", **{"If-None-Match": etag}).status_code == 200
    path = root / "channels/stable/json/foo-bar/index.html"
    os.utime(path, (1, 1))
    assert get(f"{base}simple/foo-bar/", PIP, **{"If-None-Match": etag}).status_code == 200


def wheel_url(base: str) -> str:
    relative: str = get(f"{base}json/foo-bar/").json()["files"][0]["url"]
    return urljoin(f"{base}simple/foo-bar/", relative)


def test_blobs_are_for_ever_and_the_head_is_never_kept(base: str) -> None:
    for url in (wheel_url(base), f"{wheel_url(base)}.metadata"):
        answer = get(url)
        assert answer.status_code == 200 and "%2B" in url
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "application/octet-stream"
    assert get(f"{base}head.json").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=10-", slice(10, None)),
        ("bytes=-10", slice(-10, None)),
        ("bytes=5-999999", slice(5, None)),
        ("bytes=-999999", slice(0, None)),
    ],
)
def test_ranges(base: str, wanted: str, part: slice) -> None:
    whole = get(wheel_url(base)).content
    answer = get(wheel_url(base), Range=wanted)
    assert answer.content == whole[part]
    assert answer.status_code == (200 if whole[part] == whole else 206)
    if answer.status_code == 206:
        start = part.indices(len(whole))[0]
        last = start + len(answer.content) - 1
        assert answer.headers["Content-Range"] == f"bytes {start}-{last}/{len(whole)}"


def test_ranges_that_cannot_be(base: str) -> None:
    size = len(get(wheel_url(base)).content)
    answer = get(wheel_url(base), Range=f"bytes={size}-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert get(wheel_url(base), Range="bytes=5-2").status_code == 416
    for passed_over in ("lines=1-2", "bytes=0-1,3-4", "bytes=-", "bytes=a-b"):
        assert get(wheel_url(base), Range=passed_over).status_code == 200
    assert get(wheel_url(base), Range="bytes=0-1", **{"If-Range": '"old"'}).status_code == 200


def test_head_has_the_headers_and_no_body(base: str) -> None:
    one, other = get(wheel_url(base)), get(wheel_url(base), method="HEAD")
    assert other.content == b"" and other.headers["Content-Length"] == str(len(one.content))
    assert get(f"{base}simple/none/", method="HEAD").status_code == 404


def test_other_methods_are_refused(base: str) -> None:
    assert get(f"{base}head.json", method="PUT").status_code == 501


def test_a_connection_is_kept(server: Server) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.connect()
    first = connection.sock
    for path in ("/", "/none", "/channels/stable/simple", "/channels/stable/head.json"):
        connection.request("GET", path)
        connection.getresponse().read()
    assert connection.sock is first
    connection.close()


def test_many_clients_at_once(base: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: get(f"{base}simple/foo-bar/", PIP).status_code, range(100)))
    assert answers == [200] * 100


def test_a_client_that_goes_away_disturbs_nobody(
    server: Server, base: str, capfd: pytest.CaptureFixture[str]
) -> None:
    host, port = urlsplit(server.url).netloc.split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert get(f"{base}head.json").status_code == 200
    assert capfd.readouterr().err == ""


def test_the_page_of_the_store_is_served(server: Server) -> None:
    answer = get(server.url)
    assert (answer.text, answer.headers["Content-Type"]) == ("for people", "text/html")


def test_requests_are_told(root: Path) -> None:
    with serving(root) as server:
        get(f"{server.url}channels/stable/simple/foo-bar/", PIP, **{"User-Agent": "me"})
        (request,) = server.requests
    assert (request.method, request.path, request.status) == ("GET", "/channels/stable/simple/foo-bar/", 200)
    assert (request.content_type, request.agent) == (JSON_TYPE, "me")


def test_errors_are_clear(root: Path, tmp_path: Path, server: Server) -> None:
    with pytest.raises(ConfigurationError, match="no such directory"), serving(tmp_path / "none"):
        pass
    taken = urlsplit(server.url).port or 0
    for host, words in (
        ("127.0.0.1", "Address already in use"),
        ("none.invalid", "Name or service not known"),
    ):
        complaint = f":{taken} cannot be listened on: {words}\\."
        with pytest.raises(UnreachableError, match=complaint), serving(root, host=host, port=taken):
            pass


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "a/x"),
        ("a/*", "a/x"),
        ("b/*, a/*;q=0.5", "b/z"),
        ("a/y", "a/y"),
        ("a/*, a/x;q=0.1", "a/y"),
        ("a/x;q=nonsense", None),
        ("a/x;q=0.5, a/y;q=0.6, b/z;q=0.7", "b/z"),
        (";;,,", "a/x"),
        ("c/c", None),
        ("a/x;level=1;q=0.2, b/z;q=0.3", "b/z"),
    ],
)
def test_best(accept: str, expected: str | None) -> None:
    assert best(accept, ["a/x", "a/y", "b/z"]) == expected


def test_span_of_nothing() -> None:
    assert span("", 0) == (0, 0)
    assert span("bytes=0-", 0) is None
    assert span("bytes=-0", 5) is None
    assert json.dumps(span("bytes=1-1", 5)) == "[1, 2]"
