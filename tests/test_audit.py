from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from mirrors import NOW, snapshot, upstream_file, wheel_change

from wheelbuilder.cli.audit import command
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.audit import Finding, Severity, audit, is_clean
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import Change, publish


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two channels, three commits and one project that upstream alone has."""
    folder = tmp_path_factory.mktemp("audit")
    store = DirectoryStore(folder / "store")
    foo = wheel_change(folder / "built", "foo")
    bar = wheel_change(folder / "built", "bar")
    theirs = Change(project=foo.project, upstream=(upstream_file("foo-1.0.tar.gz"),))
    alone = Change(
        project=wheel_change(folder / "built", "alone").project, upstream=(upstream_file("alone-1.0.tar.gz"),)
    )
    publish(store, "stable", [foo, theirs], run="1", now=NOW)
    publish(store, "stable", [bar, alone], run="2", now=NOW)
    publish(store, "candidate", [foo], run="3", now=NOW)
    return store.path


@pytest.fixture
def store(published: Path, tmp_path: Path) -> DirectoryStore:
    shutil.copytree(published, tmp_path / "store")
    return DirectoryStore(tmp_path / "store")


def errors(store: DirectoryStore, *, deep: bool = False) -> list[Finding]:
    return [finding for finding in audit(store, deep=deep) if finding.severity is Severity.ERROR]


def test_a_good_store_is_clean(store: DirectoryStore) -> None:
    assert audit(store, deep=True) == ()
    assert audit(store, "stable") == ()


def test_looking_changes_nothing(store: DirectoryStore) -> None:
    before = snapshot(store.path)
    audit(store, deep=True)
    assert snapshot(store.path) == before


def test_any_deleted_object_is_named(store: DirectoryStore) -> None:
    for listed in sorted(store.list(), key=lambda listed: listed.key):
        if listed.key.endswith("head.json"):
            continue  # a channel without a head is no channel: its pages are found below
        path = store.path / listed.key
        data = path.read_bytes()
        path.unlink()
        named = [finding.key for finding in errors(store)]
        superseded = listed.key.startswith("states/") and not named
        assert listed.key in named or superseded, listed.key
        path.write_bytes(data)
    assert audit(store) == ()


def test_any_flipped_bit_is_named(store: DirectoryStore) -> None:
    for listed in sorted(store.list(), key=lambda listed: listed.key):
        path = store.path / listed.key
        data = path.read_bytes()
        for position in (0, len(data) // 2, len(data) - 1):
            flipped = bytearray(data)
            flipped[position] ^= 1
            path.write_bytes(bytes(flipped))
            found = errors(store, deep=True)
            rendered = listed.key.endswith("rendered.json") and json.loads(data) == _loads(bytes(flipped))
            assert any(_about(finding, listed.key) for finding in found) or rendered, (listed.key, position)
        path.write_bytes(data)
    assert audit(store, deep=True) == ()


def _loads(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _about(finding: Finding, key: str) -> bool:
    # The head and its copy in the history are told apart by nobody: one of the two is wrong.
    return finding.key == key or (key.endswith("head.json") and "/commits/" in finding.key)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda root: (root / "channels/stable/head.json").write_text("{}"), "is damaged"),
        (lambda root: (root / "channels/stable/head.json").write_text('{"schema": 99}'), "has schema 99"),
        (lambda root: (root / "channels/stable/commits/1.json").unlink(), "missing from the history"),
        (lambda root: (root / "channels/stable/rendered.json").write_text('{"number": 1}'), "up to commit 1"),
        (lambda root: (root / "channels/stable/simple/foo/index.html").write_text("x"), "not what"),
        (lambda root: _write(root / "channels/stable/simple/alone/index.html"), "without files"),
        (lambda root: _write(root / "channels/stable/simple/lost/index.html"), "of no project"),
        (lambda root: next(root.glob("files/*/foo*.whl")).unlink(), "link to it, but it is missing"),
        (lambda root: next(root.glob("files/*/foo*.whl")).write_bytes(b"x"), "bytes instead of"),
        (lambda root: next(root.glob("files/*/foo*.metadata")).unlink(), "promise it, but"),
    ],
)
def test_each_kind_of_damage_has_its_words(
    store: DirectoryStore, damage: Callable[[Path], object], complaint: str
) -> None:
    damage(store.path)
    assert any(complaint in finding.complaint for finding in errors(store)), audit(store)


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("x")


def test_orphans_are_information(store: DirectoryStore) -> None:
    _write(store.path / "files" / ("0" * 64) / "dead-1.0-py3-none-any.whl")
    _write(store.path / "states" / "x" / "y.json")
    findings = audit(store, deep=True)
    assert is_clean(findings)
    assert [(finding.severity, finding.complaint) for finding in findings] == [
        (Severity.INFORMATION, "no commit refers to it")
    ] * 2


def test_a_name_that_upstream_took_later_is_told(store: DirectoryStore) -> None:
    theirs = upstream_file("bar-1.0-py3-none-any.whl")
    bar = wheel_change(store.path.parent / "built", "bar").project
    publish(store, "stable", [Change(project=bar, upstream=(theirs,))], run="4", now=NOW)
    (finding,) = audit(store)
    assert finding.severity is Severity.INFORMATION and "upstream serves" in finding.complaint


@pytest.mark.parametrize("channel", [None, "stable"])
def test_what_is_no_store_is_one_clear_error(tmp_path: Path, channel: str | None) -> None:
    with pytest.raises(ConfigurationError, match="has no channel"):
        audit(DirectoryStore(tmp_path), channel)


class TestCommand:
    def test_clean(self, store: DirectoryStore) -> None:
        result = CliRunner().invoke(command, [str(store.path)], standalone_mode=False)
        assert result.return_value == 0 and result.stdout == "clean: 0 errors, 0 remarks\n"

    def test_not_clean(self, store: DirectoryStore) -> None:
        (store.path / "channels/stable/rendered.json").unlink()
        result = CliRunner().invoke(command, [str(store.path), "--deep"], standalone_mode=False)
        assert result.return_value == 4
        assert result.stdout.startswith("error: channels/stable/rendered.json: says that")

    def test_json(self, store: DirectoryStore) -> None:
        (store.path / "channels/stable/whole/index.html").unlink()
        result = CliRunner().invoke(command, [str(store.path), "--json"], standalone_mode=False)
        document = json.loads(result.stdout)
        assert document == {
            "clean": False,
            "findings": [
                {
                    "severity": "error",
                    "key": "channels/stable/whole/index.html",
                    "complaint": "the page is missing",
                }
            ],
        }
        assert "not clean: 1 errors" in result.stderr
