from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mirrors import (
    LATER,
    NOW,
    Interfering,
    dangling,
    in_child,
    listed_blobs,
    nothing_at_all,
    upstream_file,
    wheel_change,
)
from mirrors import snapshot as files_of
from packaging.utils import canonicalize_name

from wheelbuilder.cli.main import wheelbuilder
from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import amend
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.channels import (
    Difference,
    Kind,
    Reference,
    channel_names,
    diff,
    promote,
    resolve,
    rollback,
)
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import View, commit_key, page_key, snapshot_page_key, snapshots_key
from wheelbuilder.mirror.merge import Merged
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import contents, read_head, read_states
from wheelbuilder.mirror.snapshots import drop, keys, snapshots, take
from wheelbuilder.mirror.states import ProjectState

FOO, BAR = canonicalize_name("foo"), canonicalize_name("bar")
AUTHOR = Author(run="by hand", now=LATER, note="why")
WHEEL = "foo-{}-py3-none-any.whl"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """A candidate channel with three commits."""
    made, built = DirectoryStore(tmp_path / "store"), tmp_path / "built"
    for version in ("1.0", "2.0"):
        publish(made, "candidate", [wheel_change(built, version=version)], run="", now=NOW)
    both = [wheel_change(built, "bar"), Change(project=FOO, upstream=(upstream_file(),))]
    publish(made, "candidate", both, run="", now=NOW)
    return made


def filenames(store: DirectoryStore, channel: str) -> set[str]:
    return {file.filename for files in contents(store, channel).projects.values() for file in files}


def assert_clean(store: DirectoryStore) -> None:
    findings = audit(store, deep=True)
    assert is_clean(findings), findings
    assert dangling(store.path) == []


class TestReference:
    def test_a_channel_or_one_of_its_commits(self) -> None:
        assert Reference.parse("stable") == Reference(channel="stable")
        assert Reference.parse("stable-2.0@12") == Reference(channel="stable-2.0", number=12)
        assert str(Reference.parse("stable@12")) == "stable@12"

    @pytest.mark.parametrize(
        "text", ["stable@", "stable@0", "stable@x", "stable@-1", "stable@1@2", "st able", "@1", "stable@²"]
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationError):
            Reference.parse(text)

    def test_what_does_not_exist_is_said_with_what_does(self, store: DirectoryStore) -> None:
        with pytest.raises(ConfigurationError, match="no channel 'stable'") as error:
            resolve(store, Reference(channel="stable"))
        assert error.value.hint == "Its channels: candidate."
        with pytest.raises(ConfigurationError, match="candidate@9 is not kept") as error:
            resolve(store, Reference.parse("candidate@9"))
        assert error.value.hint == "candidate keeps the commits 1 to 3."
        (store.path / commit_key("candidate", 2)).unlink()
        with pytest.raises(ConfigurationError) as error:
            resolve(store, Reference.parse("candidate@2"))
        assert error.value.hint == "candidate keeps the commits 1, 3."


class TestPromote:
    def test_only_a_commit_and_pages_are_written(self, store: DirectoryStore) -> None:
        before = files_of(store.path)
        head, changed = promote(store, Reference.parse("candidate"), "stable", AUTHOR)
        assert (head.commit.number, head.commit.note, changed) == (1, "why", True)
        new = {key for key in files_of(store.path) if key not in before}
        assert {key.split("/")[1] for key in new if not key.startswith(".")} == {"stable"}
        assert filenames(store, "stable") == filenames(store, "candidate")
        assert_clean(store)

    def test_what_the_target_held_gives_way(self, store: DirectoryStore, tmp_path: Path) -> None:
        publish(store, "stable", [wheel_change(tmp_path / "b", "old")], run="", now=NOW)
        promote(store, Reference.parse("candidate@1"), "stable", AUTHOR)
        assert filenames(store, "stable") == {WHEEL.format("1.0")}
        assert not (store.path / page_key("stable", View.GAP, canonicalize_name("old"))).exists()
        assert_clean(store)

    def test_the_same_again_writes_nothing(self, store: DirectoryStore) -> None:
        promote(store, Reference.parse("candidate"), "stable", AUTHOR)
        before = files_of(store.path)
        _, changed = promote(store, Reference.parse("candidate"), "stable", AUTHOR)
        assert not changed
        assert files_of(store.path) == before

    def test_a_death_at_any_operation_is_completed_by_the_next_run(self, store: DirectoryStore) -> None:
        counting = Interfering(store, 0, nothing_at_all)
        promote(counting, Reference.parse("candidate"), "counted", AUTHOR)
        for at in range(1, counting.count + 1):
            channel = f"stable-{at}"
            dying = Interfering(store, at, partial(os._exit, 9))
            publishing = partial(promote, dying, Reference.parse("candidate"), channel, AUTHOR)
            assert in_child(publishing) == 9
            promote(store, Reference.parse("candidate"), channel, AUTHOR)
        assert_clean(store)


class TestRollback:
    def test_the_channel_holds_again_what_it_held(self, store: DirectoryStore) -> None:
        head, changed = rollback(store, "candidate", 1, AUTHOR)
        assert (head.commit.number, changed) == (4, True)
        assert filenames(store, "candidate") == {WHEEL.format("1.0")}
        assert_clean(store)
        rollback(store, "candidate", None, AUTHOR)
        assert (
            read_head(store, "candidate").commit.projects
            == resolve(store, Reference.parse("candidate@3")).projects
        )
        assert_clean(store)

    def test_there_must_be_something_to_go_back_to(self, store: DirectoryStore) -> None:
        promote(store, Reference.parse("candidate"), "stable", AUTHOR)
        with pytest.raises(ConfigurationError, match="no earlier commit"):
            rollback(store, "stable", None, AUTHOR)


@pytest.mark.parametrize("ending", [".whl", ".whl.metadata"])
def test_a_commit_whose_files_are_lost_is_not_brought_back(store: DirectoryStore, ending: str) -> None:
    edit = {FOO: lambda it: Merged(state=ProjectState(name=it.name))}
    amend(store, "candidate", edit, run="", now=NOW)
    next(store.path.glob(f"files/*/foo-2.0*{ending}")).unlink()
    before = files_of(store.path)
    with pytest.raises(IntegrityError, match="which that commit lists, is missing"):
        rollback(store, "candidate", 3, AUTHOR)
    with pytest.raises(IntegrityError, match="which that commit lists, is missing"):
        promote(store, Reference.parse("candidate@3"), "stable", AUTHOR)
    assert files_of(store.path) == before
    rollback(store, "candidate", 1, AUTHOR)


def test_a_commit_whose_state_only_this_machine_has_is_not_brought_back(
    store: DirectoryStore, tmp_path: Path
) -> None:
    read_states(store, read_head(store, "candidate").commit.projects, cache=tmp_path / "cache")
    for path in store.path.glob("states/*.json"):
        path.unlink()
    with pytest.raises(IntegrityError, match=r"states/.*, which that commit lists, is missing"):
        promote(store, Reference.parse("candidate"), "stable", AUTHOR, cache=tmp_path / "cache")
    assert channel_names(store) == ("candidate",)


class TestDiff:
    def test_files_that_came_and_went(self, store: DirectoryStore) -> None:
        one, three = (resolve(store, Reference.parse(f"candidate@{number}")) for number in (1, 3))
        assert diff(store, one, three) == (
            Difference(project=BAR, filename="bar-1.0-py3-none-any.whl", kind=Kind.ADDED, ours=True),
            Difference(project=FOO, filename="foo-1.0.tar.gz", kind=Kind.ADDED, ours=False),
            Difference(project=FOO, filename=WHEEL.format("2.0"), kind=Kind.ADDED, ours=True),
        )
        assert {it.kind for it in diff(store, three, one)} == {Kind.REMOVED}
        assert diff(store, three, three) == ()

    def test_what_changed_about_a_file(self, store: DirectoryStore) -> None:
        yanked = Change(project=FOO, upstream=(upstream_file(yanked="bad"),))
        old = read_head(store, "candidate").commit
        publish(store, "candidate", [yanked], run="", now=LATER)
        (found,) = diff(store, old, read_head(store, "candidate").commit)
        assert (found.kind, found.details) == (Kind.CHANGED, "yanked: None -> bad")


class TestSnapshots:
    def test_its_pages_stay_as_they_are(self, store: DirectoryStore, tmp_path: Path) -> None:
        commit = read_head(store, "candidate").commit
        taken = take(store, "candidate", commit, now=NOW, note="release")
        assert snapshots(store, "candidate") == (taken,)
        tree = {key: value for key, value in files_of(store.path).items() if "/snapshots/3/" in key}
        assert len(tree) == 4 * 3
        publish(store, "candidate", [wheel_change(tmp_path / "b", version="3.0")], run="", now=LATER)
        take(store, "candidate", commit, now=LATER, note="again")
        assert {key: value for key, value in files_of(store.path).items() if "/snapshots/3/" in key} == tree
        assert snapshots(store, "candidate") == (taken,)

    def test_its_links_lead_to_the_blobs(self, store: DirectoryStore) -> None:
        take(store, "candidate", read_head(store, "candidate").commit, now=NOW)
        page = store.path / snapshot_page_key("candidate", 3, View.GAP, FOO)
        hrefs = [part.partition("#")[0] for part in page.read_text().split('href="')[1:]]
        assert len(hrefs) == 2
        assert all((page.parent / href).resolve().is_file() for href in hrefs)
        assert listed_blobs(page.read_bytes())

    def test_removal(self, store: DirectoryStore) -> None:
        before = files_of(store.path)
        take(store, "candidate", read_head(store, "candidate").commit, now=NOW)
        doomed = keys(store, "candidate", 3)
        assert len(doomed) == 12
        drop(store, "candidate", 3)
        after = files_of(store.path)
        assert {key for key in after if key not in before} == {snapshots_key("candidate")}
        with pytest.raises(ConfigurationError, match="no snapshot 3"):
            keys(store, "candidate", 3)

    def test_a_damaged_list_is_named(self, store: DirectoryStore) -> None:
        take(store, "candidate", read_head(store, "candidate").commit, now=NOW)
        path = store.path / snapshots_key("candidate")
        path.write_text(path.read_text().replace("2026", "2027"))
        with pytest.raises(IntegrityError, match=r"snapshots\.json is damaged"):
            snapshots(store, "candidate")


class TestCommands:
    def command(self, store: DirectoryStore, *args: str) -> Result:
        return CliRunner().invoke(wheelbuilder, [*args, "--store", str(store.path)])

    def test_a_promotion_is_seen_everywhere(self, store: DirectoryStore) -> None:
        assert "commit 1" in self.command(store, "promote", "candidate", "stable", "--require-audit").output
        listed = self.command(store, "channel", "list").output
        assert "candidate" in listed and "stable" in listed
        shown = self.command(store, "channel", "show", "stable").output
        assert "promoted from candidate@3" in shown
        assert "hold the same" in self.command(store, "diff", "candidate", "stable").output
        assert "+ bar-1.0" in self.command(store, "diff", "candidate@2", "stable").output

    def test_a_store_that_is_not_clean_is_not_promoted(self, store: DirectoryStore) -> None:
        next(store.path.glob("files/*/*.whl")).write_bytes(b"x")
        result = self.command(store, "promote", "candidate", "stable", "--require-audit")
        assert isinstance(result.exception, IntegrityError)
        assert channel_names(store) == ("candidate",)

    def test_a_snapshot_with_a_dead_link_is_not_promoted_over(self, store: DirectoryStore) -> None:
        take(store, "candidate", read_head(store, "candidate").commit, now=NOW)
        amend(store, "candidate", {FOO: lambda it: Merged(state=ProjectState(name=it.name))}, run="", now=NOW)
        assert "commit 1" in self.command(store, "promote", "candidate", "stable", "--require-audit").output
        next(store.path.glob("files/*/foo-2.0*.whl")).unlink()
        result = self.command(store, "promote", "candidate", "other", "--require-audit")
        assert isinstance(result.exception, IntegrityError)
        assert "snapshot 3 of candidate needs it, but it is missing" in result.exception.message
        assert channel_names(store) == ("candidate", "stable")

    def test_a_snapshot_comes_and_goes(self, store: DirectoryStore) -> None:
        before = files_of(store.path)
        self.command(store, "snapshot", "candidate@2", "--dry-run")
        assert files_of(store.path) == before
        assert "snapshots/2/simple/" in self.command(store, "snapshot", "candidate@2", "--note", "x").output
        assert "snapshot 2" in self.command(store, "channel", "show", "candidate").output
        held = files_of(store.path)
        self.command(store, "snapshot", "candidate@2", "--remove", "--dry-run")
        assert files_of(store.path) == held
        self.command(store, "snapshot", "candidate@2", "--remove")
        assert {key for key in files_of(store.path) if key not in before} == {snapshots_key("candidate")}

    @pytest.mark.parametrize("first", [False, True])
    def test_what_is_left_of_a_snapshot_that_was_not_ended_can_be_removed(
        self, store: DirectoryStore, first: bool
    ) -> None:
        if not first:
            self.command(store, "snapshot", "candidate@2")
        before = files_of(store.path)
        path = store.path / snapshot_page_key("candidate", 1, View.GAP, FOO)
        path.parent.mkdir(parents=True)
        path.write_text("a page")
        (finding,) = (it for it in audit(store, "candidate") if "/snapshots/1/" in it.key)
        assert is_clean([finding]) and "no snapshot that is listed" in finding.complaint
        assert "snapshots/1/simple/foo" in self.command(store, "snapshot", "candidate@1", "--remove").output
        assert files_of(store.path) == before
        again = self.command(store, "snapshot", "candidate@1", "--remove")
        assert isinstance(again.exception, ConfigurationError)
