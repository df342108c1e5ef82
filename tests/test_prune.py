from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from mirrors import (
    LATER,
    NOW,
    Interfering,
    dangling,
    in_child,
    nothing_at_all,
    wheel_change,
)
from mirrors import snapshot as files_of
from packaging.utils import canonicalize_name

from wheelbuilder.cli.main import wheelbuilder
from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import amend
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.channels import Reference, promote, resolve, rollback
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import MARKS_KEY
from wheelbuilder.mirror.marks import SILENCE, Marks, read_marks, rescue, write_marks
from wheelbuilder.mirror.merge import Merged
from wheelbuilder.mirror.prune import Pruning, prune
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.read import kept_numbers, read_head, read_history
from wheelbuilder.mirror.snapshots import snapshots, take
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Listed, Store

FOO = canonicalize_name("foo")
AUTHOR = Author(run="by hand", now=NOW)
WEEK = timedelta(days=7)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Commits 1 to 5; foo-1.0 is only in 1 to 3, and an orphan lies about."""
    made, built = DirectoryStore(tmp_path / "store"), tmp_path / "built"
    for change in (wheel_change(built), wheel_change(built, "bar"), wheel_change(built, "baz")):
        publish(made, "stable", [change], run="", now=NOW)
    amend(made, "stable", {FOO: lambda it: Merged(state=ProjectState(name=it.name))}, run="", now=NOW)
    publish(made, "stable", [wheel_change(built, "bar", "2.0")], run="", now=NOW)
    made.put(f"files/{'a' * 64}/orphan.whl", b"x", content_type="", cache_control="")
    return made


def pruned(store: Store, *, commits: int = 2, days: float = 0) -> Pruning:
    return prune(store, commits=commits, grace=WEEK, now=NOW + timedelta(days=days))


def blobs(store: DirectoryStore) -> set[str]:
    return {path.name for path in store.path.glob("files/*/*.whl")}


def assert_clean(store: DirectoryStore) -> None:
    findings = audit(store, deep=True)
    assert is_clean(findings), findings
    assert dangling(store.path) == []


def test_first_marked_then_deleted(store: DirectoryStore) -> None:
    everything = files_of(store.path)
    first = pruned(store)
    assert first.doomed == ()
    assert {it.key.split("/")[0] for it in first.marked} == {"channels", "states", "files"}
    assert {key for key in files_of(store.path) if key not in everything} == {MARKS_KEY}
    assert pruned(store, days=6.9).doomed == ()
    assert blobs(store) >= {"foo-1.0-py3-none-any.whl", "orphan.whl"}
    last = pruned(store, days=7)
    assert {it.key for it in last.doomed} == {it.key for it in first.marked}
    assert blobs(store) == {f"{name}-py3-none-any.whl" for name in ("bar-1.0", "bar-2.0", "baz-1.0")}
    assert kept_numbers(store, "stable") == (4, 5)
    assert read_marks(store).since == {}
    assert_clean(store)


def test_what_stays_is_as_it_was(store: DirectoryStore) -> None:
    before = files_of(store.path)
    pruned(store)
    doomed = {it.key for it in pruned(store, days=8).doomed}
    after = files_of(store.path)
    checkpoint = "channels/stable/commits/4.json"
    assert before.keys() - after.keys() == doomed
    assert all(after[key] == before[key] for key in before.keys() - doomed - {checkpoint})
    kept = read_history(store, "stable", 4)
    assert kept and kept.step is None
    assert kept.states.keys() == set(kept.commit.projects.values())


def test_snapshots_keep_what_they_hold(store: DirectoryStore) -> None:
    take(store, "stable", resolve(store, Reference.parse("stable@1")), now=NOW)
    pruned(store)
    pruned(store, days=8)
    assert kept_numbers(store, "stable") == (1, 4, 5)
    assert "foo-1.0-py3-none-any.whl" in blobs(store)
    assert_clean(store)


def test_other_channels_keep_what_they_hold(store: DirectoryStore) -> None:
    promote(store, Reference.parse("stable@1"), "old", AUTHOR)
    pruned(store)
    pruned(store, days=8)
    assert "foo-1.0-py3-none-any.whl" in blobs(store)
    assert_clean(store)


def test_a_publication_takes_the_mark_away(store: DirectoryStore, tmp_path: Path) -> None:
    pruned(store)
    publish(store, "stable", [wheel_change(tmp_path / "built")], run="", now=LATER)
    assert not any("foo-1.0" in key for key in read_marks(store).since)
    pruned(store, days=8)
    assert "foo-1.0-py3-none-any.whl" in blobs(store)
    assert_clean(store)


def test_a_rollback_takes_the_marks_away(store: DirectoryStore) -> None:
    pruned(store)
    rollback(store, "stable", 1, AUTHOR)
    pruned(store, commits=1, days=8)
    assert "foo-1.0-py3-none-any.whl" in blobs(store)
    assert_clean(store)


def test_a_publication_between_the_announcement_and_the_deletion_is_seen(
    store: DirectoryStore, tmp_path: Path
) -> None:
    """At whichever operation of a prune a writer needs a marked wheel again: it stays, or comes back."""
    counting = Interfering(_copy(store, tmp_path / "counted"), 0, nothing_at_all)
    pruned(counting)
    marked = counting.count
    pruned(counting, days=8)
    publisher = partial(publish, run="", now=LATER)
    for at in range(1, counting.count - marked + 1):
        other = _copy(store, tmp_path / f"store-{at}")
        pruned(other)
        change = wheel_change(tmp_path / "built")
        thread = threading.Thread(target=publisher, args=(other, "stable", [change]))
        try:
            pruned(Interfering(other, at, thread.start, after=True), days=8)
        finally:
            thread.join()
        assert_clean(other)
        assert "foo-1.0-py3-none-any.whl" in blobs(other)


def test_a_death_at_any_operation(store: DirectoryStore, tmp_path: Path) -> None:
    pruned(store)
    counting = Interfering(_copy(store, tmp_path / "counted"), 0, nothing_at_all)
    pruned(counting, days=8)
    for at in range(1, counting.count + 1):
        other = _copy(store, tmp_path / f"store-{at}")
        dying = Interfering(other, at, partial(os._exit, 9))
        assert in_child(partial(pruned, dying, days=8)) == 9
        assert_clean(other)
        pruned(other, days=9)
        assert kept_numbers(other, "stable") == (4, 5)
        assert_clean(other)
        assert "foo-1.0-py3-none-any.whl" not in blobs(other)


def test_a_snapshot_at_any_moment_of_a_prune(store: DirectoryStore, tmp_path: Path) -> None:
    """It has all it lists, and its commit is kept; or it is refused, for the commit has just gone."""

    def take_first(other: Store) -> None:
        with suppress(UnreachableError, ConfigurationError):
            take(other, "stable", resolve(other, Reference.parse("stable@1")), now=LATER)

    pruned(store)
    counting = Interfering(_copy(store, tmp_path / "counted"), 0, nothing_at_all)
    pruned(counting, days=8)
    taken = 0
    for at in range(1, counting.count + 1):
        other = _copy(store, tmp_path / f"store-{at}")
        thread = threading.Thread(target=take_first, args=(other,))
        try:
            pruned(Interfering(other, at, partial(_started, thread), after=True), days=8)
        finally:
            thread.join()
        assert dangling_snapshots(other.path) == []
        taken += bool(snapshots(other, "stable"))
        pruned(other, days=9)
        pruned(other, days=20)
        assert dangling_snapshots(other.path) == []
        assert_clean(other)
    assert 0 < taken < counting.count


def test_what_pages_show_that_a_dead_writer_left_stays(store: DirectoryStore) -> None:
    """Its commit is not complete, so pages are of the one before, however few commits are to stay."""

    class Dying(Interfering):
        def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
            etag = super().put(key, data, **options)
            if key.endswith("head.json"):
                os._exit(9)
            return etag

    empty = {canonicalize_name("bar"): lambda it: Merged(state=ProjectState(name=it.name))}
    dying = partial(amend, Dying(store, 0, nothing_at_all), "stable", empty, run="", now=NOW)
    assert in_child(dying) == 9
    for days in (0, 8):
        pruned(store, commits=1, days=days)
        assert dangling(store.path) == []
    publish(store, "stable", [], run="", now=NOW)
    assert_clean(store)


def test_publications_do_not_hold_up_a_prune(store: DirectoryStore, tmp_path: Path) -> None:
    class Busy(Interfering):
        def folders(self, prefix: str) -> Iterator[str]:
            if prefix == "channels/":
                publish(self.store, "stable", [next(changes)], run="", now=LATER)
            return super().folders(prefix)

    changes = (wheel_change(tmp_path / "more", f"p{number}") for number in range(50))
    pruned(store)
    assert pruned(Busy(store, 0, nothing_at_all), days=8).doomed
    assert "orphan.whl" not in blobs(store)
    assert_clean(store)


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed, as tests have them pass."""
    seconds = [0.0]
    for module in ("removal", "marks"):
        monkeypatch.setattr(f"wheelbuilder.mirror.{module}.clock", lambda: seconds[0])
    monkeypatch.setattr("wheelbuilder.mirror.marks.time.sleep", lambda it: seconds.append(seconds.pop() + it))
    return seconds


class TestAnnouncement:
    """What is announced ends, whatever becomes of the prune that announced it."""

    def test_a_death_after_the_last_deletion(self, store: DirectoryStore) -> None:
        class Dying(Interfering):
            def delete(self, keys: Iterable[str]) -> None:
                wanted = list(keys)
                super().delete(wanted)
                if any(key.startswith("files/") for key in wanted):
                    os._exit(9)

        pruned(store)
        assert in_child(partial(pruned, Dying(store, 0, nothing_at_all), days=8)) == 9
        assert read_marks(store).deleting
        pruned(store, days=9)
        assert read_marks(store) == Marks(etag=read_marks(store).etag)

    def test_an_error_leaves_announced_what_a_request_may_still_delete(
        self, store: DirectoryStore, tmp_path: Path, elapsed: list[float]
    ) -> None:
        class Failing(Interfering):
            def delete(self, keys: Iterable[str]) -> None:
                wanted = list(keys)
                if wanted[0].startswith("states/"):
                    raise UnreachableError("It does not answer.", "Wait.")
                super().delete(wanted)

        pruned(store)
        with pytest.raises(UnreachableError, match="does not answer"):
            pruned(Failing(store, 0, nothing_at_all), days=8)
        left = read_marks(store).deleting
        assert left and all(key.startswith("states/") for key in left)
        assert any(key.startswith("files/") for key in read_marks(store).since)
        publish(store, "stable", [wheel_change(tmp_path / "built")], run="", now=NOW)  # makes the state again
        assert SILENCE < elapsed[0] < 2 * SILENCE
        assert not read_marks(store).deleting
        pruned(store, days=8)
        assert_clean(store)
        assert "orphan.whl" not in blobs(store) and "foo-1.0-py3-none-any.whl" in blobs(store)

    def test_an_error_before_anything_is_deleted(self, store: DirectoryStore) -> None:
        class Failing(Interfering):
            def folders(self, prefix: str) -> Iterator[str]:
                if read_marks(self.store).deleting:
                    raise UnreachableError("It does not answer.", "Wait.")
                return super().folders(prefix)

        pruned(store)
        before = read_marks(store).since
        with pytest.raises(UnreachableError, match="does not answer"):
            pruned(Failing(store, 0, nothing_at_all), days=8)
        assert (read_marks(store).since, read_marks(store).deleting) == (before, frozenset())
        assert pruned(store, days=8).doomed

    def test_it_says_since_when_something_is_deleted(
        self, store: DirectoryStore, elapsed: list[float]
    ) -> None:
        """And not since when the command runs, which may have looked for long."""
        said = []

        class Slow(Interfering):
            def list(self, prefix: str = "") -> Iterator[Listed]:
                elapsed[0] += 1800 if prefix == "files/" else 0
                return super().list(prefix)

            def delete(self, keys: Iterable[str]) -> None:
                said.append(read_marks(self.store).started)
                super().delete(keys)
                elapsed[0] += 90

        pruned(store)
        elapsed[0] = 0.0
        pruned(Slow(store, 0, nothing_at_all), days=8)
        assert said == ["2026-01-10T03:34:05Z", "2026-01-10T03:35:35Z", "2026-01-10T03:37:05Z"]

    def test_what_a_writer_has_taken_out_is_not_deleted(
        self, store: DirectoryStore, tmp_path: Path, elapsed: list[float]
    ) -> None:
        todo = [partial(publish, store, "stable", [wheel_change(tmp_path / "built")], run="", now=LATER)]

        class Stuck(Interfering):
            def delete(self, keys: Iterable[str]) -> None:
                super().delete(keys)
                while todo:
                    todo.pop()()

        pruned(store)
        pruned(Stuck(store, 0, nothing_at_all), days=8)
        assert elapsed[0] > SILENCE
        assert "foo-1.0-py3-none-any.whl" in blobs(store)
        assert_clean(store)
        pruned(store, days=8)
        assert "orphan.whl" not in blobs(store)

    def test_one_that_another_prune_has_taken_over_ends(
        self, store: DirectoryStore, elapsed: list[float]
    ) -> None:
        class Stuck(Interfering):
            def delete(self, keys: Iterable[str]) -> None:
                super().delete(keys)
                elapsed[0] += 90
                marks = read_marks(self.store)
                write_marks(self.store, replace(marks, started="2026-01-10T05:00:00Z"))

        pruned(store)
        with pytest.raises(UnreachableError, match="another has taken over"):
            pruned(Stuck(store, 0, nothing_at_all), days=8)
        assert read_marks(store).started == "2026-01-10T05:00:00Z"
        assert "orphan.whl" in blobs(store)
        pruned(store, days=9)
        assert "orphan.whl" not in blobs(store)


def test_two_at_once_are_refused(store: DirectoryStore) -> None:
    pruned(store)
    marks = read_marks(store)
    write_marks(store, Marks(deleting=frozenset({"x"}), started="2026-01-02T03:04:05Z", etag=marks.etag))
    with pytest.raises(UnreachableError, match="another prune is deleting since 2026-01-02T03:04:05Z"):
        pruned(store)
    pruned(store, days=1)


def test_a_writer_says_once_that_it_waits_and_does_not_wait_for_ever(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("wheelbuilder.mirror.marks.PATIENCE", 0.1)
    monkeypatch.setattr("wheelbuilder.mirror.marks.PAUSE", 0.03)
    write_marks(store, Marks(deleting=frozenset({"x"}), started="2026-01-02T03:04:05Z"))
    with pytest.raises(UnreachableError, match="a prune is deleting x, or died while it was"):
        rescue(store, ["x", "y"])
    assert [it.message for it in caplog.records] == [
        "A prune is deleting some of what is needed here: waiting until it has ended."
    ]
    assert rescue(store, ["y"])


@pytest.mark.parametrize("damage", ["channels/stable/head.json", "channels/stable/commits/5.json"])
def test_a_damaged_store_is_not_touched(store: DirectoryStore, damage: str) -> None:
    pruned(store)
    path = store.path / damage
    path.write_bytes(path.read_bytes()[:-3])
    if "commits" in damage:
        (store.path / "channels/stable/head.json").unlink()
    before = files_of(store.path)
    with pytest.raises(IntegrityError):
        pruned(store, days=8)
    assert files_of(store.path) == before


def test_a_channel_that_has_lost_head_and_commits_keeps_its_wheels(
    store: DirectoryStore, tmp_path: Path
) -> None:
    publish(store, "other", [wheel_change(tmp_path / "built", "qux")], run="", now=NOW)
    pruned(store)
    shutil.rmtree(store.path / "channels/other/commits")
    (store.path / "channels/other/head.json").unlink()
    before = files_of(store.path)
    for days in (1, 20):
        with pytest.raises(IntegrityError, match=r"other/head\.json is missing, but the channel has other"):
            pruned(store, days=days)
    assert files_of(store.path) == before


def test_an_empty_folder_of_a_channel_is_no_loss(store: DirectoryStore) -> None:
    (store.path / "channels/other/simple").mkdir(parents=True)
    assert pruned(store).marked


def test_a_folder_that_is_no_channel_holds_up_nothing(store: DirectoryStore) -> None:
    store.put("channels/Stable backup/head.json", b"junk", content_type="", cache_control="")
    (told,) = (it for it in audit(store) if it.key.startswith("channels/"))
    assert str(told.severity) == "information" and "no name that a channel can have" in told.complaint
    pruned(store)
    assert pruned(store, days=8).doomed
    assert_clean(store)


@pytest.mark.parametrize("lost", ["snapshots.json", "commits/1.json"])
def test_what_a_snapshot_stands_on_is_not_deleted_because_something_is_lost(
    store: DirectoryStore, lost: str
) -> None:
    take(store, "stable", resolve(store, Reference.parse("stable@1")), now=NOW)
    (store.path / "channels/stable" / lost).unlink()
    if lost == "commits/1.json":
        with pytest.raises(IntegrityError, match=r"commits/1\.json, which the snapshot 1"):
            pruned(store)
    else:
        pruned(store)
        pruned(store, days=8)
    assert "foo-1.0-py3-none-any.whl" in blobs(store)


def test_a_mark_that_is_taken_away_while_a_prune_deletes_does_not_stop_the_next(
    store: DirectoryStore,
) -> None:
    pruned(store)

    class Unmarking(Interfering):
        def delete(self, keys: Iterable[str]) -> None:
            marks = read_marks(store)
            assert marks.deleting
            write_marks(store, replace(marks, since={"files/other": "2026-01-02T03:04:05Z"}))
            self.store.delete(keys)

    pruned(Unmarking(store, 0, nothing_at_all), days=8)
    assert not read_marks(store).deleting
    pruned(store, days=8)


def test_the_newest_commit_is_always_kept(store: DirectoryStore) -> None:
    with pytest.raises(ConfigurationError, match="newest commit"):
        pruned(store, commits=0)
    pruned(store, commits=1)
    pruned(store, commits=1, days=8)
    assert kept_numbers(store, "stable") == (5,)
    assert read_head(store, "stable").commit.number == 5
    assert_clean(store)


def test_the_command_lists_before_it_deletes(store: DirectoryStore) -> None:
    arguments = ["prune", "--store", str(store.path), "--grace", "0", "--keep-snapshots", "1"]
    before = files_of(store.path)
    dry = CliRunner().invoke(wheelbuilder, [*arguments, "--dry-run"])
    assert "0 objects (0.0 MB) would be deleted" in dry.output
    assert files_of(store.path) == before
    CliRunner().invoke(wheelbuilder, arguments)
    held = files_of(store.path)
    dry = CliRunner().invoke(wheelbuilder, [*arguments, "--dry-run"])
    assert "would be deleted: channels/stable/commits/1.json" in dry.output
    assert files_of(store.path) == held
    real = CliRunner().invoke(wheelbuilder, arguments)
    assert "will be deleted: channels/stable/commits/1.json" in real.output
    assert_clean(store)
    assert kept_numbers(store, "stable") == (5,)


def dangling_snapshots(root: Path) -> list[str]:
    """The links on any page of a snapshot to blobs that are not there."""
    found = [page.read_bytes() for page in root.glob("channels/*/snapshots/*/*/*/index.html")]
    names = {unquote(it.decode()) for page in found for it in re.findall(rb"/files/([^\"#]+)", page)}
    return sorted(name for name in names if not (root / "files" / name).exists())


def _started(thread: threading.Thread) -> None:
    """Let a thread get as far as it can while we do nothing."""
    thread.start()
    thread.join(0.3)


def _copy(store: DirectoryStore, target: Path) -> DirectoryStore:
    for path in store.path.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(store.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return DirectoryStore(target)


def test_what_no_mirror_has_made_is_not_deleted(tmp_path: Path) -> None:
    """A typing error names another directory that has folders of the same names."""
    store = DirectoryStore(tmp_path / "home")
    foreign = ["files/letter.txt", "files/2026/letter.txt", "states/texas.json", f"files/{'a' * 64}/deep/x"]
    for key in (*foreign, f"files/{'a' * 64}/orphan.whl", f"states/{'b' * 64}.json"):
        store.put(key, b"x", content_type="", cache_control="")
    for days in (0, 30):
        prune(store, commits=1, grace=timedelta(days=7), now=NOW + timedelta(days=days))
    assert sorted(it.key for it in store.list() if not it.key.startswith("prune")) == sorted(foreign)
