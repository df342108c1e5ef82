"""Names come from outside: into keys, pages, links and headers go only those that cannot do harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from mirrors import LATER, NOW, dangling, snapshot, upstream_file, wheel_change
from packaging.utils import NormalizedName, canonicalize_name
from tinywheel import make_wheel

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.mirror.audit import audit
from wheelbuilder.mirror.channels import channel_names
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import (
    IMMUTABLE,
    NEVER_STORED,
    REVALIDATE,
    cache_control,
    check_channel,
    content_type,
)
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.wheels import NewWheel, read_wheel, wheel_name

FOO = canonicalize_name("foo")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.mark.parametrize(
    "filename",
    [
        "../foo-1.0-py3-none-any.whl",
        "a/foo-1.0-py3-none-any.whl",
        "foo-1.0-py3-none-any.whl/x",
        "foo\\bar-1.0-py3-none-any.whl",
        'foo"-1.0-py3-none-any.whl',
        "foo'-1.0-py3-none-any.whl",
        "<foo>-1.0-py3-none-any.whl",
        "foo-1.0-py3-none-any\n.whl",
        "foo-1.0-py3-none-any.whl\n",
        "foo -1.0-py3-none-any.whl",
        "foo-1.0-py3-none-a%2fny.whl",
        "fóo-1.0-py3-none-any.whl",
        ".foo-1.0-py3-none-any.whl",
        "foo-1.0-py3-none-any.WHL",
        "foo-1.0-py3-none-linux_x86_64.whl",
        "foo-1.0-py3-none-manylinux_2_17_x86_64.linux_x86_64.whl",
        "foo-1.0.tar.gz",
        "foo-1.0.whl",
        "foo-x.y-py3-none-any.whl",
        "foo-1.0-b-py3-none-any.whl",
        "",
    ],
)
def test_a_name_that_is_not_a_wheels_writes_nothing(store: DirectoryStore, filename: str) -> None:
    wheel = NewWheel(filename=filename, sha256="a" * 64, size=1, metadata=b"")
    with pytest.raises(IntegrityError):
        publish(store, "stable", [Change(project=FOO, wheels=(wheel,))], run="", now=NOW)
    assert not store.path.exists()


@pytest.mark.parametrize("sha256", ["", "../../../etc", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_digest_that_is_none_writes_nothing(store: DirectoryStore, tmp_path: Path, sha256: str) -> None:
    path = make_wheel(tmp_path, "foo")
    wheel = NewWheel(filename=path.name, sha256=sha256, size=1, metadata=b"", path=path)
    with pytest.raises(IntegrityError):
        publish(store, "stable", [Change(project=FOO, wheels=(wheel,))], run="", now=NOW)
    assert not store.path.exists()


@pytest.mark.parametrize("project", ["", "Foo", "foo_bar", "../x", "foo/", "foo\n", "<b>", "-", "a--b", "ä"])
def test_a_project_that_is_not_normalized_writes_nothing(store: DirectoryStore, project: str) -> None:
    change = Change(project=NormalizedName(project), upstream=(upstream_file(),))
    with pytest.raises(IntegrityError, match="is not a normalized project name"):
        publish(store, "stable", [change], run="", now=NOW)
    assert not store.path.exists()


@pytest.mark.parametrize(
    ("filename", "project"),
    [
        ("foo-1.0-py3-none-any.whl", "foo"),
        ("Foo.Bar-1.0-py3-none-any.whl", "foo-bar"),
        ("foo_bar-1!1.0+a.1-7-py2.py3-none-any.whl", "foo-bar"),
        ("foo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "foo"),
    ],
)
def test_real_names_are_taken(filename: str, project: str) -> None:
    assert wheel_name(filename).project == project


@pytest.mark.parametrize(
    "name", ["json", "simple", "whole", "head-json", "commits", "index-html", "con", "0"]
)
def test_projects_may_be_called_like_our_folders(store: DirectoryStore, tmp_path: Path, name: str) -> None:
    publish(store, "json", [wheel_change(tmp_path, name)], run="", now=NOW)
    assert audit(store, deep=True) == () and dangling(store.path) == []


def test_a_commit_of_a_newer_schema_stops_a_publisher_before_it_writes(
    store: DirectoryStore, tmp_path: Path
) -> None:
    publish(store, "stable", [wheel_change(tmp_path, "foo")], run="", now=NOW)
    head = store.path / "channels/stable/head.json"
    head.write_text(head.read_text().replace('"schema":1', '"schema":2'))
    before = snapshot(store.path)
    with pytest.raises(ConfigurationError, match=r"channels/stable/head\.json has schema 2"):
        publish(store, "stable", [wheel_change(tmp_path, "bar")], run="", now=LATER)
    assert snapshot(store.path) == before


def test_a_damaged_head_or_state_stops_a_publisher_before_it_writes(
    store: DirectoryStore, tmp_path: Path
) -> None:
    publish(store, "stable", [wheel_change(tmp_path, "foo")], run="", now=NOW)
    for damaged in (store.path / "channels/stable/head.json", next((store.path / "states").iterdir())):
        good = damaged.read_bytes()
        damaged.write_bytes(good[:-5])
        before = snapshot(store.path)
        with pytest.raises(IntegrityError) as caught:
            publish(store, "stable", [wheel_change(tmp_path, "foo", "2.0")], run="", now=LATER)
        assert damaged.name in str(caught.value) and caught.value.hint
        assert snapshot(store.path) == before
        damaged.write_bytes(good)


@pytest.mark.parametrize("name", ["stable", "stable-2025.2", "a_b", "0"])
def test_channels_that_may_be(name: str, tmp_path: Path) -> None:
    assert check_channel(name) == name
    for key in (f"channels/{name}/head.json", "channels/x/y/head.json", "head.json"):
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(b"")
    assert channel_names(DirectoryStore(tmp_path)) == (name,)


@pytest.mark.parametrize(
    ("key", "kind", "caching"),
    [
        ("files/a/foo.whl", "application/octet-stream", IMMUTABLE),
        ("files/a/foo.whl.metadata", "application/octet-stream", IMMUTABLE),
        ("states/a.json", "application/json", IMMUTABLE),
        ("channels/c/commits/1.json", "application/json", IMMUTABLE),
        ("channels/commits/head.json", "application/json", NEVER_STORED),
        ("channels/c/head.json", "application/json", NEVER_STORED),
        ("channels/c/snapshots.json", "application/json", NEVER_STORED),
        ("channels/c/simple/commits/index.html", "text/html", REVALIDATE),
        ("channels/c/whole-json/index.html", "application/vnd.pypi.simple.v1+json", REVALIDATE),
        ("index.html", "text/html", REVALIDATE),
        ("logs/a.log.gz", "application/octet-stream", IMMUTABLE),
        ("dashboard/style.css", "text/css", REVALIDATE),
        ("records/a", "application/octet-stream", REVALIDATE),
    ],
)
def test_each_class_of_object_has_its_headers(key: str, kind: str, caching: str) -> None:
    assert (content_type(key), cache_control(key)) == (kind, caching)


def test_a_wheel_is_read_under_the_name_it_says(tmp_path: Path) -> None:
    wheel = read_wheel(make_wheel(tmp_path, "Foo.Bar", "1.0"))
    assert (wheel.filename, wheel_name(wheel.filename).project) == ("foo_bar-1.0-py3-none-any.whl", "foo-bar")
