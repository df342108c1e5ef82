from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from packaging.utils import canonicalize_name
from pypi_simple import ProjectPage

from wheelbuilder.mirror.layout import HTML_TYPE, JSON_TYPE, View, content_type
from wheelbuilder.mirror.pages import (
    gap_files,
    project_page,
    project_pages,
    project_views,
    root_page,
    root_pages,
    whole_files,
)
from wheelbuilder.mirror.states import MirrorFile, ProjectState
from wheelbuilder.plan.files import IndexFile

NAME = canonicalize_name("foo")
BASE = "https://mirror.example.org/prefix/channels/stable/simple/foo/"


def ours(filename: str = "foo-1.0-py3-none-any.whl", **values: Any) -> MirrorFile:
    usual: dict[str, Any] = {
        "sha256": "a" * 64,
        "size": 10,
        "metadata_sha256": "b" * 64,
        "upload_time": "2026-01-02T03:04:05Z",
    }
    return MirrorFile(filename=filename, **(usual | values))


def theirs(filename: str = "foo-1.0.tar.gz", **values: Any) -> IndexFile:
    usual: dict[str, Any] = {"url": f"https://up.example.org/x/{filename}", "sha256": "c" * 64}
    return IndexFile(filename=filename, **(usual | values))


class Links(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[tuple[dict[str, str | None], str]] = []
        self.meta: dict[str | None, str | None] = {}
        self.doctype = ""
        self.feed(page.decode())
        self.close()

    def handle_decl(self, decl: str) -> None:
        self.doctype = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "meta":
            self.meta[dict(attrs).get("name")] = dict(attrs).get("content")
        if tag == "a":
            self.links.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.links and self.tags[-1] == "a":
            self.links[-1] = (self.links[-1][0], self.links[-1][1] + data)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")


def html_link(state: ProjectState, view: View = View.WHOLE) -> dict[str, str | None]:
    ((attributes, _),) = Links(project_page(state, view)).links
    return attributes


def entries(state: ProjectState, view: View = View.WHOLE_JSON) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = json.loads(project_page(state, view))["files"]
    return files


def test_the_html_page_of_our_file_has_everything_that_clients_read() -> None:
    page = Links(project_page(ProjectState(name=NAME, files=(ours(requires_python=">=3.8"),)), View.GAP))
    assert page.doctype == "DOCTYPE html"
    assert page.meta["pypi:repository-version"] == "1.4"
    assert page.links == [
        (
            {
                "href": f"../../../../files/{'a' * 64}/foo-1.0-py3-none-any.whl#sha256={'a' * 64}",
                "data-requires-python": ">=3.8",
                "data-core-metadata": f"sha256={'b' * 64}",
                "data-dist-info-metadata": f"sha256={'b' * 64}",
                "data-size": "10",
                "data-upload-time": "2026-01-02T03:04:05Z",
            },
            "foo-1.0-py3-none-any.whl",
        )
    ]


def test_the_json_page_of_our_file_has_everything_that_clients_read() -> None:
    state = ProjectState(name=NAME, files=(ours(requires_python=">=3.8"),))
    assert json.loads(project_page(state, View.GAP_JSON)) == {
        "meta": {"api-version": "1.4"},
        "name": "foo",
        "versions": ["1.0"],
        "files": [
            {
                "filename": "foo-1.0-py3-none-any.whl",
                "url": f"../../../../files/{'a' * 64}/foo-1.0-py3-none-any.whl",
                "hashes": {"sha256": "a" * 64},
                "requires-python": ">=3.8",
                "core-metadata": {"sha256": "b" * 64},
                "size": 10,
                "upload-time": "2026-01-02T03:04:05Z",
            }
        ],
    }


def test_links_are_found_from_where_the_page_lies_under_any_prefix() -> None:
    href = html_link(ProjectState(name=NAME, files=(ours("foo-1.0+l.1-py3-none-any.whl"),)), View.GAP)["href"]
    assert href and "%2B" in href and "+" not in href
    path = urlsplit(urljoin(BASE, href)).path
    assert unquote(path) == f"/prefix/files/{'a' * 64}/foo-1.0+l.1-py3-none-any.whl"
    snapshot = project_page(ProjectState(name=NAME, files=(ours(),)), View.GAP, depth=6)
    assert b'"../../../../../../files/' in snapshot


def test_plus_is_escaped_in_upstreams_links_and_their_fragment_is_ours() -> None:
    file = theirs(url="https://up.example.org/a%2Fb/foo-1.0+x.tar.gz#md5=1")
    expected = "https://up.example.org/a%2Fb/foo-1.0%2Bx.tar.gz"
    assert html_link(ProjectState(name=NAME, upstream=(file,)))["href"] == f"{expected}#sha256={'c' * 64}"
    assert entries(ProjectState(name=NAME, upstream=(file,)))[0]["url"] == expected


@pytest.mark.parametrize(
    ("yanked", "html", "as_json"), [(None, None, None), ("", "", True), ("broken", "broken", "broken")]
)
def test_yanked_always_has_a_value(yanked: str | None, html: str | None, as_json: object) -> None:
    state = ProjectState(name=NAME, upstream=(theirs(yanked=yanked),))
    assert html_link(state).get("data-yanked") == html
    assert entries(state)[0].get("yanked") == as_json
    assert (b'data-yanked="' in project_page(state, View.WHOLE)) == (yanked is not None)


@pytest.mark.parametrize(
    ("digest", "html", "as_json"),
    [(None, None, None), ("", "true", True), ("e" * 64, f"sha256={'e' * 64}", {"sha256": "e" * 64})],
)
def test_metadata_of_upstreams(digest: str | None, html: str | None, as_json: object) -> None:
    state = ProjectState(name=NAME, upstream=(theirs(metadata_sha256=digest),))
    assert html_link(state).get("data-core-metadata") == html
    assert html_link(state).get("data-dist-info-metadata") == html
    assert entries(state)[0].get("core-metadata") == as_json
    assert "dist-info-metadata" not in entries(state)[0]  # a dict there crashes pip 22.3


@pytest.mark.parametrize(
    "time", [None, "", "2026-01-02", "2026-01-02T03:04:05", "yesterday", "2026-01-02T03:04:05Z\n"]
)
def test_json_has_no_null_and_no_time_that_uv_refuses(time: str | None) -> None:
    state = ProjectState(name=NAME, upstream=(theirs(upload_time=time, requires_python=""),))
    assert set(entries(state)[0]) == {"filename", "url", "hashes"}
    assert "data-upload-time" not in html_link(state) and "data-requires-python" not in html_link(state)


@pytest.mark.parametrize(
    "time", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05+02:00"]
)
def test_good_upload_times_stay(time: str) -> None:
    assert entries(ProjectState(name=NAME, upstream=(theirs(upload_time=time),)))[0]["upload-time"] == time


NASTY = [
    '"><script>alert(1)</script>',
    "'\"`= onmouseover=alert(1) x=",
    "</a></body><a href='https://evil.example.org'>",
    "<!-- ",
    "-->",
    "&lt;&quot;&#39;&amp",
    "a\nb\r\nc\td",
    "\u2028\u2029\u202e",
    "\udc80",
    "{{ 7 * 7 }}{% raw %}",
    "../../../../etc/passwd",
    "javascript:alert(1)",
    "naïve-ß-漢",
    "%00%0a%22",
    "\\",
]


@pytest.mark.parametrize("text", NASTY)
def test_no_string_of_upstreams_gets_out_of_its_place(text: str) -> None:
    file = theirs(
        filename=text,
        url=f"https://up.example.org/{text}",
        requires_python=text,
        yanked=text,
        metadata_sha256=text,
    )
    state = ProjectState(name=NAME, upstream=(file,))
    page = Links(project_page(state, View.WHOLE))
    plain = Links(project_page(ProjectState(name=NAME, upstream=(theirs(),)), View.WHOLE))
    assert page.tags == plain.tags
    ((attributes, shown),) = page.links
    assert set(attributes) == {
        "href",
        "data-requires-python",
        "data-core-metadata",
        "data-dist-info-metadata",
        "data-yanked",
    }
    kept = text.encode("utf-8", "replace").decode()
    assert attributes["data-requires-python"] == attributes["data-yanked"] == kept
    assert shown.strip() == kept.strip()
    assert (attributes["href"] or "").startswith("https://up.example.org/")
    (entry,) = entries(state)
    assert entry["filename"] == entry["requires-python"] == entry["yanked"] == text


def test_the_gap_view_has_ours_only_and_the_whole_view_both() -> None:
    state = ProjectState(name=NAME, files=(ours(),), upstream=(theirs(),))
    assert [entry["filename"] for entry in entries(state, View.GAP_JSON)] == ["foo-1.0-py3-none-any.whl"]
    whole = entries(state)
    assert [entry["filename"] for entry in whole] == ["foo-1.0-py3-none-any.whl", "foo-1.0.tar.gz"]
    assert whole[1]["url"] == "https://up.example.org/x/foo-1.0.tar.gz"


def test_a_name_that_upstream_serves_too_is_upstreams_in_the_whole_view() -> None:
    state = ProjectState(name=NAME, files=(ours(),), upstream=(theirs("foo-1.0-py3-none-any.whl"),))
    assert [entry["hashes"] for entry in entries(state)] == [{"sha256": "c" * 64}]


def test_a_project_without_files_has_no_page() -> None:
    def there(state: ProjectState) -> set[str]:
        return {page.key.split("/")[2] for page in project_pages("stable", state) if page.data is not None}

    assert there(ProjectState(name=NAME)) == set()
    assert there(ProjectState(name=NAME, upstream=(theirs(),))) == {"whole", "whole-json"}
    assert there(ProjectState(name=NAME, files=(ours(),))) == {"simple", "json", "whole", "whole-json"}


def test_pages_lie_where_a_static_host_looks_with_the_type_it_must_say() -> None:
    pages = project_pages("stable", ProjectState(name=NAME, files=(ours(),)))
    assert {page.key: page.content_type for page in pages} == {
        "channels/stable/simple/foo/index.html": HTML_TYPE,
        "channels/stable/json/foo/index.html": JSON_TYPE,
        "channels/stable/whole/foo/index.html": HTML_TYPE,
        "channels/stable/whole-json/foo/index.html": JSON_TYPE,
    }
    roots = root_pages("stable", [NAME], [NAME])
    assert all(content_type(page.key) == page.content_type for page in (*pages, *roots))
    assert content_type("channels/stable/simple/json/index.html") == HTML_TYPE  # a project may be called json
    assert content_type("channels/json/simple/index.html") == HTML_TYPE
    assert content_type("channels/c/snapshots/7/json/foo/index.html") == JSON_TYPE


def test_a_page_is_a_function_of_what_the_state_holds_not_of_its_order() -> None:
    files = (ours(), ours("foo-2.0-py3-none-any.whl"))
    for view in View:
        one = project_page(ProjectState(name=NAME, files=files), view)
        assert one == project_page(ProjectState(name=NAME, files=files[::-1]), view)


@pytest.mark.parametrize(
    "state",
    [
        ProjectState(name=NAME),
        ProjectState(name=NAME, files=(ours(), ours("foo-2.0-py3-none-any.whl"))),
        ProjectState(name=NAME, files=(ours(), ours("foo-2.0-py3-none-any.whl", retired="2026-01-02"))),
        ProjectState(name=NAME, files=(ours(retired="2026-01-02"),)),
        ProjectState(name=NAME, files=(ours(),), upstream=(theirs(),)),
        ProjectState(name=NAME, files=(ours(),), upstream=(theirs("foo-1.0-py3-none-any.whl"),)),
        ProjectState(name=NAME, upstream=(theirs(),)),
    ],
)
def test_the_four_pages_together_are_those_made_one_by_one(state: ProjectState) -> None:
    for depth in (4, 6):
        for view, data in project_views(state, depth).items():
            listed = gap_files(state) if view.is_gap else whole_files(state)
            assert data == (project_page(state, view, depth) if listed else None)


def test_root_pages_list_projects() -> None:
    names = [canonicalize_name("b"), canonicalize_name("a")]
    pages = {page.key.split("/")[2]: page.data or b"" for page in root_pages("stable", names[:1], names)}
    assert json.loads(pages["whole-json"]) == {
        "meta": {"api-version": "1.4"},
        "projects": [{"name": "a"}, {"name": "b"}],
    }
    assert [link["href"] for link, _ in Links(pages["whole"]).links] == ["a/", "b/"]
    assert [link["href"] for link, _ in Links(pages["simple"]).links] == ["b/"]
    assert Links(root_page([], json_page=False)).meta["pypi:repository-version"] == "1.4"


def test_an_independent_reader_agrees_on_both_forms() -> None:
    state = ProjectState(
        name=NAME,
        files=(ours(requires_python=">=3.8,<4", yanked='why "so"'),),
        upstream=(theirs(size=7, upload_time="2020-01-01T00:00:00Z", metadata_sha256="e" * 64),),
    )
    html = ProjectPage.from_html("foo", project_page(state, View.WHOLE).decode(), base_url=BASE)
    as_json = ProjectPage.from_json_data(json.loads(project_page(state, View.WHOLE_JSON)), base_url=BASE)
    for one, other in zip(html.packages, as_json.packages, strict=True):
        for name in ("filename", "url", "digests", "requires_python", "yanked_reason", "metadata_digests"):
            assert getattr(one, name) == getattr(other, name), name
    assert html.repository_version == as_json.repository_version == "1.4"
