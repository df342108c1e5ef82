from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.states import MirrorFile, ProjectState, timestamp, versions
from wheelbuilder.plan.files import IndexFile, accepts, parse_filename

NAME = canonicalize_name("foo-bar")
FILE = MirrorFile(
    filename="foo_bar-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    sha256="a" * 64,
    size=10,
    metadata_sha256="b" * 64,
    upload_time="2026-01-02T03:04:05Z",
    requires_python=">=3.8",
    build_key="c" * 64,
    target="cp311-manylinux_2_28_x86_64",
)
THEIRS = IndexFile(
    filename="foo_bar-1.0.tar.gz", url="https://up.example.org/foo_bar-1.0.tar.gz", sha256="d" * 64
)
STATE = ProjectState(name=NAME, files=(FILE,), upstream=(THEIRS,))


def changed(data: bytes, **values: Any) -> bytes:
    return json.dumps(json.loads(data) | values).encode()


def test_states_survive_the_way_to_bytes_and_back() -> None:
    assert ProjectState.from_bytes(STATE.to_bytes(), "x") == STATE


def test_the_bytes_do_not_depend_on_order() -> None:
    second = MirrorFile(filename="a.whl", sha256="1" * 64, size=1, metadata_sha256="", upload_time="")
    one = ProjectState(name=NAME, files=(FILE, second)).to_bytes()
    other = ProjectState(name=NAME, files=(second, FILE)).to_bytes()
    assert one == other


@pytest.mark.parametrize("text", ["", "naïve", "\ud800", "\x00", '"', "\u2028", "a\nb", "</script>"])
def test_any_string_of_upstreams_can_be_kept(text: str) -> None:
    file = replace(THEIRS, requires_python=text, yanked=text, upload_time=text, metadata_sha256=text)
    state = ProjectState(name=NAME, upstream=(file,))
    assert ProjectState.from_bytes(state.to_bytes(), "x") == state


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)//https://",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://up.example.org/foo",
        "//up.example.org/foo",
        "../../files/foo",
        "https:foo",
        "https://",
        "https://up.example.org/a b",
        'https://up.example.org/"onclick="x',
        "https://up.example.org/\x1b[31m",
        "\nhttps://up.example.org/foo",
        "",
    ],
)
def test_only_web_addresses_of_upstream_reach_a_page(url: str) -> None:
    data = ProjectState(name=NAME, upstream=(replace(THEIRS, url=url),)).to_bytes()
    with pytest.raises(IntegrityError, match=r"^states/x\.json: 'foo_bar.*': upstream's URL is not"):
        ProjectState.from_bytes(data, "states/x.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filename", "../../foo-1.0-py3-none-any.whl"),
        ("filename", 'foo"onclick-1.0-py3-none-any.whl'),
        ("filename", "foo-1.0-py3-none-any.whl\n"),
        ("filename", "\x1b[31m.whl"),
        ("filename", "index.html"),
        ("sha256", "../" * 21 + "x"),
        ("sha256", "A" * 64),
        ("build_key", "../../etc"),
        ("build_key", ""),
    ],
)
def test_what_cannot_be_a_key_is_refused(name: str, value: str) -> None:
    data = ProjectState(name=NAME, files=(replace(FILE, **{name: value}),)).to_bytes()  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match=r"^states/x\.json: ") as caught:
        ProjectState.from_bytes(data, "states/x.json")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(("name", "value"), [("filename", "a/b"), ("filename", ""), ("sha256", "x")])
def test_what_cannot_be_a_file_of_upstreams_is_refused(name: str, value: str) -> None:
    data = ProjectState(name=NAME, upstream=(replace(THEIRS, **{name: value}),)).to_bytes()  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match=r"^states/x\.json: "):
        ProjectState.from_bytes(data, "states/x.json")


def test_an_empty_yank_reason_is_not_no_yank() -> None:
    state = ProjectState(name=NAME, upstream=(replace(THEIRS, yanked=""),))
    assert ProjectState.from_bytes(state.to_bytes(), "x").upstream[0].yanked == ""


def test_a_newer_schema_is_said_so() -> None:
    with pytest.raises(ConfigurationError, match=r"states/x\.json has schema 2") as caught:
        ProjectState.from_bytes(changed(STATE.to_bytes(), schema=2), "states/x.json")
    assert "newer" in caught.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        changed(STATE.to_bytes(), schema="1"),
        changed(STATE.to_bytes(), name="Foo_Bar"),
        changed(STATE.to_bytes(), name="../x"),
        changed(STATE.to_bytes(), name="foo-bar\n"),
        changed(STATE.to_bytes(), name="-foo"),
        changed(STATE.to_bytes(), files=[1]),
        changed(STATE.to_bytes(), files=[{"filename": "x"}]),
        changed(STATE.to_bytes(), upstream={}),
    ],
)
def test_a_damaged_state_is_named(data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"^states/x\.json"):
        ProjectState.from_bytes(data, "states/x.json")


def entry_of(data: bytes, key: str) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(data)[key][0]
    return entry


@pytest.mark.parametrize("key", ["files", "upstream"])
@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("filename", 1, "'filename' must be a string, not 1"),
        ("filename", None, "'filename' must be a string, not None"),
        ("size", True, "'size' must be a whole number, not True"),
        ("size", "1", "'size' must be a whole number, not '1'"),
        ("yanked", False, "'yanked' must be a string, not False"),
        ("requires_python", None, "'requires_python' must be a string, not None"),
        ("metadata_sha256", [], r"'metadata_sha256' must be a string, not \[\]"),
    ],
)
def test_a_bad_value_is_named_with_its_place(key: str, name: str, value: object, complaint: str) -> None:
    good = entry_of(STATE.to_bytes(), key)
    data = changed(STATE.to_bytes(), **{key: [good, good | {name: value}]})
    with pytest.raises(IntegrityError, match=rf"^states/x\.json: {key}\[1\]: {complaint}"):
        ProjectState.from_bytes(data, "states/x.json")


@pytest.mark.parametrize(
    ("key", "name"),
    [("files", "upload_time"), ("files", "size"), ("upstream", "url"), ("upstream", "sha256")],
)
def test_a_missing_value_is_named(key: str, name: str) -> None:
    entry = entry_of(STATE.to_bytes(), key)
    del entry[name]
    with pytest.raises(IntegrityError, match=rf"^states/x\.json: {key}\[0\]: the key '{name}' is missing"):
        ProjectState.from_bytes(changed(STATE.to_bytes(), **{key: [entry]}), "states/x.json")


def test_what_a_later_writer_may_add_is_left_alone() -> None:
    entry = entry_of(STATE.to_bytes(), "files") | {"colour": 7}
    assert ProjectState.from_bytes(changed(STATE.to_bytes(), files=[entry]), "x") == STATE


@pytest.mark.parametrize(
    "filename",
    [
        "foo-1.0-py3-none-any.whl",
        "foo_bar-1!2.0rc1.post2+l.1-12abc-py2.py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
        "foo__bar-1.0-py3-none-any.whl",
        "foo-one-py3-none-any.whl",
        "foo-1.0-x1-py3-none-any.whl",
        "foo-1.0-1-2-py3-none-any.whl",
        "-1.0-py3-none-any.whl",
        "naïve-1.0-py3-none-any.whl",
        "foo-1.0-3-none-any.whl",
        "foo-1.0-py3--any.whl",
        "foo-1.0-py3-none-any.whl\n",
        "foo-1.0\n-py3-none-any.whl",
        "foo-1.0-py3-none-.whl",
        "foo-1.0-py3-none-any.WHL",
        "foo-1.0.tar.gz",
        "foo-1.0.zip",
        "foo-1.0.egg",
        "foo.whl",
        "",
    ],
)
def test_a_version_is_the_one_that_the_whole_name_says(filename: str) -> None:
    parsed = parse_filename(filename)
    assert versions([filename]) == ((parsed.version,) if parsed else ())


def test_versions_are_in_order_and_once() -> None:
    names = [
        f"foo-{version}-py3-none-any.whl" for version in ("1.10", "1.9", "1.9.0", "2.0rc1", "2.0", "nil")
    ]
    assert [str(version) for version in versions(names)] == ["1.9", "1.10", "2.0rc1", "2.0"]


def test_our_file_is_one_that_the_planner_can_judge() -> None:
    file = FILE.as_index_file()
    assert file.url == f"files/{'a' * 64}/{FILE.filename}"
    assert accepts(Target.parse("cp311-manylinux_2_36_x86_64", "3.11.2"), file)
    assert not accepts(Target.parse("cp311-manylinux_2_36_aarch64", "3.11.2"), file)
    assert {str(tag) for tag in FILE.tags} == {"cp311-cp311-manylinux_2_28_x86_64"}


def test_times_are_whole_seconds_in_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert timestamp(moment) == "2026-01-02T03:04:05Z"
    assert timestamp(moment.astimezone(timezone(timedelta(hours=5)))) == "2026-01-02T03:04:05Z"
