from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from full_mirror import damaged, fill, flipped
from mirrors import NOW, Interfering, nothing_at_all, snapshot, start_child, upstream_file, wheel_change

from wheelbuilder.cli.audit import command
from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror import audit_files, snapshots
from wheelbuilder.mirror.amend import amend
from wheelbuilder.mirror.audit import Finding, Kind, Severity, audit, is_clean
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import snapshots_key
from wheelbuilder.mirror.merge import Merged
from wheelbuilder.mirror.prune import prune
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import read_head, read_history
from wheelbuilder.mirror.states import ProjectState


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two channels, three runs, a snapshot, and projects that upstream alone has."""
    folder = tmp_path_factory.mktemp("audit")
    fill(DirectoryStore(folder / "store"), folder / "built", ["foo", "bar", "baz"])
    return folder / "store"


@pytest.fixture
def store(published: Path, tmp_path: Path) -> DirectoryStore:
    shutil.copytree(published, tmp_path / "store")
    return DirectoryStore(tmp_path / "store")


def deep(store: DirectoryStore) -> tuple[Finding, ...]:
    return audit(store, deep=True, patience=0)


def keys(store: DirectoryStore) -> list[str]:
    return sorted(listed.key for listed in store.list())


def test_a_good_store_is_clean(store: DirectoryStore) -> None:
    assert deep(store) == ()
    assert audit(store, "stable") == ()


def test_looking_changes_nothing(store: DirectoryStore) -> None:
    before = snapshot(store.path)
    deep(store)
    assert snapshot(store.path) == before


def test_any_deleted_object_is_named(store: DirectoryStore) -> None:
    for key in keys(store):
        with damaged(store.path / key, None):
            assert key in {finding.key for finding in deep(store)}, key
    assert deep(store) == ()


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_any_flipped_bit_is_named_as_damage(store: DirectoryStore, place: float) -> None:
    for key in keys(store):
        data = (store.path / key).read_bytes()
        with damaged(store.path / key, flipped(data, int(place * (len(data) - 1)))):
            found = [finding for finding in deep(store) if finding.key == key]
            assert [(it.severity, it.kind) for it in found] == [(Severity.ERROR, Kind.DAMAGED)], key


def test_large_files_are_read_in_blocks(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_files, "SMALL", 10)
    assert deep(store) == ()
    for pattern in ("files/*/*.whl", "files/*/*.metadata", "logs/*", "sdists/*/*"):
        path = next(store.path.glob(pattern))
        with damaged(path, flipped(path.read_bytes(), 3)):
            assert [finding.key for finding in deep(store)] == [str(path.relative_to(store.path))]


@pytest.mark.parametrize(
    "pattern",
    ["records/*.json", "runs/*.json", "channels/stable/snapshots.json", "channels/stable/head.json"],
)
def test_no_byte_of_a_document_can_be_changed(store: DirectoryStore, pattern: str) -> None:
    path = next(store.path.glob(pattern))
    key, data = str(path.relative_to(store.path)), path.read_bytes()
    for position in range(0, len(data), 1 + len(data) // 60):
        with damaged(path, flipped(data, position)):
            assert key in {it.key for it in deep(store) if it.severity is Severity.ERROR}, position


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda root: (root / "channels/stable/head.json").unlink(), "but the channel has other objects"),
        (lambda root: (root / "channels/stable/head.json").write_text("{}"), "is damaged"),
        (lambda root: (root / "channels/stable/head.json").write_text('{"schema": 99}'), "has schema 99"),
        (lambda root: (root / "channels/stable/commits/1.json").unlink(), "missing from the history"),
        (lambda root: (root / "channels/stable/commits/3.json").unlink(), "missing from the history"),
        (
            lambda root: _copy(root, "commits/1.json", "commits/2.json"),
            "is not the commit that its",
        ),
        (lambda root: _copy(root, "commits/3.json", "commits/9.json"), "is not commit 9"),
        (lambda root: _older_head(root), "is at commit 2, but commit 3 is kept"),
        (lambda root: (root / "channels/stable/simple/foo/index.html").write_text("x"), "not what"),
        (lambda root: _write(root / "channels/stable/simple/theirs-foo/index.html"), "without files"),
        (lambda root: _write(root / "channels/stable/simple/lost/index.html"), "of no project"),
        (lambda root: next(root.glob("files/*/foo*.whl")).unlink(), "needs it, but it is missing"),
        (lambda root: next(root.glob("files/*/foo*.whl")).write_bytes(b"x"), "bytes instead of"),
        (lambda root: next(root.glob("files/*/foo*.metadata")).unlink(), "promises it, but"),
        (lambda root: (root / "channels/stable/snapshots.json").unlink(), "there are pages of snapshots"),
        (lambda root: _write(root / "channels/stable/snapshots/2/simple/x/index.html"), "no page of this"),
        (lambda root: next(root.glob("records/*.json")).unlink(), "is missing, but a run has a copy"),
        (lambda root: (root / "prune.json").write_text("{}"), "is damaged"),
        (lambda root: _over_another(root, "records"), "not its own"),
        (lambda root: _over_another(root, "runs"), "not its own"),
        (lambda root: _write_beside(root, ".provenance", "{"), "is no JSON object"),
    ],
)
def test_each_kind_of_damage_has_its_words(
    store: DirectoryStore, damage: Callable[[Path], object], complaint: str
) -> None:
    damage(store.path)
    found = deep(store)
    assert any(complaint in it.complaint for it in found if it.severity is Severity.ERROR), found


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("x")


def _write_beside(root: Path, ending: str, text: str) -> None:
    wheel = next(root.glob("files/*/foo*.whl"))
    wheel.with_name(wheel.name + ending).write_text(text)


def _copy(root: Path, source: str, target: str) -> None:
    shutil.copyfile(root / "channels/stable" / source, root / "channels/stable" / target)


def _over_another(root: Path, folder: str) -> None:
    one, other = sorted((root / folder).iterdir())[:2]
    shutil.copyfile(one, other)


def _older_head(root: Path) -> None:
    history = read_history(DirectoryStore(root), "stable", 2)
    assert history
    (root / "channels/stable/head.json").write_bytes(Head(commit=history.commit).to_bytes())


class TestInformation:
    def test_orphans(self, store: DirectoryStore) -> None:
        strays = [
            f"files/{'0' * 64}/dead-1.0-py3-none-any.whl",
            "states/x/y.json",
            "channels/stable/other/x",
            "channels/stable/snapshots/7/simple/index.html",
            "logs/x/y",
        ]
        for key in strays:
            _write(store.path / key)
        found = deep(store)
        assert is_clean(found)
        assert {(it.key, it.kind) for it in found} == {(key, Kind.ORPHAN) for key in strays}

    def test_a_name_that_upstream_took_later(self, store: DirectoryStore) -> None:
        theirs = upstream_file("bar-1.0-py3-none-any.whl")
        project = wheel_change(store.path.parent / "built", "bar").project
        publish(store, "stable", [Change(project=project, upstream=(theirs,))], run="", now=NOW)
        (finding,) = audit(store)
        assert finding.severity is Severity.INFORMATION and "upstream serves" in finding.complaint

    @pytest.mark.parametrize("pattern", ["logs/*", "sdists/*/*", "runs/*"])
    def test_what_only_people_read_and_nothing_can_restore(self, store: DirectoryStore, pattern: str) -> None:
        path = next(store.path.glob(pattern))
        path.unlink()
        (finding,) = deep(store)
        assert (finding.severity, finding.key) == (
            Severity.INFORMATION,
            str(path.relative_to(store.path)),
        )

    def test_records_and_runs_that_are_all_lost(self, store: DirectoryStore) -> None:
        for folder in ("records", "runs"):
            shutil.rmtree(store.path / folder)
        found = deep(store)
        said = " ".join(it.complaint for it in found if it.kind is Kind.MISSING)
        assert is_clean(found)
        for name in ("foo", "bar", "baz"):
            assert f"how {name}-1.0-py3-none-any.whl was built is missing" in said
        assert {it.key for it in found if it.key.startswith("runs/")}

    def test_a_wheel_that_only_an_earlier_commit_has(self, store: DirectoryStore) -> None:
        change = wheel_change(store.path.parent / "built", "old")
        publish(store, "stable", [change], run="", now=NOW)
        _withdraw(store, change)
        assert deep(store) == ()
        next(store.path.glob("files/*/old*.whl")).unlink()
        found = deep(store)
        assert is_clean(found) and "nobody can go back to that" in found[0].complaint


class TestSnapshots:
    """Their addresses are in use, so what is wrong with one is an error, whoever can put it right."""

    def test_a_link_that_leads_nowhere(self, store: DirectoryStore) -> None:
        change = wheel_change(store.path.parent / "built", "old")
        publish(store, "stable", [change], run="", now=NOW)
        taken = snapshots.take(store, "stable", read_head(store, "stable").commit, now=NOW)
        _withdraw(store, change)
        (path,) = store.path.glob("files/*/old*.whl")
        path.unlink()
        (finding,) = deep(store)
        assert finding.severity is Severity.ERROR and finding.key.endswith("/old-1.0-py3-none-any.whl")
        assert finding.complaint == f"snapshot {taken.number} of stable needs it, but it is missing"

    def test_a_commit_that_is_not_kept(self, store: DirectoryStore) -> None:
        for version in ("1.0", "2.0"):
            change = wheel_change(store.path.parent / "built", "new", version)
            publish(store, "stable", [change], run="", now=NOW)
        for number in (1, 2, 3):
            (store.path / f"channels/stable/commits/{number}.json").unlink()
        found = {it.complaint for it in deep(store) if it.severity is Severity.ERROR}
        assert "is what snapshot 2 of stable stands on, but is not kept" in found

    def test_one_that_was_not_ended_is_no_error(self, store: DirectoryStore) -> None:
        (store.path / snapshots_key("stable")).unlink(missing_ok=True)
        shutil.rmtree(store.path / "channels/stable/snapshots", ignore_errors=True)

        class Dying(Interfering):
            def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
                if len(key.split("/")) < 7:
                    raise KeyboardInterrupt
                return super().put(key, data, **options)

        commit = read_head(store, "stable").commit
        with pytest.raises(KeyboardInterrupt):
            snapshots.take(Dying(store, 0, nothing_at_all), "stable", commit, now=NOW)
        found = deep(store)
        assert is_clean(found) and {it.kind for it in found} == {Kind.ORPHAN}


def _withdraw(store: DirectoryStore, change: Change) -> None:
    def edit(state: ProjectState) -> Merged:
        return Merged(state=ProjectState(name=state.name))

    amend(store, "stable", {change.project: edit}, run="", now=NOW)


def test_what_a_prune_left_is_clean(store: DirectoryStore) -> None:
    for days in (0, 10):
        prune(store, commits=1, grace=timedelta(days=1), now=NOW + timedelta(days=days))
    assert not (store.path / "channels/candidate/commits/1.json").exists()
    assert is_clean(deep(store)), deep(store)
    (store.path / "channels/candidate/commits/3.json").unlink()
    assert "channels/candidate/commits/3.json" in {it.key for it in deep(store)}


@pytest.mark.parametrize("channel", [None, "stable"])
def test_what_is_no_store_is_one_clear_error(tmp_path: Path, channel: str | None) -> None:
    with pytest.raises(ConfigurationError, match="has no channel"):
        audit(DirectoryStore(tmp_path), channel)


@pytest.mark.integration
def test_an_audit_beside_a_publisher_finds_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    changes = [wheel_change(tmp_path / "built", f"p{number}") for number in range(40)]

    def publish_all() -> None:
        while True:
            for change in changes:
                publish(store, "stable", [change], run="", now=NOW)
                _withdraw(store, change)

    child = start_child(publish_all)
    try:
        audits, first = 0, read_head(store, "stable").commit.number
        while audits < 3 or read_head(store, "stable").commit.number == first:
            found = audit(store, deep=True)
            assert is_clean(found), found
            audits += 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class TestCommand:
    def test_clean(self, store: DirectoryStore) -> None:
        result = CliRunner().invoke(command, [str(store.path)], standalone_mode=False)
        assert result.return_value == 0 and result.stdout == "clean: 0 errors, 0 remarks\n"

    def test_not_clean(self, store: DirectoryStore) -> None:
        (store.path / snapshots_key("stable")).write_text("{}")
        result = CliRunner().invoke(command, [str(store.path), "--deep"], standalone_mode=False)
        assert result.return_value == 4
        assert result.stdout.startswith("error: channels/stable/snapshots.json: is damaged: ")

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
                    "kind": "missing",
                    "complaint": "the page is missing",
                }
            ],
        }
        assert "not clean: 1 errors" in result.stderr
