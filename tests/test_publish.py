from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mirrors import (
    LATER,
    NOW,
    Interfering,
    dangling,
    in_child,
    listed_blobs,
    nothing_at_all,
    pages,
    snapshot,
    start_child,
    upstream_file,
    wheel_change,
)
from packaging.utils import canonicalize_name
from tinywheel import make_wheel

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.mirror.amend import Published, amend
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import View, blob_key, page_key
from wheelbuilder.mirror.merge import Merged, Refused
from wheelbuilder.mirror.publish import Change, publish, remember
from wheelbuilder.mirror.read import contents, read_head
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.wheels import read_wheel

FOO = canonicalize_name("foo")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the wait for disks: what a dead process wrote, unlike a dead machine, the kernel still has."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the operations of a store come in the same order every time, so that each can be the last."""
    monkeypatch.setattr("wheelbuilder.mirror.store.WORKERS", 1)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    return tmp_path / "built"


def put(store: Store, *changes: Change, channel: str = "stable") -> Published:
    return publish(store, channel, changes, run="run-1", now=NOW)


def filenames(store: Store, channel: str = "stable") -> set[str]:
    return {file.filename for files in contents(store, channel).projects.values() for file in files}


def assert_clean(store: DirectoryStore) -> None:
    findings = audit(store, deep=True)
    assert is_clean(findings), findings
    assert dangling(store.path) == []


class TestPublish:
    def test_a_wheel_appears_in_every_place(self, store: DirectoryStore, built: Path) -> None:
        change = wheel_change(built, "Foo.Bar", "1.0+l", requires_python=">=3.8")
        assert put(store, change) == Published(number=1, changed=(canonicalize_name("foo-bar"),))
        (file,) = contents(store, "stable").projects[canonicalize_name("foo-bar")]
        wheel = change.wheels[0]
        assert wheel.path and (store.path / file.url).read_bytes() == wheel.path.read_bytes()
        assert (store.path / f"{file.url}.metadata").read_bytes() == wheel.metadata
        assert (file.requires_python, file.upload_time) == (">=3.8", "2026-01-02T03:04:05Z")
        for view in View:
            page = (store.path / page_key("stable", view, canonicalize_name("foo-bar"))).read_bytes()
            assert file.url in listed_blobs(page)
        assert_clean(store)

    def test_nothing_new_writes_nothing(self, store: DirectoryStore, built: Path) -> None:
        change = wheel_change(built)
        put(store, change, Change(project=FOO, upstream=(upstream_file(),)))
        before = snapshot(store.path)
        assert publish(store, "stable", [change], run="run-2", now=LATER) == Published(number=1)
        assert snapshot(store.path) == before

    def test_a_run_without_changes_reads_two_objects(self, store: DirectoryStore, built: Path) -> None:
        put(store, *(wheel_change(built, name) for name in "abcdefgh"))
        counting = Interfering(store, 0, nothing_at_all)
        put(counting)
        assert counting.calls == [
            ("get", "channels/stable/head.json"),
            ("exists", "channels/stable/commits/1.json"),
        ]

    def test_nothing_at_all_makes_no_channel(self, store: DirectoryStore) -> None:
        assert put(store) == Published(number=0)
        assert not store.path.exists()

    def test_the_upload_time_is_that_of_the_first_publication(
        self, store: DirectoryStore, built: Path
    ) -> None:
        put(store, wheel_change(built))
        publish(store, "stable", [wheel_change(built), wheel_change(built, version="2.0")], run="", now=LATER)
        times = {file.filename: file.upload_time for file in contents(store, "stable").projects[FOO]}
        assert times == {
            "foo-1.0-py3-none-any.whl": "2026-01-02T03:04:05Z",
            "foo-2.0-py3-none-any.whl": "2026-02-03T04:05:06Z",
        }

    def test_only_pages_of_changed_projects_are_written(self, store: DirectoryStore, built: Path) -> None:
        put(store, wheel_change(built, "a"), wheel_change(built, "b"))
        before = snapshot(store.path)
        put(store, wheel_change(built, "a", "2.0"))
        changed = {key for key, value in snapshot(store.path).items() if before.get(key) != value}
        written = {key for key in changed if key.startswith("channels/") and "commits" not in key}
        assert written == {
            "channels/stable/head.json",
            *(page_key("stable", view, canonicalize_name("a")) for view in View),
        }

    def test_the_cost_is_of_what_changed(self, store: DirectoryStore, built: Path) -> None:
        put(store, *(wheel_change(built, f"p{number}") for number in range(30)))
        counting = Interfering(store, 0, nothing_at_all)
        put(counting, wheel_change(built, "p7", "2.0"))
        assert len(counting.calls) <= 12, counting.calls

    def test_a_cache_makes_a_run_with_nothing_new_cost_two_reads(
        self, store: DirectoryStore, built: Path, tmp_path: Path
    ) -> None:
        changes = [wheel_change(built, f"p{number}") for number in range(20)]
        for _ in range(2):
            publish(store, "stable", changes, run="", now=NOW, cache=tmp_path / "cache")
        counting = Interfering(store, 0, nothing_at_all)
        publish(counting, "stable", changes, run="", now=NOW, cache=tmp_path / "cache")
        assert len(counting.calls) == 2

    def test_pages_are_looked_at_where_nobody_has_said_that_they_are_complete(
        self, store: DirectoryStore, built: Path
    ) -> None:
        put(store, wheel_change(built))
        (store.path / "channels/stable/commits/1.json").unlink()
        (store.path / "channels/stable/json/foo/index.html").write_text("damaged")
        put(store)
        assert_clean(store)

    def test_a_channel_whose_head_is_lost_is_not_begun_again(
        self, store: DirectoryStore, built: Path
    ) -> None:
        put(store, wheel_change(built))
        (store.path / "channels/stable/head.json").unlink()
        before = snapshot(store.path)
        with pytest.raises(IntegrityError, match=r"head\.json is missing, but stable has commits"):
            put(store, wheel_change(built, "bar"))
        assert snapshot(store.path) == before

    def test_what_changed_nothing_is_remembered_for_this_commit_only(
        self, store: DirectoryStore, built: Path, tmp_path: Path
    ) -> None:
        theirs = Change(project=FOO, upstream=(upstream_file("foo-1.0-py3-none-any.whl"),))
        changes = [theirs, wheel_change(built)]
        again = partial(publish, store, "stable", changes, run="", now=NOW, cache=tmp_path / "cache")
        first, second = again(), again()
        states = list(tmp_path.glob("cache/states/*"))
        for path in (*states, *store.path.glob("states/*")):
            path.unlink()  # nobody reads them
        assert again() == second
        assert second.refused == first.refused != ()
        put(store, wheel_change(built, "bar"))
        with pytest.raises(IntegrityError, match="is missing"):
            again()

    def test_a_new_machine_learns_from_the_store_that_an_offer_changes_nothing(
        self, store: DirectoryStore, built: Path
    ) -> None:
        taken = upstream_file("foo-1.0-py3-none-any.whl", url="ftp://odd.example.org/")
        names = [canonicalize_name(f"p{number}") for number in range(20)]
        offer = [Change(project=name, upstream=(upstream_file(f"{name}-1.0.tar.gz"),)) for name in names]
        offer.append(Change(project=FOO, upstream=(taken,)))
        first = put(store, *offer)
        put(store, wheel_change(built))
        remember(store, "stable", offer, run="", now=NOW)
        counting = Interfering(store, 0, nothing_at_all)
        again = put(counting, *offer)
        assert [key for _, key in counting.calls] == [
            "channels/stable/head.json",
            "channels/stable/commits/2.json",
            "offers/stable.json",
        ]
        assert (again.changed, again.refused) == ((), first.refused)
        assert_clean(store)
        put(store, wheel_change(built, "p7"))
        counting = Interfering(store, 0, nothing_at_all)
        assert put(counting, *offer).changed == ()
        assert len(counting.calls) > 20  # of another commit nothing is known

    @pytest.mark.parametrize("damage", [b"", b"{}", b'{"schema": 99}'])
    def test_a_damaged_memory_is_none(self, store: DirectoryStore, damage: bytes) -> None:
        offer = Change(project=FOO, upstream=(upstream_file(),))
        put(store, offer)
        remember(store, "stable", [offer], run="", now=NOW)
        (store.path / "offers/stable.json").write_bytes(damage)
        assert put(store, offer) == Published(number=1)

    def test_a_state_that_was_just_written_is_not_read(
        self, store: DirectoryStore, built: Path, tmp_path: Path
    ) -> None:
        put(store, *(wheel_change(built, f"p{number}") for number in range(30)))
        publish(store, "stable", [wheel_change(built, "p7", "2")], run="", now=NOW, cache=tmp_path / "cache")
        counting = Interfering(store, 0, nothing_at_all)
        change = wheel_change(built, "p7", "3")
        publish(counting, "stable", [change], run="", now=NOW, cache=tmp_path / "cache")
        assert len(counting.calls) <= 11, counting.calls

    def test_a_folder_where_a_page_belongs_is_an_error_not_a_loop(
        self, store: DirectoryStore, built: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wheelbuilder.mirror.settle.MOST_ROUNDS", 3)
        (store.path / "channels/stable/json/foo/index.html").mkdir(parents=True)
        with pytest.raises(UnreachableError, match="pages of stable cannot be replaced"):
            put(store, wheel_change(built))

    def test_upstream_only_makes_no_gap_page(self, store: DirectoryStore) -> None:
        put(store, Change(project=FOO, upstream=(upstream_file(),)))
        assert not (store.path / "channels/stable/simple/foo").exists()
        assert (store.path / "channels/stable/whole/foo/index.html").exists()
        assert contents(store, "stable").projects == {}
        assert_clean(store)

    def test_other_versions_of_upstream_stay_and_the_same_are_replaced(self, store: DirectoryStore) -> None:
        put(store, Change(project=FOO, upstream=(upstream_file("foo-1.0.tar.gz"),)))
        put(store, Change(project=FOO, upstream=(upstream_file("foo-2.0.tar.gz"),)))
        put(store, Change(project=FOO, upstream=(upstream_file("foo-2.0.tar.gz", yanked="bad"),)))
        page = (store.path / "channels/stable/whole/foo/index.html").read_text()
        assert page.count("<a ") == 2 and page.count('data-yanked="bad"') == 1

    @pytest.mark.parametrize(
        "spelled",
        [
            "Same.Pkg-1.0-py3-none-any.whl",
            "same_pkg-01.0.0-py3-none-any.whl",
            "same_pkg-1.0-PY3-none-any.whl",
        ],
    )
    @pytest.mark.parametrize("whose", ["ours", "theirs", "taken later"])
    def test_one_wheel_under_two_spellings(
        self, store: DirectoryStore, built: Path, spelled: str, whose: str
    ) -> None:
        """Installers take them for one, so that which bytes they get would be left to chance."""
        first = wheel_change(built, "same-pkg")
        path = make_wheel(built / "other", "same-pkg", body="other = True")
        other = Change(project=first.project, wheels=(read_wheel(path.rename(path.with_name(spelled))),))
        theirs = Change(project=first.project, upstream=(upstream_file(spelled),))
        put(store, first if whose != "theirs" else theirs)
        tried = {"ours": other, "theirs": first, "taken later": theirs}[whose]
        done = put(store, tried)
        assert [it.filename for it in done.refused] == {
            "ours": [spelled],
            "theirs": [first.wheels[0].filename],
            "taken later": [],
        }[whose]
        assert all(f"as {spelled}, with other bytes" in it.reason for it in done.refused if whose == "theirs")
        assert filenames(store) == ({first.wheels[0].filename} if whose == "ours" else set())
        found = audit(store)
        assert is_clean(found) and len(found) == (whose == "taken later")

    def test_wheels_that_installers_tell_apart_stand_side_by_side(
        self, store: DirectoryStore, built: Path
    ) -> None:
        put(store, Change(project=FOO, upstream=(upstream_file("foo-1.0-py3-none-any.whl"),)))
        changes = [
            wheel_change(built, "foo", build="1"),
            wheel_change(built, "foo", tag="py2-none-any"),
            wheel_change(built, "foo", "1.0+local"),
        ]
        assert not put(store, *changes).refused and len(filenames(store)) == 3

    def test_channels_share_blobs_and_nothing_else(self, store: DirectoryStore, built: Path) -> None:
        put(store, wheel_change(built), channel="candidate")
        put(store, wheel_change(built), wheel_change(built, "bar"), channel="stable")
        assert filenames(store, "candidate") == {"foo-1.0-py3-none-any.whl"}
        assert len(list((store.path / "files").iterdir())) == 2
        assert_clean(store)

    def test_a_worker_may_have_stored_the_blob(self, store: DirectoryStore, built: Path) -> None:
        wheel = wheel_change(built).wheels[0]
        assert wheel.path
        key = f"files/{wheel.sha256}/{wheel.filename}"
        remote = read_wheel(wheel.path)
        remote = type(remote)(
            filename=wheel.filename, sha256=wheel.sha256, size=wheel.size, metadata=wheel.metadata
        )
        with pytest.raises(IntegrityError, match="is not in the store"):
            put(store, Change(project=FOO, wheels=(remote,)))
        assert read_head(store, "stable").commit.number == 0
        store.put(key, wheel.path, content_type="", cache_control="")
        put(store, Change(project=FOO, wheels=(remote,)))
        assert_clean(store)

    def test_the_commits_are_a_chain(self, store: DirectoryStore, built: Path) -> None:
        for version in ("1", "2", "3"):
            put(store, wheel_change(built, version=version))
        assert sorted(path.name for path in (store.path / "channels/stable/commits").iterdir()) == [
            "1.json",
            "2.json",
            "3.json",
        ]
        assert_clean(store)

    def test_an_emptied_project_loses_its_pages_but_nothing_else(
        self, store: DirectoryStore, built: Path
    ) -> None:
        put(store, wheel_change(built), wheel_change(built, "bar"))
        before = set(snapshot(store.path))
        amend(
            store, "stable", {FOO: lambda state: Merged(state=ProjectState(name=state.name))}, run="", now=NOW
        )
        gone = before - set(snapshot(store.path))
        assert gone == {page_key("stable", view, FOO) for view in View}
        assert "foo" not in (store.path / "channels/stable/simple/index.html").read_text()
        assert_clean(store)

    @pytest.mark.parametrize("channel", ["", "..", "a/b", "A", ".x", "a b", "ä", "a\n"])
    def test_a_bad_channel_is_refused(self, store: DirectoryStore, channel: str) -> None:
        with pytest.raises(ConfigurationError, match="not a channel name"):
            put(store, channel=channel)
        with pytest.raises(ConfigurationError, match="not a channel name"):
            contents(store, channel)

    def test_a_local_cache_spares_reading_states(
        self, store: DirectoryStore, built: Path, tmp_path: Path
    ) -> None:
        put(store, wheel_change(built))
        first = contents(store, "stable", cache=tmp_path / "cache")
        counting = Interfering(store, 0, nothing_at_all)
        assert contents(counting, "stable", cache=tmp_path / "cache") == first
        assert [key for _, key in counting.calls] == ["channels/stable/head.json"]


class TestRefusal:
    def test_a_name_that_upstream_serves_with_other_bytes(self, store: DirectoryStore, built: Path) -> None:
        change = wheel_change(built)
        theirs = upstream_file("foo-1.0-py3-none-any.whl")
        published = put(store, change, Change(project=FOO, upstream=(theirs,)))
        (refused,) = published.refused
        assert refused.filename == "foo-1.0-py3-none-any.whl" and "upstream serves" in refused.reason
        assert filenames(store) == set() and not (store.path / "files").exists()

    def test_it_is_remembered_for_later_runs(self, store: DirectoryStore, built: Path) -> None:
        put(store, Change(project=FOO, upstream=(upstream_file("foo-1.0-py3-none-any.whl"),)))
        assert put(store, wheel_change(built)).refused
        assert not put(store, wheel_change(built, build="1")).refused
        assert filenames(store) == {"foo-1.0-1-py3-none-any.whl"}
        assert_clean(store)

    def test_upstreams_own_bytes_are_no_shadow(self, store: DirectoryStore, built: Path) -> None:
        change = wheel_change(built)
        theirs = upstream_file("foo-1.0-py3-none-any.whl", sha256=change.wheels[0].sha256)
        assert not put(store, change, Change(project=FOO, upstream=(theirs,))).refused

    def test_the_first_wins_over_other_bytes_under_its_name(self, store: DirectoryStore, built: Path) -> None:
        first = wheel_change(built / "1", body="X = 1")
        put(store, first)
        second = put(store, wheel_change(built / "2", body="X = 2"))
        assert [refused.filename for refused in second.refused] == ["foo-1.0-py3-none-any.whl"]
        assert "first one stays" in second.refused[0].reason and second.number == 1
        (file,) = contents(store, "stable").projects[FOO]
        assert file.sha256 == first.wheels[0].sha256

    def test_two_in_one_publication(self, store: DirectoryStore, built: Path) -> None:
        published = put(
            store, wheel_change(built / "1", body="X = 1"), wheel_change(built / "2", body="X = 2")
        )
        assert len(published.refused) == 1 and published.changed == (FOO,)
        assert_clean(store)

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"sha256": ""}, "no SHA-256"),
            ({"url": "foo.tar.gz"}, "absolute"),
            ({"url": "javascript://x/%0aalert(1)"}, "absolute"),
            ({"url": 'https://x/"'}, "absolute"),
            ({"url": "https://x/\ud800"}, "absolute"),
            ({"filename": "../foo.whl"}, "file name"),
            ({"filename": "a\nb.whl"}, "file name"),
            ({"filename": ""}, "file name"),
        ],
    )
    def test_what_of_upstreams_would_spoil_a_page(
        self, store: DirectoryStore, values: dict[str, str], reason: str
    ) -> None:
        good = upstream_file("foo-2.0.tar.gz")
        filename = values.pop("filename", "foo-1.0.tar.gz")
        published = put(store, Change(project=FOO, upstream=(upstream_file(filename, **values), good)))
        assert published.refused == (
            Refused(
                filename=filename, sha256=values.get("sha256", "c" * 64), reason=published.refused[0].reason
            ),
        )
        assert reason in published.refused[0].reason
        assert_clean(store)

    def test_a_wheel_of_another_project(self, store: DirectoryStore, built: Path) -> None:
        with pytest.raises(IntegrityError, match="is not a wheel of foo"):
            put(store, Change(project=FOO, wheels=wheel_change(built, "bar").wheels))
        assert not store.path.exists()

    def test_bytes_that_changed_since_they_were_read(self, store: DirectoryStore, built: Path) -> None:
        change = wheel_change(built)
        make_wheel(built, "foo", body="changed = True")
        with pytest.raises(IntegrityError, match="does not have the digest"):
            put(store, change)
        assert not store.path.exists()


class TestReadWheel:
    def test_metadata_is_taken_byte_for_byte(self, tmp_path: Path) -> None:
        raw = b"Metadata-Version: 2.1\r\nName: foo\r\nVersion: 1.0\r\nRequires-Python: >=3.9\r\nX: \xff\r\n"
        wheel = read_wheel(make_wheel(tmp_path, "foo", metadata=raw))
        assert wheel.metadata == raw and wheel.requires_python == ">=3.9"

    @pytest.mark.parametrize(
        "metadata",
        [b"", b"Name: bar\nVersion: 1.0\n", b"Name: foo\nVersion: 2.0\n", b"Name: foo\nVersion: x\n"],
    )
    def test_metadata_of_another_wheel(self, tmp_path: Path, metadata: bytes) -> None:
        with pytest.raises(IntegrityError, match=r"its METADATA says"):
            read_wheel(make_wheel(tmp_path, "foo", metadata=metadata))

    @pytest.mark.parametrize(
        "name",
        [
            "foo.whl",
            "foo-1.0-py3-none-any.zip",
            "foo-1.0-py3-none-linux_x86_64.whl",
            'f"o-1-py3-none-any.whl',
        ],
    )
    def test_names_that_are_not_published(self, tmp_path: Path, name: str) -> None:
        path = make_wheel(tmp_path, "foo").rename(tmp_path / name)
        with pytest.raises(IntegrityError):
            read_wheel(path)

    def test_renamed_to_another_version(self, tmp_path: Path) -> None:
        path = make_wheel(tmp_path, "foo").rename(tmp_path / "foo-2.0-py3-none-any.whl")
        with pytest.raises(IntegrityError, match="must have one foo-2"):
            read_wheel(path)

    @pytest.mark.parametrize("damage", [lambda _: b"", lambda data: data[:100], lambda data: data[:-30]])
    def test_broken_archives(self, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
        path = make_wheel(tmp_path, "foo")
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(IntegrityError, match="not a zip archive"):
            read_wheel(path)

    def test_a_flipped_byte_of_metadata(self, tmp_path: Path) -> None:
        path = make_wheel(tmp_path, "foo")
        path.write_bytes(path.read_bytes().replace(b"Name: foo", b"Name: fop"))
        with pytest.raises(IntegrityError, match="not a zip archive"):
            read_wheel(path)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(IntegrityError, match="cannot be read"):
            read_wheel(tmp_path / "foo-1.0-py3-none-any.whl")


def two_projects(built: Path) -> tuple[Change, ...]:
    return (
        wheel_change(built, "foo", "2.0"),
        Change(project=canonicalize_name("bar"), upstream=(upstream_file("bar-1.0.tar.gz"),)),
    )


def operations(tmp_path: Path, prepare: Callable[[Store], object], act: Callable[[Store], object]) -> int:
    """Return how many store operations an act takes."""
    counting = Interfering(DirectoryStore(tmp_path / "counted"), 0, nothing_at_all)
    prepare(counting.store)
    act(counting)
    return counting.count


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.integration
class TestDeath:
    """A writer that dies at any operation of the store leaves nothing that the next run does not repair."""

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_while_publishing(self, tmp_path: Path, built: Path, after: bool) -> None:
        first, changes = wheel_change(built, "foo", "1.0"), two_projects(built)
        total = operations(tmp_path, lambda store: put(store, first), lambda store: put(store, *changes))
        assert total > 12
        for at in range(1, total + 1):
            store = DirectoryStore(tmp_path / f"store-{at}")
            put(store, first)
            dying = Interfering(store, at, partial(os._exit, 9), after=after)
            assert in_child(partial(put, dying, *changes)) == 9
            assert dangling(store.path) == []
            committed = filenames(store)
            assert "foo-1.0-py3-none-any.whl" in committed
            put(store)
            assert_clean(store)
            assert filenames(store) == committed
            put(store, *changes)
            assert_clean(store)
            assert filenames(store) == {"foo-1.0-py3-none-any.whl", "foo-2.0-py3-none-any.whl"}

    def test_while_the_very_first_is_published(self, tmp_path: Path, built: Path) -> None:
        change = wheel_change(built)
        total = operations(tmp_path, nothing, lambda store: put(store, change))
        for at in range(1, total + 1):
            store = DirectoryStore(tmp_path / f"store-{at}")
            dying = Interfering(store, at, partial(os._exit, 9))
            assert in_child(partial(put, dying, change)) == 9
            put(store, change)
            assert_clean(store)

    def test_while_a_project_is_emptied(self, tmp_path: Path, built: Path) -> None:
        def prepare(store: Store) -> None:
            put(store, wheel_change(built), wheel_change(built, "bar"))

        def empty(store: Store) -> None:
            edit = {FOO: lambda state: Merged(state=ProjectState(name=state.name))}
            amend(store, "stable", edit, run="", now=NOW)

        for at in range(1, operations(tmp_path, prepare, empty) + 1):
            store = DirectoryStore(tmp_path / f"store-{at}")
            prepare(store)
            dying = Interfering(store, at, partial(os._exit, 9))
            assert in_child(partial(empty, dying)) == 9
            put(store)
            assert_clean(store)


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.integration
class TestRace:
    def test_another_writer_at_any_moment(self, tmp_path: Path, built: Path) -> None:
        mine = (wheel_change(built, "foo", "1.0"), wheel_change(built, "mine"))
        other = (wheel_change(built, "foo", "2.0"), wheel_change(built, "other"))
        first = wheel_change(built, "foo", "0.1")

        def prepare(store: Store) -> None:
            put(store, first)

        total = operations(tmp_path, prepare, lambda store: put(store, *mine))
        for at in range(1, total + 1):
            store = DirectoryStore(tmp_path / f"store-{at}")
            prepare(store)
            interfering = Interfering(store, at, partial(put, store, *other))
            assert not put(interfering, *mine).refused
            expected = {"foo-0.1", "foo-1.0", "foo-2.0", "mine-1.0", "other-1.0"}
            assert filenames(store) == {f"{name}-py3-none-any.whl" for name in expected}
            assert_clean(store)

    def test_of_two_with_one_name_the_loser_is_told(self, tmp_path: Path, built: Path) -> None:
        mine, other = wheel_change(built / "1", body="X = 1"), wheel_change(built / "2", body="X = 2")
        total = operations(tmp_path, nothing, lambda store: put(store, mine))
        lost = 0
        for at in range(1, total + 1):
            store = DirectoryStore(tmp_path / f"store-{at}")
            theirs: list[Published] = []
            interfering = Interfering(store, at, partial(_append, theirs, store, other))
            results = (put(interfering, mine), *theirs)
            assert sorted(len(result.refused) for result in results) == [0, 1]
            lost += bool(results[0].refused)
            assert_clean(store)
        assert 0 < lost < total

    @pytest.mark.parametrize("more", [2, 9, 11, 13, 16])
    def test_a_page_is_never_replaced_by_an_older_one(self, tmp_path: Path, built: Path, more: int) -> None:
        """A writer stalls at each operation while another publishes, and dies a little later."""
        mine, other = wheel_change(built, "foo", "1.0"), wheel_change(built, "foo", "2.0")
        total = operations(tmp_path, nothing, lambda store: put(store, mine))
        for at in range(1, total + 1):
            store = DirectoryStore(tmp_path / f"store-{at}")
            dying = Interfering(store, at + more, partial(os._exit, 9))
            stalling = Interfering(dying, at, partial(put, store, other))
            in_child(partial(put, stalling, mine))
            for view in View:
                page = (store.path / page_key("stable", view, FOO)).read_bytes()
                assert any("foo-2.0" in key for key in listed_blobs(page)), (at, view)

    def test_what_a_dying_writer_left_is_rendered_by_one_at_work(self, tmp_path: Path, built: Path) -> None:
        mine, other = wheel_change(built, "mine"), wheel_change(built, "other")

        class DyingAtHead(Interfering):
            def put(self, key: str, data: bytes | Path, **options: Any) -> str | None:
                etag = self.store.put(key, data, **options)
                if key.endswith("head.json") and etag:
                    os._exit(9)
                return etag

        counting = Interfering(DirectoryStore(tmp_path / "counted"), 0, nothing_at_all)
        put(counting, mine)
        marked = counting.calls.index(("put", "channels/stable/commits/1.json"))
        for at in range(1, marked + 1):
            store = DirectoryStore(tmp_path / f"store-{at}")
            dying = DyingAtHead(store, 0, nothing_at_all)
            die = partial(in_child, partial(put, dying, other))
            put(Interfering(store, at, die), mine)
            assert filenames(store) == {"mine-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl"}
            assert_clean(store)

    def test_four_processes_lose_nothing_while_a_reader_looks(self, tmp_path: Path) -> None:
        rounds, writers = 10, 4
        root = tmp_path / "store"

        def write(number: int) -> None:
            store = DirectoryStore(root)
            for turn in range(rounds):
                names = random.Random(f"{number}{turn}").sample(["a", "b", "c", "d"], 2)
                changes = [
                    wheel_change(tmp_path / f"built-{number}", name, f"{turn}.{number}") for name in names
                ]
                assert not put(store, *changes).refused
                with (tmp_path / f"told-{number}").open("a") as told:
                    told.writelines(f"{change.wheels[0].filename}\n" for change in changes)

        running = {start_child(partial(write, number)) for number in range(writers)}
        seen: dict[Path, set[str]] = {}
        looks = 0
        deadline = time.monotonic() + 60
        while running and time.monotonic() < deadline:
            for page in pages(root):
                blobs = listed_blobs(page.read_bytes())
                assert all((root / key).exists() for key in blobs)
                assert seen.get(page, set()) <= blobs, f"{page} went back in time"
                seen[page] = blobs
            looks += 1
            for child in sorted(running):
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    assert os.waitstatus_to_exitcode(status) == 0
                    running.remove(child)
        assert not running and looks > 10
        told = {
            line for number in range(writers) for line in (tmp_path / f"told-{number}").read_text().split()
        }
        assert len(told) == rounds * writers * 2
        store = DirectoryStore(root)
        assert filenames(store) == told
        assert_clean(store)


def nothing(_: Store) -> None:
    """An empty store is what is wanted."""


def _append(results: list[Published], store: Store, change: Change) -> None:
    results.append(put(store, change))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut off": lambda data: data[:-1],
    "one byte": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}


class TestWhatIsThereAlreadyIsDamaged:
    """A wheel or a state that was left in the store is named after its digest, but does not have it."""

    @pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
    @pytest.mark.parametrize("left", ["files/*/*.whl", "files/*/*.metadata", "states/*.json"])
    def test_the_bytes_at_hand_take_its_place(
        self, store: DirectoryStore, built: Path, left: str, damage: Callable[[bytes], bytes]
    ) -> None:
        foo, bar = wheel_change(built), wheel_change(built, "bar")
        put(store, foo, channel="other")
        orphans = set(store.path.glob(left))
        put(store, bar)
        for path in orphans:
            path.write_bytes(damage(path.read_bytes()))
        put(store, foo)
        assert filenames(store) == {change.wheels[0].filename for change in (foo, bar)}
        assert_clean(store)

    def test_whole_objects_are_not_written_again(self, store: DirectoryStore, built: Path) -> None:
        put(store, wheel_change(built), channel="other")
        before = {key: it for key, it in snapshot(store.path).items() if key.startswith(("files", "states"))}
        assert before
        put(store, wheel_change(built))
        after = snapshot(store.path)
        assert {key: after[key] for key in before} == before


class TestUpstreamTakesAName:
    """Upstream uploads a file under a name that we have published: ours steps back, its bytes stay."""

    def test_pages_and_planner_forget_ours(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path / "store")
        change = wheel_change(tmp_path, "foo", "1.0")
        publish(store, "stable", [change], run="", now=NOW)
        name = change.wheels[0].filename
        theirs = Change(project=change.project, upstream=(upstream_file(name),))
        assert publish(store, "stable", [theirs], run="", now=LATER).changed == ("foo",)
        assert "foo" not in contents(store, "stable").projects
        assert not (store.path / page_key("stable", View.GAP, change.project)).exists()
        whole = (store.path / page_key("stable", View.WHOLE, change.project)).read_text()
        assert whole.count(name) >= 1 and "up.example.org" in whole and "../files/" not in whole
        assert (store.path / blob_key(change.wheels[0].sha256, name)).exists()
        assert is_clean(audit(store, deep=True))

    def test_the_same_bytes_stay(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path / "store")
        change = wheel_change(tmp_path, "foo", "1.0")
        wheel = change.wheels[0]
        same = Change(project=change.project, upstream=(upstream_file(wheel.filename, sha256=wheel.sha256),))
        publish(store, "stable", [change, same], run="", now=NOW)
        assert contents(store, "stable").projects[FOO][0].filename == wheel.filename
