from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from click.testing import CliRunner
from mirrors import LATER, NOW, Interfering, dangling, in_child, nothing_at_all, upstream_file, wheel_change
from mirrors import snapshot as files_of
from packaging.utils import canonicalize_name

from wheelbuilder.cli.main import wheelbuilder
from wheelbuilder.errors import ConfigurationError, IntegrityError, InterruptedRunError
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.channels import Reference, promote, resolve, rollback
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import sealed
from wheelbuilder.mirror.marks import read_marks
from wheelbuilder.mirror.prune import prune
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.snapshots import drop, snapshots, take
from wheelbuilder.mirror.store import Listed, Store
from wheelbuilder.mirror.sync import copy, survey

FOO = canonicalize_name("foo")
AUTHOR = Author(run="by hand", now=NOW)


@pytest.fixture
def source(tmp_path: Path) -> DirectoryStore:
    """Two channels, three commits, a snapshot, and a record."""
    store, built = DirectoryStore(tmp_path / "source"), tmp_path / "built"
    for version in ("1.0", "2.0", "3.0"):
        publish(store, "candidate", [wheel_change(built, version=version)], run="", now=NOW)
    publish(store, "candidate", [Change(project=FOO, upstream=(upstream_file(),))], run="", now=NOW)
    promote(store, Reference.parse("candidate@2"), "stable", AUTHOR)
    take(store, "candidate", resolve(store, Reference.parse("candidate@1")), now=NOW)
    store.put("runs/x.json", sealed({}), content_type="", cache_control="")
    return store


@pytest.fixture
def target(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "target")


def synced(source: Store, target: Store, *channels: str) -> int:
    copying = survey(source, target, channels)
    copy(source, target, copying)
    return len((*copying.shared, *copying.history))


def visible(store: DirectoryStore) -> dict[str, bytes]:
    held = {key: value for key, (value, _) in files_of(store.path).items() if not key.startswith(".")}
    return {key: value for key, value in held.items() if not key.endswith("head.json")}


def assert_same(one: DirectoryStore, other: DirectoryStore) -> None:
    assert visible(one) == visible(other)
    for name in ("candidate", "stable"):
        reference = Reference(channel=name)
        assert resolve(one, reference) == resolve(other, reference)


def assert_clean(store: DirectoryStore) -> None:
    findings = audit(store, deep=True)
    assert is_clean(findings), findings
    assert dangling(store.path) == []


def test_a_copy_is_the_same_mirror(source: DirectoryStore, target: DirectoryStore) -> None:
    before = files_of(source.path)
    assert synced(source, target)
    assert_same(source, target)
    assert files_of(source.path) == before
    assert snapshots(target, "candidate") == snapshots(source, "candidate")


def test_the_same_again_copies_nothing(source: DirectoryStore, target: DirectoryStore) -> None:
    synced(source, target)
    before = files_of(target.path)
    assert synced(source, target) == 0
    assert files_of(target.path) == before


def test_only_what_differs_is_copied(source: DirectoryStore, target: DirectoryStore, tmp_path: Path) -> None:
    synced(source, target)
    publish(source, "candidate", [wheel_change(tmp_path / "built", "bar")], run="", now=LATER)
    rollback(source, "stable", 1, AUTHOR)
    copying = survey(source, target)
    assert {it.key.partition("/")[0] for it in (*copying.shared, *copying.history)} == {
        "files",
        "states",
        "channels",
    }
    assert len(copying.shared) == 3  # a wheel, its metadata, a state
    assert synced(source, target) == 4
    assert_same(source, target)


def test_several_commits_at_once(source: DirectoryStore, target: DirectoryStore, tmp_path: Path) -> None:
    synced(source, target)
    for name in ("bar", "baz", "foo"):
        publish(source, "candidate", [wheel_change(tmp_path / "b", name, "9.0")], run="", now=LATER)
    synced(source, target)
    assert_same(source, target)


def test_one_channel_only(source: DirectoryStore, target: DirectoryStore) -> None:
    synced(source, target, "stable")
    assert list(target.folders("channels/")) == ["stable"]


@pytest.mark.parametrize("pattern", ["files/*/*.whl", "files/*/*.metadata", "states/*.json"])
def test_what_is_damaged_does_not_spread(source: DirectoryStore, tmp_path: Path, pattern: str) -> None:
    for number, path in enumerate(sorted(source.path.glob(pattern))):
        target = DirectoryStore(tmp_path / f"target-{number}")
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(IntegrityError, match="does not have the digest that it"):
            synced(source, target)
        path.write_bytes(whole)
        assert not (target.path / "channels").exists()
        assert not (target.path / path.relative_to(source.path)).exists()


@pytest.mark.parametrize("pattern", ["files/*/bar*.metadata", "files/*/foo-1.0*.metadata"])
def test_damaged_metadata_does_not_spread_to_a_copy_that_has_the_rest(
    source: DirectoryStore, target: DirectoryStore, tmp_path: Path, pattern: str
) -> None:
    publish(source, "candidate", [wheel_change(tmp_path / "built", "bar")], run="", now=LATER)
    publish(source, "candidate", [wheel_change(tmp_path / "built", "baz")], run="", now=LATER)
    rollback(source, "candidate", 5, AUTHOR)
    synced(source, target)
    (path,) = source.path.glob(pattern)
    path.write_bytes(path.read_bytes() + b"\n")
    (target.path / path.relative_to(source.path)).unlink()
    with pytest.raises(IntegrityError, match=r"\.metadata of .* does not have the digest"):
        synced(source, target)


def test_damaged_orphans_are_left_out_and_named(source: DirectoryStore, target: DirectoryStore) -> None:
    orphans = [f"files/{'a' * 64}/orphan-1.0-py3-none-any.whl", f"states/{'b' * 64}.json"]
    for key in orphans:
        source.put(key, b"", content_type="", cache_control="")
    done = CliRunner().invoke(wheelbuilder, ["sync", str(source.path), str(target.path)])
    assert done.exit_code == 0, done.output
    assert all(f"not copied: {key} is damaged" in done.output.replace("\n", " ") for key in orphans)
    assert not any(target.exists(key) for key in orphans)
    assert_clean(target)


@pytest.mark.parametrize("lost", ["files/*/*.whl", "files/*/*.metadata", "states/*.json"])
def test_a_source_that_lacks_something_breaks_no_copy(
    source: DirectoryStore, target: DirectoryStore, tmp_path: Path, lost: str
) -> None:
    synced(source, target)
    before = set(source.path.glob(lost))
    publish(source, "candidate", [wheel_change(tmp_path / "built", "bar")], run="", now=LATER)
    (new,) = set(source.path.glob(lost)) - before
    new.unlink()
    with pytest.raises(IntegrityError, match=r"is not whole|is missing"):
        synced(source, target)
    assert_clean(target)
    assert resolve(target, Reference(channel="candidate")).number == 4


def test_a_prune_of_the_destination_just_before_a_head_moves(
    source: DirectoryStore, target: DirectoryStore, tmp_path: Path
) -> None:
    wheel = wheel_change(tmp_path / "built", "bar")
    publish(source, "candidate", [wheel], run="", now=NOW)
    rollback(source, "candidate", 4, AUTHOR)
    synced(source, target)

    def pruned(days: int) -> None:
        prune(target, commits=1, grace=timedelta(days=7), now=NOW + timedelta(days=days))

    pruned(0)
    assert any("bar-1.0" in key for key in read_marks(target).since)
    publish(source, "candidate", [wheel], run="", now=LATER)

    class Pruning(Interfering):
        def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
            if key == "channels/candidate/head.json":
                pruned(8)
            return self.store.put(key, data, **options)

    copy(source, Pruning(target, 0, nothing_at_all), survey(source, target))
    assert dangling(target.path) == []
    assert_clean(target)


def test_a_prune_of_the_destination_between_the_survey_and_the_copy(
    source: DirectoryStore, target: DirectoryStore, tmp_path: Path
) -> None:
    """What the survey had found there is gone: it is copied after all."""
    publish(source, "candidate", [wheel_change(tmp_path / "built", "bar")], run="", now=NOW)
    rollback(source, "candidate", 4, AUTHOR)
    synced(source, target)
    take(source, "candidate", resolve(source, Reference.parse("candidate@5")), now=LATER)
    copying = survey(source, target)
    for days in (0, 8):
        prune(target, commits=1, grace=timedelta(days=7), now=NOW + timedelta(days=days))
    assert not list(target.path.glob("files/*/bar-1.0*"))
    copy(source, target, copying)
    assert [it.number for it in snapshots(target, "candidate")] == [1, 5]
    assert len(list(target.path.glob("files/*/bar-1.0*.whl"))) == 1
    assert_clean(target)
    prune(target, commits=1, grace=timedelta(days=7), now=NOW + timedelta(days=30))


class Dropping(Interfering):
    """A store in which a snapshot is dropped when so many of its pages are read, and maybe taken again."""

    def __init__(self, store: DirectoryStore, pages: int, *, again: bool) -> None:
        super().__init__(store, 0, nothing_at_all)
        self.pages = pages
        self.again = again
        self.turn = Lock()

    def download(self, key: str, path: Path) -> bool:
        if "/snapshots/1/" in key:
            with self.turn:
                if self.pages == 0:
                    commit = resolve(self.store, Reference.parse("candidate@1"))
                    drop(self.store, "candidate", 1)
                    missed = super().download(key, path)
                    if self.again:
                        take(self.store, "candidate", commit, now=LATER)
                    self.pages -= 1
                    return missed
                self.pages -= 1
        return super().download(key, path)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("pages", [0, 1, 5])
def test_a_snapshot_that_is_dropped_while_it_is_copied(
    source: DirectoryStore, target: DirectoryStore, monkeypatch: pytest.MonkeyPatch, pages: int, again: bool
) -> None:
    monkeypatch.setattr("wheelbuilder.mirror.store.QUICK", 0.0)  # several workers although nothing waits
    synced(Dropping(source, pages, again=again), target)
    assert snapshots(target, "candidate") == ()
    assert not list(target.list("channels/candidate/snapshots/"))
    assert_clean(target)
    synced(source, target)
    assert snapshots(target, "candidate") == snapshots(source, "candidate")
    assert len(snapshots(target, "candidate")) == again
    assert_clean(target)


def test_a_snapshot_that_is_dropped_between_two_copies_leaves_nothing(
    source: DirectoryStore, target: DirectoryStore
) -> None:
    """The first copy ends amid its pages, the second finds them there."""
    watched = Interfering(target, 0, nothing_at_all)
    copying = survey(source, target)
    page = "channels/candidate/snapshots/1/simple/index.html"

    class Dying(Interfering):
        def download(self, key: str, path: Path) -> bool:
            if key == page:
                raise InterruptedRunError("killed")
            return super().download(key, path)

    with pytest.raises(InterruptedRunError):
        copy(Dying(source, 0, nothing_at_all), watched, copying)
    assert list(target.list("channels/candidate/snapshots/"))
    synced(Dropping(source, 0, again=False), target)
    assert not list(target.list("channels/candidate/snapshots/"))
    assert_clean(target)


def test_pages_of_a_snapshot_that_is_not_listed_are_not_copied(
    source: DirectoryStore, target: DirectoryStore
) -> None:
    source.put("channels/candidate/snapshots/2/simple/index.html", b"", content_type="", cache_control="")
    synced(source, target)
    assert {key.split("/")[3] for key in visible(target) if "/snapshots/" in key} == {"1"}
    assert_clean(target)


def test_what_is_published_meanwhile_is_left_for_the_next_copy(
    source: DirectoryStore, target: DirectoryStore, tmp_path: Path
) -> None:
    change = wheel_change(tmp_path / "built", "bar")

    class Moving(Interfering):
        def folders(self, prefix: str) -> Iterator[str]:
            yield from self.store.folders(prefix)

        def list(self, prefix: str = "") -> Iterator[Listed]:
            if prefix == "files/":
                publish(source, "candidate", [change], run="", now=LATER)
                take(source, "candidate", resolve(source, Reference(channel="candidate")), now=LATER)
            return self.store.list(prefix)

    synced(Moving(source, 0, nothing_at_all), target)
    assert resolve(target, Reference(channel="candidate")).number == 4
    assert not (target.path / "channels/candidate/commits/5.json").exists()
    assert_clean(target)
    synced(source, target)
    assert_same(source, target)
    assert_clean(target)


def test_a_source_without_channels_or_without_a_head_is_an_error(
    source: DirectoryStore, target: DirectoryStore, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="has no channel at all"):
        synced(DirectoryStore(tmp_path / "typo"), target)
    (source.path / "channels/stable/head.json").unlink()
    with pytest.raises(IntegrityError, match=r"stable/head\.json is missing"):
        synced(source, target)


def test_a_channel_that_went_another_way_is_refused(
    source: DirectoryStore, target: DirectoryStore, tmp_path: Path
) -> None:
    synced(source, target)
    publish(target, "stable", [wheel_change(tmp_path / "b", "here")], run="", now=LATER)
    assert synced(source, target) == 0  # the destination is ahead, which is no harm
    publish(source, "stable", [wheel_change(tmp_path / "b", "there")], run="", now=LATER)
    before = files_of(target.path)
    with pytest.raises(IntegrityError, match="stable went different ways"):
        synced(source, target)
    assert files_of(target.path) == before


def test_a_death_at_any_operation_is_completed_by_the_next_copy(
    source: DirectoryStore, tmp_path: Path
) -> None:
    first = DirectoryStore(tmp_path / "first")
    copying = survey(source, first)
    counting = Interfering(first, 0, nothing_at_all)
    copy(source, counting, copying)
    for at in range(1, counting.count + 1):
        store = DirectoryStore(tmp_path / f"store-{at}")
        dying = Interfering(store, at, partial(os._exit, 9))
        assert in_child(partial(copy, source, dying, survey(source, store))) == 9
        assert dangling(store.path) == []
        synced(source, store)
        assert_same(source, store)


def test_a_death_on_the_way_to_a_later_commit(source: DirectoryStore, tmp_path: Path) -> None:
    later = DirectoryStore(tmp_path / "later")
    synced(source, later)
    for name in ("bar", "baz"):
        publish(later, "candidate", [wheel_change(tmp_path / "b", name)], run="", now=LATER)
    total = 0
    at = 0
    while at <= total:
        store = DirectoryStore(tmp_path / f"store-{at}")
        synced(source, store)
        watched = Interfering(store, at, partial(os._exit, 9) if at else nothing_at_all)
        work = partial(copy, later, watched, survey(later, store))
        if at:
            assert in_child(work) == 9
        else:
            work()
            total = watched.count
        assert dangling(store.path) == []
        synced(later, store)
        assert_same(later, store)
        at += 1


def test_the_command(source: DirectoryStore, target: DirectoryStore) -> None:
    arguments = ["sync", str(source.path), str(target.path)]
    dry = CliRunner().invoke(wheelbuilder, [*arguments, "--dry-run"])
    assert "candidate: commit none -> 4" in dry.output
    assert "would be copied: files/" in dry.output
    assert not target.path.exists()
    assert "copied." in CliRunner().invoke(wheelbuilder, arguments).output
    assert_same(source, target)
    again = CliRunner().invoke(wheelbuilder, arguments)
    assert "0 objects" in again.output
    wrong = CliRunner().invoke(wheelbuilder, [*arguments, "--channel", "nope"])
    assert isinstance(wrong.exception, ConfigurationError)


def remembered(store: DirectoryStore, channel: str) -> dict[str, bytes]:
    found = {name: store.get(f"{name}/{channel}.json") for name in ("experience", "offers")}
    return {name: it.data for name, it in found.items() if it}


def test_what_is_remembered_of_builds_is_copied(source: DirectoryStore, target: DirectoryStore) -> None:
    for channel in ("candidate", "stable"):
        for name in ("experience", "offers"):
            source.put(f"{name}/{channel}.json", sealed({}), content_type="", cache_control="")
    synced(source, target, "stable")
    assert remembered(target, "candidate") == {}
    synced(source, target)
    assert remembered(target, "candidate") == remembered(source, "candidate") != {}
    assert synced(source, target) == 0


def test_what_the_destination_has_learned_later_stays(source: DirectoryStore, target: DirectoryStore) -> None:
    source.put("experience/stable.json", sealed({"failures": "many"}), content_type="", cache_control="")
    os.utime(source.path / "experience/stable.json", (1, 1))
    target.put("experience/stable.json", sealed({}), content_type="", cache_control="")
    synced(source, target)
    assert remembered(target, "stable") == {"experience": sealed({})}


def test_a_damaged_memory_is_left_out_and_named(source: DirectoryStore, target: DirectoryStore) -> None:
    source.put("experience/stable.json", sealed({})[:-3], content_type="", cache_control="")
    done = CliRunner().invoke(wheelbuilder, ["sync", str(source.path), str(target.path)])
    assert done.exit_code == 0, done.output
    assert "not copied: experience/stable.json is damaged" in done.output.replace("\n", " ")
    assert remembered(target, "stable") == {}


def test_what_a_killed_copy_leaves_on_this_machine_goes(
    source: DirectoryStore, target: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def left() -> list[Path]:
        return [*(tmp_path / "cache").rglob("*sync-*"), *tmp_path.glob("*sync-*")]

    class Dying(Interfering):
        def put(self, *_: Any, **__: Any) -> str | None:
            os._exit(9)

    dying = Dying(target, 0, nothing_at_all)
    assert in_child(partial(copy, source, dying, survey(source, target))) == 9
    assert left()
    synced(source, target)
    assert left() == []
