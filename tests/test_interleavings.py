"""Another writer at the worst moment: pages are those of the states, and what they name is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mirrors import NOW, Interfering, dangling, nothing_at_all, upstream_file, wheel_change
from packaging.utils import canonicalize_name

from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import Published, amend
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.channels import Reference, promote, rollback
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.merge import Merged
from wheelbuilder.mirror.prune import prune
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import read_commit, read_head
from wheelbuilder.mirror.settle import write
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Store

FOO, BAR = canonicalize_name("foo"), canonicalize_name("bar")
AUTHOR = Author(run="by hand", now=NOW)
WEEK = timedelta(days=7)


class Before(Interfering):
    """A store that does something before its first write of a kind of key."""

    def __init__(self, store: Store, ending: str, action: Callable[[], object]) -> None:
        super().__init__(store, 0, nothing_at_all)
        self._ending = ending
        self._todo = [action]

    def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
        if key.endswith(self._ending) and self._todo:
            self._todo.pop()()
        return super().put(key, data, **options)


class After(Interfering):
    """A store that does something after its first write of a kind of key has found something there."""

    def __init__(self, store: Store, ending: str, action: Callable[[], object]) -> None:
        super().__init__(store, 0, nothing_at_all)
        self._ending = ending
        self._todo = [action]

    def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
        etag = super().put(key, data, **options)
        if key.endswith(self._ending) and etag is None and self._todo:
            self._todo.pop()()
        return etag


class DiesError(Exception):
    """Stands for the death of a writer."""


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    return tmp_path / "built"


def put(store: Store, *changes: Change, channel: str = "stable") -> Published:
    return publish(store, channel, changes, run="", now=NOW)


def empty(store: Store, name: str) -> None:
    project = canonicalize_name(name)
    amend(store, "stable", {project: lambda it: Merged(state=ProjectState(name=it.name))}, run="", now=NOW)


def assert_clean(store: DirectoryStore) -> None:
    findings = audit(store, deep=True)
    assert is_clean(findings), findings
    assert dangling(store.path) == []


def test_a_promotion_that_undoes_what_has_just_been_published(store: DirectoryStore, built: Path) -> None:
    put(store, wheel_change(built))
    put(store, wheel_change(built), wheel_change(built, "bar"), channel="candidate")
    quicker = [wheel_change(built, version="2.0"), wheel_change(built, "baz")]
    slow = Before(store, "stable/head.json", lambda: put(store, *quicker))
    promote(slow, Reference.parse("candidate"), "stable", AUTHOR)
    assert read_head(store, "stable").commit.number == 3
    assert_clean(store)


def test_an_older_listing_that_wins_the_second_race(store: DirectoryStore) -> None:
    def listing(yanked: str | None) -> Change:
        return Change(project=FOO, upstream=(upstream_file(yanked=yanked),))

    put(store, listing(None))
    extra = Change(project=BAR, upstream=(upstream_file("bar-1.0.tar.gz"),))
    slow = Before(store, "stable/head.json", lambda: put(store, listing("bad")))
    put(slow, listing(None), extra)
    assert_clean(store)


def test_a_later_commit_that_changes_back_and_dies(store: DirectoryStore, built: Path) -> None:
    put(store, wheel_change(built), wheel_change(built, "bar"))

    def die() -> None:
        raise DiesError

    def others() -> None:
        put(store, wheel_change(built, "bar", "2.0"))
        with pytest.raises(DiesError):
            rollback(Before(store, "bar/index.html", die), "stable", 2, AUTHOR)

    put(Before(store, "foo/index.html", others), wheel_change(built, version="2.0"))
    assert read_head(store, "stable").commit.number == 4
    assert_clean(store)


@pytest.mark.parametrize("undo", ["rollback", "remove"])
def test_a_writer_slower_than_the_one_that_undoes_it(store: DirectoryStore, built: Path, undo: str) -> None:
    put(store, wheel_change(built, "bar"))
    put(store, wheel_change(built)) if undo == "rollback" else None

    def others() -> None:
        if undo == "rollback":
            rollback(store, "stable", None, AUTHOR)
        else:
            empty(store, "foo")

    put(Before(store, "foo/index.html", others), wheel_change(built, version="2.0"))
    assert_clean(store)


def test_a_prune_between_finding_a_wheel_and_asking_for_it(store: DirectoryStore, built: Path) -> None:
    put(store, wheel_change(built))
    put(store, wheel_change(built, "bar"))
    empty(store, "foo")

    def pruned(days: int) -> None:
        prune(store, commits=1, grace=WEEK, now=NOW + timedelta(days=days))

    pruned(0)
    put(After(store, "foo-1.0-py3-none-any.whl", lambda: pruned(8)), wheel_change(built))
    assert_clean(store)
    assert FOO in read_head(store, "stable").commit.gap


def dying(store: Store, action: Callable[[], object], ending: str) -> Interfering:
    """A store whose writer is overtaken right before it changes a kind of key, and dies right after that."""

    class Dying(Interfering):
        def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
            if not key.endswith(ending):
                return super().put(key, data, **options)
            action()
            super().put(key, data, **options)
            raise DiesError

        def delete(self, keys: Iterable[str]) -> None:
            action()
            super().delete(keys)
            raise DiesError

    return Dying(store, 0, nothing_at_all)


@pytest.mark.parametrize("what", ["put back", "created", "deleted"])
def test_a_page_that_an_overtaken_writer_changes_and_dies(
    store: DirectoryStore, built: Path, what: str
) -> None:
    """The next run puts it right, though it has nothing new and the newest commit is kept."""
    put(store, wheel_change(built), wheel_change(built, "bar"))
    back = partial(rollback, store, "stable", 1, AUTHOR)
    deeds: dict[str, Callable[[Callable[[str], Store]], object]] = {
        "put back": lambda it: put(it("simple/foo/index.html"), wheel_change(built, version="2.0")),
        "created": lambda it: put(it("simple/baz/index.html"), wheel_change(built, "baz")),
        "deleted": lambda it: empty(it("nothing"), "foo"),
    }
    with pytest.raises(DiesError):
        deeds[what](partial(dying, store, back))
    assert not is_clean(audit(store, patience=0.0))
    put(store)
    assert_clean(store)


def test_pages_that_went_back_are_looked_at_until_nobody_can_be_on_the_way(
    store: DirectoryStore, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls() -> int:
        counting = Interfering(store, 0, nothing_at_all)
        put(counting)
        return counting.count

    put(store, wheel_change(built), wheel_change(built, "bar"))
    put(store, wheel_change(built, version="2.0"))
    assert calls() == 2
    rollback(store, "stable", 1, AUTHOR)
    assert [calls(), calls()] == [8, 8]  # also the state of foo, its four pages, and the head once more
    monkeypatch.setattr("wheelbuilder.mirror.trail.MEMORY", timedelta(0))
    assert [calls(), calls()] == [9, 2]
    assert_clean(store)


def test_a_head_that_was_moved_back_is_put_forward_again(store: DirectoryStore, built: Path) -> None:
    """As by a write that a store carried out long after it was sent."""
    put(store, wheel_change(built))
    older = store.get("channels/stable/head.json")
    put(store, wheel_change(built, "bar"))
    assert older and write(store, "channels/stable/head.json", older.data)
    assert put(store, wheel_change(built, "baz")).number == 3
    kept = read_commit(store, "stable", 2)
    assert kept and BAR in kept.projects
    assert read_head(store, "stable").commit.gap == {FOO, BAR, canonicalize_name("baz")}
    assert_clean(store)


class Leased(Interfering):
    """A store whose writes have no conditions of its own."""

    arbitrates = False


@pytest.mark.parametrize("kept", [True, False])
def test_a_head_of_a_writer_long_dead_takes_no_commit_with_it(
    store: DirectoryStore, built: Path, kept: bool
) -> None:
    """Where a lease stands in: its number may even be that of the commit that is kept."""
    put(store, wheel_change(built))
    dead = DirectoryStore(store.path.parent / "dead")
    shutil.copytree(store.path, dead.path)
    put(dead, wheel_change(built, "dead"))
    late = dead.get("channels/stable/head.json")
    put(store, wheel_change(built, "bar"))
    if not kept:
        put(store, wheel_change(built, "more"))
    assert late and write(store, "channels/stable/head.json", late.data)
    put(Leased(store, 0, nothing_at_all), wheel_change(built, "baz"))
    names = ("foo", "bar", "baz") if kept else ("foo", "bar", "baz", "more")
    assert read_head(store, "stable").commit.gap == set(map(canonicalize_name, names))
    assert_clean(store)


@pytest.mark.parametrize("after", ["head.json", "bar/index.html", "commits/2.json"])
def test_a_head_that_is_moved_back_while_its_pages_are_written(
    store: DirectoryStore, built: Path, after: str
) -> None:
    put(store, wheel_change(built))
    older = (store.path / "channels/stable/head.json").read_bytes()

    class Late(Interfering):
        todo = 1

        def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
            etag = super().put(key, data, **options)
            if key.endswith(after) and self.todo:
                self.todo = 0
                write(store, "channels/stable/head.json", older)
            return etag

    assert BAR in put(Late(store, 0, nothing_at_all), wheel_change(built, "bar")).commit.gap
    put(Leased(store, 0, nothing_at_all), wheel_change(built, "baz"))
    assert read_head(store, "stable").commit.gap == {FOO, BAR, canonicalize_name("baz")}
    assert_clean(store)


def test_a_writer_whose_commit_was_replaced_by_another_of_its_number_publishes_again(
    store: DirectoryStore, built: Path
) -> None:
    """Where two writers have moved the head at once: one of them is in the history, and the other follows."""
    put(store, wheel_change(built))
    other = DirectoryStore(store.path.parent / "other")
    shutil.copytree(store.path, other.path)
    put(other, wheel_change(built, "other"))
    theirs = other.get("channels/stable/head.json")

    def replaced() -> None:
        assert theirs
        for kind in ("states", "files"):
            shutil.copytree(other.path / kind, store.path / kind, dirs_exist_ok=True)
        write(store, "channels/stable/head.json", theirs.data)
        put(store)

    published = put(Before(store, "bar/index.html", replaced), wheel_change(built, "bar"))
    assert published.commit.gap == {FOO, BAR, canonicalize_name("other")}
    assert_clean(store)
