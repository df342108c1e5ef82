from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version
from simple_index import Answer, SimpleIndex, entry, page

from wheelbuilder.errors import UnreachableError
from wheelbuilder.plan.files import IndexFile
from wheelbuilder.plan.pages import wanted_names
from wheelbuilder.plan.upstream import CONNECTIONS, UpstreamIndex

SIX = canonicalize_name("six")
GOOD = Answer(body=page("six", [entry("six-1.0.tar.gz")]))


def fetch(
    index: SimpleIndex, cache: Path | None = None, *, version: str = "1.0"
) -> tuple[IndexFile, ...] | None:
    return UpstreamIndex(index.url, cache, back_off=0.01).files({SIX: [Version(version)]})[SIX]


def names(found: tuple[IndexFile, ...] | None) -> list[str]:
    return [file.filename for file in found or ()]


def test_every_field_of_a_file() -> None:
    with SimpleIndex() as index:
        values = {
            "url": "../../packages/six-1.0-py3-none-any.whl",
            "hashes": {"sha256": "ab" * 32, "blake2b": "x"},
            "requires-python": ">=3.8",
            "size": 11,
            "upload-time": "2024-12-04T17:35:26.475808+00:00",
            "yanked": "broken",
            "core-metadata": {"sha256": "cd" * 32},
        }
        index.page("six", [entry("six-1.0-py3-none-any.whl", **values)])
        assert fetch(index) == (
            IndexFile(
                filename="six-1.0-py3-none-any.whl",
                url=index.url.removesuffix("simple/") + "packages/six-1.0-py3-none-any.whl",
                sha256="ab" * 32,
                size=11,
                requires_python=">=3.8",
                upload_time="2024-12-04T17:35:26.475808Z",
                yanked="broken",
                metadata_sha256="cd" * 32,
            ),
        )


def test_only_the_wanted_versions_are_kept() -> None:
    with SimpleIndex() as index:
        listed = (
            "six-1.0.tar.gz",
            "six-1.0-py3-none-any.whl",
            "six-1.0.1.tar.gz",
            "six-11.0.tar.gz",
            "six-2.0.zip",
        )
        index.page("six", map(entry, listed))
        assert names(fetch(index)) == ["six-1.0.tar.gz", "six-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("1.0", ["a-1.0.tar.gz", "a-1.0-py2.7.egg", "a-1.0.win32-py2.7.exe"]),
        ("2013.6", ["a-2013.06.tar.gz"]),
        ("3.0rc1", ["a-3.0c1.zip"]),
        ("1.1", ["a-1.1.tar.gz", "a-1.1+x.tar.gz"]),
        ("1.2", ["a-1.2.0.tar.bz2"]),
        ("9", []),
    ],
)
def test_names_of_a_version(version: str, found: list[str]) -> None:
    listed = (
        "a-1.0.tar.gz",
        "a-1.0-py2.7.egg",
        "a-1.0.win32-py2.7.exe",
        "a-1.0.1-py2.7.egg",
        "a-2013.06.tar.gz",
    )
    more = ("a-3.0c1.zip", "a-1.1.tar.gz", "a-1.1+x.tar.gz", "a-1.2.0.tar.bz2")
    assert sorted(wanted_names((*listed, *more), [Version(version)])) == sorted(found)


def test_an_unknown_project_is_a_value() -> None:
    with SimpleIndex() as index:
        assert fetch(index) is None


def test_an_html_index_works_as_well() -> None:
    html = (
        '<!DOCTYPE html><html><body><a href="../../p/six-1.0.tar.gz#sha256=abc" data-yanked="why"'
        ' data-requires-python="&gt;=3.8">six-1.0.tar.gz</a><a href="x">six-2.0.tar.gz</a></body></html>'
    )
    with SimpleIndex() as index:
        index.serve("six", Answer(body=html.encode(), content_type="text/html; charset=UTF-8"))
        (found,) = fetch(index) or ()
    assert (found.filename, found.sha256, found.yanked) == ("six-1.0.tar.gz", "abc", "why")
    assert (found.requires_python, found.size) == (">=3.8", None)


LINKS = ("../../p/six-1.0.tar.gz", "http://eve:s3cret@files.example.org/six-1.0.tar.gz")


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("html", [True, False])
def test_no_file_bears_the_name_and_password_of_the_index(link: str, html: bool) -> None:
    with SimpleIndex() as index:
        if html:
            body = f'<!DOCTYPE html><a href="{link}">six-1.0.tar.gz</a>'.encode()
            index.serve("six", Answer(body=body, content_type="text/html"))
        else:
            index.page("six", [entry("six-1.0.tar.gz", url=link)])
        private = UpstreamIndex(index.url.replace("http://", "http://bob:s3cret@"))
        (found,) = private.project(SIX, [Version("1.0")]) or ()
        base = index.url.removesuffix("/simple/")
    assert found.url in (f"{base}/p/six-1.0.tar.gz", "http://files.example.org/six-1.0.tar.gz")


def test_the_cache_revalidates(tmp_path: Path) -> None:
    with SimpleIndex() as index:
        index.serve("six", GOOD)
        first, second = fetch(index, tmp_path), fetch(index, tmp_path)
        assert first == second
        assert [etag for _, etag in index.requests] == [None, GOOD.etag]
        index.page("six", [entry("six-1.0-py3-none-any.whl")])
        assert names(fetch(index, tmp_path)) == ["six-1.0-py3-none-any.whl"]
        assert not list(tmp_path.rglob("*.lock"))


def test_what_was_read_of_a_page_is_not_read_again_while_it_stays_as_it_is(tmp_path: Path) -> None:
    older = page("six", [entry("six-1.0.tar.gz"), entry("six-2.0.tar.gz", **{"requires-python": ">=3.9"})])
    with SimpleIndex() as index:
        index.serve("six", Answer(body=older))
        first = fetch(index, tmp_path)
        (whole,) = (path for path in tmp_path.rglob("*") if path.is_file() and not path.suffix)
        whole.unlink()
        assert fetch(index, tmp_path) == first and len(index.requests) == 2
        assert index.requests[-1][1] is not None
        two = UpstreamIndex(index.url, tmp_path).files({SIX: [Version("2.0")]})[SIX]
        assert two and [file.requires_python for file in two] == [">=3.9"]
        assert names(fetch(index, tmp_path)) == ["six-1.0.tar.gz"]
        index.page("six", [entry("six-1.0.zip")])
        assert names(fetch(index, tmp_path)) == ["six-1.0.zip"]


def test_a_page_is_asked_for_again_however_fresh_it_is(tmp_path: Path) -> None:
    with SimpleIndex() as index:
        index.serve("six", Answer(body=GOOD.body, headers={"Cache-Control": "max-age=600"}))
        assert fetch(index, tmp_path) == fetch(index, tmp_path)
        assert [etag for _, etag in index.requests] == [None, GOOD.etag]


def test_what_is_not_to_be_stored_is_not(tmp_path: Path) -> None:
    with SimpleIndex() as index:
        index.serve("six", Answer(body=GOOD.body, headers={"Cache-Control": "private, No-Store"}))
        assert names(fetch(index, tmp_path)) == ["six-1.0.tar.gz"]
        assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"x" + data[1:], lambda _: b"", lambda _: b"[]\n"]
)
def test_a_damaged_entry_of_the_cache_counts_as_missing(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    with SimpleIndex() as index:
        index.serve("six", GOOD)
        fetch(index, tmp_path)
        page_, extract = sorted((path for path in tmp_path.rglob("*") if path.is_file()), key=str)
        extract.write_bytes(damage(extract.read_bytes()))
        assert names(fetch(index, tmp_path)) == ["six-1.0.tar.gz"]
        assert [etag for _, etag in index.requests] == [None, GOOD.etag]
        for path in (page_, extract):
            path.write_bytes(damage(path.read_bytes()))
        assert names(fetch(index, tmp_path)) == ["six-1.0.tar.gz"]
        assert [etag for _, etag in index.requests] == [None, GOOD.etag, None]
        assert names(fetch(index, tmp_path)) == ["six-1.0.tar.gz"]
        assert index.requests[-1][1] == GOOD.etag


@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=503),
        Answer(status=500),
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(body=GOOD.body[:20], promised=len(GOOD.body)),  # breaks off
    ],
)
def test_what_can_heal_is_tried_again(tmp_path: Path, bad: Answer) -> None:
    with SimpleIndex() as index:
        index.serve("six", bad, bad, GOOD)
        assert names(fetch(index, tmp_path)) == ["six-1.0.tar.gz"]
        assert len(index.requests) == 3


@pytest.mark.parametrize(
    ("bad", "words", "requests"),
    [
        (Answer(status=503), "the server answers 503 Service Unavailable", 5),
        (Answer(status=403), "the server answers 403 Forbidden", 1),
        (Answer(body=b"{", promised=100), "the connection breaks off", 3),
        (Answer(body=b"{}"), "not a page of the simple API: the key 'meta' is missing", 1),
        (Answer(body=b"[]"), "not a page of the simple API", 1),
        (Answer(body=b"<html>"), "not a page of the simple API", 1),
        (Answer(body=page("six", [{"filename": "six-1.0.tar.gz"}])), "not a page of the simple API", 1),
        (Answer(body=GOOD.body.replace(b'"1.1"', b'"2.0"')), "it has API version 2.0", 1),
        (Answer(body=b"x", content_type="text/plain"), "its content type is text/plain", 1),
    ],
)
def test_what_does_not_heal_is_one_clear_error(bad: Answer, words: str, requests: int) -> None:
    with SimpleIndex() as index:
        index.serve("six", bad)
        with pytest.raises(UnreachableError) as error:
            fetch(index)
        assert words in error.value.message
        assert f"{index.url}six/" in error.value.message
        assert "\n" not in error.value.message
        assert len(index.requests) == requests


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/simple"
        with pytest.raises(UnreachableError, match=r"six/ cannot be read: no connection \(.*refused"):
            UpstreamIndex(url, back_off=0.01).files({SIX: [Version("1")]})


def test_several_at_a_time_but_not_too_many() -> None:
    wanted: dict[NormalizedName, list[Version]] = {
        canonicalize_name(f"p{number}"): [Version("1.0")] for number in range(60)
    }
    seen: list[tuple[int, int]] = []
    with SimpleIndex() as index:
        for name in wanted:
            index.serve(name, Answer(body=page(name, [entry(f"{name}-1.0.tar.gz")]), delay=0.05))
        found = UpstreamIndex(index.url).files(wanted, lambda done, total: seen.append((done, total)))
        assert {name: names(files) for name, files in found.items()} == {
            name: [f"{name}-1.0.tar.gz"] for name in wanted
        }
        assert 1 < index.most_at_once <= CONNECTIONS
    assert seen == sorted(seen)
    assert seen[-1] == (60, 60)


def test_a_page_of_something_else_is_not_believed() -> None:
    login = b"<!doctype html><title>Log in</title><a href='/login'>Log in</a>"
    with SimpleIndex() as index:
        index.serve("six", Answer(body=login, content_type="text/html"))
        with pytest.raises(UnreachableError, match="HTML without a link to any distribution"):
            fetch(index)


def test_an_empty_project_is_believed_where_the_page_says_what_it_is() -> None:
    empty = b'<!doctype html><meta name="pypi:repository-version" content="1.0"><title>six</title>'
    with SimpleIndex() as index:
        index.serve("six", Answer(body=empty, content_type="text/html"))
        assert fetch(index) == ()
