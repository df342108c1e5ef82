"""Yank, unyank and remove, through the command line, on a store that real clients read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Said, command
from mirrors import LATER, NOW, Interfering, dangling, snapshot, upstream_file, wheel_change
from packaging.utils import canonicalize_name
from sdists import cli

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.care import Choice, remove, select, yank
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import contents, read_head
from wheelbuilder.mirror.serve import serving
from wheelbuilder.plan.files import IndexFile

ONE, LOCAL, TWO = (f"foo-{version}-py3-none-any.whl" for version in ("1.0", "1.0+local", "2.0"))
BUILT = "foo-1.0-1-py3-none-any.whl"
BAR = "bar-1.0-py3-none-any.whl"
AUTHOR = Author(run="by hand", now=LATER, note="why")
ODD_REASON = "<script>alert('&\"')</script> é"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
    """A stable channel with five wheels of two projects, and one project that is all upstream's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made, folder = DirectoryStore(tmp_path / "store"), tmp_path / "built"
    changes = [wheel_change(folder, version=version) for version in ("1.0", "1.0+local", "2.0")]
    changes += [wheel_change(folder, build="1"), wheel_change(folder, "bar")]
    theirs = upstream_file("baz-1.0-py3-none-any.whl")
    changes += [Change(project=canonicalize_name("baz"), upstream=(theirs,))]
    publish(made, "stable", changes, run="", now=NOW)
    return made


def files(store: DirectoryStore) -> dict[str, IndexFile]:
    held = contents(store, "stable").projects.values()
    return {file.filename: file for project in held for file in project}


def yanked(store: DirectoryStore) -> dict[str, str]:
    return {name: file.yanked for name, file in files(store).items() if file.yanked is not None}


def assert_clean(store: DirectoryStore) -> None:
    findings = audit(store, deep=True)
    assert is_clean(findings), findings
    assert dangling(store.path) == []


def care(store: DirectoryStore, name: str, *words: str) -> Said:
    return command(name, *words, "--store", store.path)


def page(store: DirectoryStore, view: str, project: str = "foo") -> str:
    return (store.path / f"channels/stable/{view}/{project}/index.html").read_text()


def rows(store: DirectoryStore, view: str) -> dict[str, dict[str, object]]:
    return {row["filename"]: row for row in json.loads(page(store, view))["files"]}


class TestYank:
    def test_a_version_is_yanked_on_every_page_in_one_commit(self, store: DirectoryStore) -> None:
        said = care(store, "yank", "Foo==1.0.0", "bar===1.0", "--reason", "it is broken")
        assert (said.code, said.err) == (0, "") and "Yanked 3 of 3 files of stable: commit 2." in said.out
        assert yanked(store) == dict.fromkeys((ONE, BUILT, BAR), "it is broken")
        for view in ("json", "whole-json"):
            marks = {name: row.get("yanked") for name, row in rows(store, view).items()}
            assert marks == {ONE: "it is broken", BUILT: "it is broken", LOCAL: None, TWO: None}
        for view in ("simple", "whole"):
            assert page(store, view).count('data-yanked="it is broken"') == 2
        commit = read_head(store, "stable").commit
        assert (commit.number, commit.note) == (2, "yanked foo==1.0.0, bar==1.0: it is broken")
        assert_clean(store)

    def test_a_file_name_yanks_that_file_alone(self, store: DirectoryStore) -> None:
        assert care(store, "yank", BUILT, "--reason", "x").code == 0
        assert yanked(store) == {BUILT: "x"}

    def test_each_word_means_its_own_project(self, store: DirectoryStore) -> None:
        care(store, "yank", "bar==1.0", TWO, "--reason", "x")
        assert yanked(store) == {BAR: "x", TWO: "x"}

    def test_a_local_version_is_another_version(self, store: DirectoryStore) -> None:
        care(store, "yank", "foo==1.0+LOCAL", "--reason", "x")
        assert yanked(store) == {LOCAL: "x"}

    def test_the_same_again_writes_nothing(self, store: DirectoryStore) -> None:
        care(store, "yank", "bar==1.0", "--reason", "x")
        before = snapshot(store.path)
        said = care(store, "yank", "bar==1.0", "--reason", "x")
        assert said.code == 0 and "(already" in said.out and "Yanked 0 of 1 file" in said.out
        assert snapshot(store.path) == before

    def test_another_reason_replaces_the_first(self, store: DirectoryStore) -> None:
        care(store, "yank", "bar==1.0", "--reason", "x")
        assert "Yanked 1 of 1" in care(store, "yank", "bar==1.0", "--reason", "y").out
        assert yanked(store) == {BAR: "y"}

    def test_unyank_brings_the_same_pages_back(self, store: DirectoryStore) -> None:
        before = [page(store, view) for view in ("simple", "json", "whole", "whole-json")]
        care(store, "yank", "foo==1.0", "--reason", "x")
        said = care(store, "unyank", "foo==1.0", LOCAL, "--reason", "it was not")
        assert said.code == 0 and "Unyanked 2 of 3" in said.out and f"{LOCAL} (was not" in said.out
        assert yanked(store) == {}
        assert [page(store, view) for view in ("simple", "json", "whole", "whole-json")] == before
        note = f"unyanked foo==1.0, {LOCAL}: it was not"
        assert resolve(store, Reference(channel="stable")).note == note
        held = snapshot(store.path)
        assert care(store, "unyank", "foo==1.0").code == 0 and snapshot(store.path) == held

    def test_a_reason_cannot_leave_its_attribute(self, store: DirectoryStore) -> None:
        care(store, "yank", "bar==1.0", "--reason", ODD_REASON)
        text = page(store, "simple", "bar")
        assert "<script" not in text and "&lt;script&gt;" in text
        assert json.loads(page(store, "json", "bar"))["files"][0]["yanked"] == ODD_REASON
        assert_clean(store)

    @pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "\x1b[31m", "x" * 501, "\udcff"])
    def test_a_reason_that_no_page_can_show_is_refused(self, store: DirectoryStore, reason: str) -> None:
        before = snapshot(store.path)
        said = care(store, "yank", "bar==1.0", "--reason", reason)
        assert said.code == 2 and "is no reason" in said.error
        assert snapshot(store.path) == before

    def test_a_reason_must_be_given(self, store: DirectoryStore) -> None:
        said = care(store, "yank", "bar==1.0")
        assert said.code == 2 and "--reason" in said.err

    def test_another_writer_in_between_is_not_overwritten(
        self, store: DirectoryStore, tmp_path: Path
    ) -> None:
        def rival() -> None:
            late = wheel_change(tmp_path / "late", tag="py2.py3-none-any")
            publish(store, "stable", [late, wheel_change(tmp_path / "late", "new")], run="", now=LATER)

        late = "foo-1.0-py2.py3-none-any.whl"
        for at in range(1, 12):
            between = Interfering(store, at, rival)
            yank(between, select(between, "stable", ["foo==1.0"]), "x", AUTHOR)
            assert between.count >= at
            assert {ONE, BUILT} <= yanked(store).keys() <= {ONE, BUILT, late}
            assert {"new-1.0-py3-none-any.whl", late, ONE, BUILT, LOCAL} < files(store).keys()
            assert_clean(store)
            yank(store, select(store, "stable", ["foo==1.0"]), None, AUTHOR)
            remove(store, select(store, "stable", ["new==1.0", late]), AUTHOR)


class TestRemove:
    def test_the_list_comes_first_and_nothing_else_in_a_dry_run(self, store: DirectoryStore) -> None:
        before = snapshot(store.path)
        said = care(store, "remove", "foo==1.0", "bar==1.0", "--dry-run")
        assert said.out.splitlines() == [BAR, BUILT, ONE, "Would remove 3 files from stable."]
        assert said.code == 0 and snapshot(store.path) == before

    def test_files_leave_every_page_and_their_bytes_stay(self, store: DirectoryStore) -> None:
        blobs = sorted(store.path.glob("files/*/*"))
        said = care(store, "remove", "foo==1.0", BAR, "--reason", "wrong compiler")
        assert said.out.splitlines() == [BAR, BUILT, ONE, "Removed 3 files from stable: commit 2."]
        assert set(files(store)) == {LOCAL, TWO}
        assert sorted(store.path.glob("files/*/*")) == blobs
        assert ONE not in page(store, "whole") and not list(store.path.glob("channels/*/*/bar/*"))
        note = f"removed foo==1.0, {BAR}: wrong compiler"
        assert read_head(store, "stable").commit.note == note
        assert_clean(store)

    def test_rollback_brings_them_back(self, store: DirectoryStore) -> None:
        before = files(store)
        care(store, "remove", "foo==1.0")
        command("rollback", "stable", "--store", store.path)
        assert files(store) == before

    def test_what_was_listed_is_removed_and_nothing_that_came_later(
        self, store: DirectoryStore, tmp_path: Path
    ) -> None:
        selection = select(store, "stable", ["foo==1.0"])
        late = wheel_change(tmp_path / "late", tag="py2.py3-none-any")
        publish(store, "stable", [late], run="", now=LATER)
        yank(store, select(store, "stable", [ONE]), "a mark of another writer's", AUTHOR)
        remove(store, selection, AUTHOR)
        assert set(files(store)) == {LOCAL, TWO, BAR, "foo-1.0-py2.py3-none-any.whl"}


@pytest.mark.parametrize("name", ["yank", "unyank", "remove"])
class TestNothingMatches:
    CASES = (
        ("foo==3.0", "no file of ours foo==3.0", "Its versions of foo: 1.0, 1.0+local, 2.0."),
        ("foo-1.0-2-py3-none-any.whl", "no file of ours foo-1.0-2", f"this version: {BUILT}, {ONE}."),
        ("fooo==1.0", "no file of ours fooo==1.0", "Did you mean 'foo'?"),
        ("quite-different==1.0", "no file of ours", "nothing of this project"),
        ("baz==1.0", "no file of ours baz==1.0", "only upstream's files"),
        ("foo", "'foo' names no files", "Write name==version"),
        ("foo>=1.0", "names no files", "Write name==version"),
        ("foo==1.*", "names no files", "Write name==version"),
        ("foo==1.0; os_name=='nt'", "names no files", "Write name==version"),
        ("foo==" + "9" * 5000, "names no files", "Write name==version"),
        ("../foo==1.0", "names no files", "Write name==version"),
        ("<b>==1.0", "names no files", "Write name==version"),
        ("foo==1.0\n", "names no files", "Write name==version"),
        ("foo\n==1.0", "names no files", "Write name==version"),
        (f"files/{ONE}", "is not the name of a wheel", "without folders"),
        ('foo"-1.0-py3-none-any.whl', "is not the name of a wheel", ""),
        ("", "'' names no files", ""),
    )

    @pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0][:20]))
    def test_one_word_that_names_nothing_stops_all(
        self, store: DirectoryStore, name: str, case: tuple[str, str, str]
    ) -> None:
        word, complaint, hint = case
        before = snapshot(store.path)
        said = care(store, name, "bar==1.0", word, *(("--reason", "x") if name == "yank" else ()))
        assert said.code == 2 and complaint in said.error and hint in said.err
        assert snapshot(store.path) == before

    def test_a_channel_or_a_store_that_is_not_there(
        self, store: DirectoryStore, name: str, tmp_path: Path
    ) -> None:
        reason = ("--reason", "x") if name == "yank" else ()
        said = command(name, BAR, "--store", store.path, "--channel", "candidate", *reason)
        assert said.code == 2 and "no channel 'candidate'" in said.error and "stable" in said.err
        said = command(name, BAR, "--store", store.path, "--channel", "../x", *reason)
        assert said.code == 2 and "is not a channel name" in said.error
        said = command(name, BAR, "--store", tmp_path / "nowhere", *reason)
        assert said.code == 2 and not (tmp_path / "nowhere").exists()


def test_the_real_command_line(store: DirectoryStore) -> None:
    words = ("--store", str(store.path))
    assert cli("yank", "foo==1.0", "--reason", "x", *words).code == 0
    ended = cli("remove", "fo==1.0", *words)
    assert ended.code == 2 and ended.stderr.startswith("error: stable has no file of ours fo==1.0.\nhint: ")


def test_choices_are_values() -> None:
    assert Choice.parse("Foo_Bar==1.0") == Choice.parse("foo-bar===1.0.0")
    with pytest.raises(ConfigurationError):
        Choice.parse("foo==1.0==2.0")


@pytest.mark.integration
def test_pip_passes_a_yanked_file_over_and_takes_it_for_a_pin(store: DirectoryStore, tmp_path: Path) -> None:
    def installed(requirement: str, folder: str) -> tuple[list[str], str]:
        argv = [sys.executable, "-m", "pip", "--isolated", "--no-cache-dir", "install", "--no-deps"]
        argv += ["--disable-pip-version-check", "--index-url", f"{server.url}channels/stable/simple/"]
        argv += ["--target", str(tmp_path / folder), requirement]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
        return sorted(path.name for path in (tmp_path / folder).glob("*.dist-info")), done.stderr

    with serving(store.path) as server:
        assert installed("foo", "before")[0] == ["foo-2.0.dist-info"]
        care(store, "yank", "foo==2.0", "--reason", "segfaults on start")
        assert installed("foo", "after")[0] == ["foo-1.0+local.dist-info"]
        found, warning = installed("foo===2.0", "pinned")
        assert found == ["foo-2.0.dist-info"] and "segfaults on start" in warning
        care(store, "remove", "foo==2.0")
        with pytest.raises(subprocess.CalledProcessError):
            installed("foo===2.0", "removed")
