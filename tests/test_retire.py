"""Retire what upstream has wheels for by now, and reinstate: verdicts as values, then the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import Said, command
from mirrors import LATER, NOW, dangling, snapshot, wheel_change
from packaging.utils import canonicalize_name
from samples import ARM, X86, file
from sdists import FileIndex, Workplace, cli, in_tree
from simple_index import Answer, entry, page
from tinywheel import make_wheel

from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import contents, read_head, read_states
from wheelbuilder.mirror.retire import Finding, Terms, Verdict, apply, judge
from wheelbuilder.mirror.serve import serving
from wheelbuilder.mirror.states import MirrorFile
from wheelbuilder.mirror.wheels import read_wheel

FOO = canonicalize_name("foo")
PY313 = Target.parse("cp313-manylinux_2_41_x86_64", "3.13.5")
TODAY = datetime(2026, 3, 1, tzinfo=UTC)
OLD, NEW = "2026-02-01T00:00:00.123456789Z", "2026-02-20T00:00:00Z"
NATIVE = "foo-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"
THEIRS = "foo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
THEIRS_ARM = THEIRS.replace("x86_64", "aarch64")
PURE = "foo-1.0-py3-none-any.whl"
TERMS = Terms(
    targets=(X86, ARM),
    known={str(target): target for target in (X86, ARM, PY313)},
    now=TODAY,
    grace=timedelta(days=14),
)


def ours(filename: str = NATIVE, target: Target | None = X86, **values: str) -> MirrorFile:
    return MirrorFile(
        filename=filename,
        size=1,
        sha256="a" * 64,
        metadata_sha256="b" * 64,
        **{"upload_time": "2026-01-02T03:04:05Z", "target": str(target) if target else None, **values},  # type: ignore[arg-type]
    )


def verdict(held: MirrorFile, *upstream: str, **values: str | None) -> Verdict | None:
    files = [file(name, **{"upload_time": OLD, **values}) for name in upstream]
    found = judge(FOO, held, files, TERMS)
    return found.verdict if found else None


class TestVerdicts:
    def test_a_wheel_that_the_target_accepts(self) -> None:
        assert verdict(ours(), THEIRS) is Verdict.RETIRE
        assert verdict(ours(target=None), THEIRS) is Verdict.RETIRE
        assert verdict(ours(), PURE) is Verdict.RETIRE
        assert verdict(ours(), "foo-1.0.0-cp38-abi3-manylinux_2_28_x86_64.whl") is Verdict.RETIRE

    @pytest.mark.parametrize(
        "theirs",
        [
            THEIRS_ARM,
            THEIRS.replace("cp311", "cp312"),
            THEIRS.replace("1.0", "1.1"),
            THEIRS.replace("1.0", "1.0+local"),
            THEIRS.replace("manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_39_x86_64"),
            THEIRS.replace("manylinux_2_17_x86_64.manylinux2014_x86_64", "musllinux_1_2_x86_64"),
            "foo-1.0.tar.gz",
            "foo-1.0-py3.11.egg",
            "foo-1.0-cp311-cp311-win_amd64.whl",
        ],
    )
    def test_anything_else_does_not_count(self, theirs: str) -> None:
        assert verdict(ours(), theirs) is None
        assert verdict(ours(retired=NEW), theirs) is Verdict.REINSTATE

    @pytest.mark.parametrize(
        "values",
        [
            {"yanked": ""},
            {"yanked": "broken"},
            {"requires_python": ">=3.12"},
            {"sha256": ""},
            {"url": "ftp://files.example.org/x"},
        ],
        ids=str,
    )
    def test_a_wheel_that_nobody_gets_does_not_count(self, values: dict[str, str]) -> None:
        assert verdict(ours(), THEIRS, **values) is None
        assert verdict(ours(retired=NEW), THEIRS, **values) is Verdict.REINSTATE

    def test_the_grace_period(self) -> None:
        assert verdict(ours(), THEIRS, upload_time=NEW) is Verdict.WAIT
        assert verdict(ours(), THEIRS, upload_time="2026-02-15T00:00:00Z") is Verdict.RETIRE
        assert verdict(ours(), THEIRS, upload_time="2026-02-15T00:00:01Z") is Verdict.WAIT
        assert verdict(ours(), THEIRS, upload_time="2027-01-01T00:00:00Z") is Verdict.WAIT

    @pytest.mark.parametrize("time", [None, "", "yesterday"])
    def test_an_unknown_date_is_no_old_one(self, time: str | None) -> None:
        assert verdict(ours(), THEIRS, upload_time=time) is Verdict.UNDATED

    def test_the_wheel_that_was_there_first_counts(self) -> None:
        files = [file(PURE, upload_time=None), file(THEIRS, upload_time=OLD), file(NATIVE, upload_time=NEW)]
        found = judge(FOO, ours(), files, TERMS)
        assert found and found.verdict is Verdict.RETIRE and found.theirs == (files[1],)

    def test_a_wheel_for_many_stays_until_upstream_serves_them_all(self) -> None:
        for target in (X86, None):
            assert verdict(ours(PURE, target), THEIRS) is None
            assert verdict(ours(PURE, target), THEIRS, THEIRS_ARM) is Verdict.RETIRE
            assert verdict(ours(PURE, target, retired=NEW), THEIRS) is Verdict.REINSTATE
        files = [file(THEIRS, upload_time=OLD), file(THEIRS_ARM, upload_time=NEW)]
        found = judge(FOO, ours(PURE), files, TERMS)
        assert found and found.verdict is Verdict.WAIT and len(found.theirs) == 2

    def test_a_target_that_the_list_no_longer_has_still_has_users(self) -> None:
        held = ours("foo-1.0-py3-none-any.whl", PY313)
        assert verdict(held, THEIRS, THEIRS_ARM) is None
        later = THEIRS.replace("cp311", "cp313")
        assert verdict(held, THEIRS, THEIRS_ARM, later) is Verdict.RETIRE

    def test_a_file_that_serves_nobody_is_left_alone(self) -> None:
        held = ours("foo-1.0-cp38-cp38-manylinux_2_17_x86_64.whl", None)
        assert verdict(held, THEIRS) is None and verdict(held) is None

    def test_what_was_built_again_on_purpose_stays(self) -> None:
        held = ours("foo-1.0-1-cp311-cp311-manylinux_2_36_x86_64.whl")
        assert verdict(held, THEIRS, upload_time="2025-01-01T00:00:00Z") is Verdict.KEEP
        assert verdict(held, THEIRS) is Verdict.RETIRE  # uploaded after ours
        assert verdict(held, THEIRS, upload_time=None) is Verdict.KEEP

    def test_what_is_retired_stays_so(self) -> None:
        assert verdict(ours(retired=NEW), THEIRS, upload_time=NEW) is None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """A list with one target and two pins, its store with wheels of both, and upstream with the sdists."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with FileIndex() as index:
        made = Workplace(folder=tmp_path, index=index)
        foo, bar = in_tree("foo"), in_tree("bar")
        index.offer(foo, bar)
        made.write([foo, bar])
        built = make_wheel(tmp_path / "built", "foo", tag="cp311-cp311-manylinux_2_36_x86_64")
        change = Change(project=FOO, wheels=(read_wheel(built, target=str(X86)),))
        publish(store(made), "test", [change, wheel_change(tmp_path / "built", "bar")], run="", now=NOW)
        yield made


def store(place: Workplace) -> DirectoryStore:
    return DirectoryStore(place.store)


def upstream_uploads(place: Workplace, *, days: float | None = 20, **values: object) -> None:
    """Let upstream have a wheel of foo since some days (None: it does not say since when)."""
    moment = datetime.now(UTC) - timedelta(days=days or 0)
    time = {} if days is None else {"upload-time": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    row = entry(THEIRS, **time, **values)
    if days is None:
        del row["upload-time"]
    place.index.page("foo", [entry("foo-1.0.tar.gz"), row])


def retire(place: Workplace, *words: str) -> Said:
    return command("retire", place.list_path, "--store", place.store, *words)


def gap(place: Workplace) -> set[str]:
    return {it.filename for files in contents(store(place), "test").projects.values() for it in files}


def listed(place: Workplace, view: str) -> bool:
    found = place.store / f"channels/test/{view}/foo/index.html"
    return found.exists() and NATIVE in found.read_text()


def compiles_nothing(place: Workplace) -> bool:
    return command("coverage", place.list_path, "--store", place.store).code == 0


def assert_clean(place: Workplace) -> None:
    findings = audit(store(place), deep=True)
    assert is_clean(findings), findings
    assert dangling(place.store) == []


BAR = "bar-1.0-py3-none-any.whl"


class TestCommand:
    def test_ours_leaves_the_gap_view_and_stays_in_the_whole_one(self, place: Workplace) -> None:
        upstream_uploads(place)
        said = retire(place)
        assert (said.code, said.err) == (0, "")
        line, summary = said.out.splitlines()
        assert line.startswith(f"retire: {NATIVE} (ours, 2026-01-02): upstream has {THEIRS} (20")
        assert summary == "Retired 1 file of test, reinstated 0 files: commit 2."
        assert [listed(place, view) for view in ("simple", "json", "whole", "whole-json")] == [False] * 2 + [
            True
        ] * 2
        assert gap(place) == {BAR} and compiles_nothing(place)
        commit = read_head(store(place), "test").commit
        assert commit.note == "retired 1 file that upstream has wheels for, reinstated 0 files"
        (held,) = read_states(store(place), {FOO: commit.projects[FOO]})[FOO].files
        assert held.retired and datetime.now(UTC) - datetime.fromisoformat(held.retired) < timedelta(hours=1)
        assert_clean(place)

    def test_again_writes_nothing(self, place: Workplace) -> None:
        upstream_uploads(place)
        retire(place)
        before = snapshot(place.store)
        assert retire(place).out == "Retired 0 files of test, reinstated 0 files: commit 2.\n"
        assert snapshot(place.store) == before

    def test_a_dry_run_prints_the_list_and_writes_nothing(self, place: Workplace) -> None:
        upstream_uploads(place)
        before = snapshot(place.store)
        said = retire(place, "--dry-run")
        assert said.code == 0 and said.out.startswith(f"retire: {NATIVE} ")
        assert said.out.endswith("Would retire 1 file of test and reinstate 0 files.\n")
        assert snapshot(place.store) == before

    def test_the_grace_period_is_kept_and_said(self, place: Workplace) -> None:
        upstream_uploads(place, days=10)
        before = snapshot(place.store)
        end = datetime.now(UTC) + timedelta(days=4)
        said = retire(place)
        assert f"wait: {NATIVE}" in said.out and f"the grace period ends {end:%Y-%m-%d}" in said.out
        assert snapshot(place.store) == before
        assert "Retired 1 file" in retire(place, "--grace", "9").out

    def test_without_a_date_it_is_left_unless_no_grace_is_asked_for(self, place: Workplace) -> None:
        upstream_uploads(place, days=None)
        before = snapshot(place.store)
        said = retire(place)
        assert f"undated: {NATIVE}" in said.out and "(no date known); --grace 0" in said.out
        assert snapshot(place.store) == before
        assert "Retired 1 file" in retire(place, "--grace", "0").out

    @pytest.mark.parametrize("what", ["yanked", "gone", "project gone"])
    def test_ours_comes_back_when_upstreams_is_gone(self, place: Workplace, what: str) -> None:
        before = [(place.store / f"channels/test/{view}/foo/index.html") for view in ("simple", "whole")]
        texts = [path.read_text() for path in before]
        upstream_uploads(place)
        retire(place)
        if what == "yanked":
            upstream_uploads(place, yanked="broken")
        elif what == "gone":
            place.index.page("foo", [entry("foo-1.0.tar.gz")])
        else:
            place.index.serve("foo", Answer(status=404))
        held = snapshot(place.store)
        assert f"reinstate: {NATIVE}" in retire(place, "--dry-run").out and snapshot(place.store) == held
        said = retire(place)
        assert "upstream's wheel is gone or yanked; it was retired 20" in said.out
        assert "Retired 0 files of test, reinstated 1 file: commit 3." in said.out
        assert [path.read_text() for path in before] == texts and gap(place) == {NATIVE, BAR}
        assert compiles_nothing(place)
        assert_clean(place)

    @pytest.mark.parametrize("body", ["", "# other bytes"])
    def test_whoever_publishes_it_again_brings_it_back(
        self, place: Workplace, tmp_path: Path, body: str
    ) -> None:
        upstream_uploads(place)
        (first,) = contents(store(place), "test").projects[FOO]
        retire(place)
        again = wheel_change(tmp_path / "again", tag="cp311-cp311-manylinux_2_36_x86_64", body=body)
        done = publish(store(place), "test", [again], run="", now=LATER)
        assert contents(store(place), "test").projects[FOO] == (first,)
        assert bool(done.refused) is bool(body)
        assert_clean(place)

    def test_only_projects_of_ours_are_asked_about(self, place: Workplace) -> None:
        place.index.requests.clear()
        retire(place)
        assert {path for path, _ in place.index.requests} == {"/simple/foo/", "/simple/bar/"}

    def test_upstream_that_does_not_answer_changes_nothing(self, place: Workplace) -> None:
        upstream_uploads(place)
        retire(place)
        before = snapshot(place.store)
        with FileIndex() as gone:
            url = gone.url
        words = ("retire", str(place.list_path), "--store", str(place.store))
        ended = cli(*words, "--upstream", url)
        assert ended.code == 3 and ended.stderr.startswith("error: ")
        place.index.serve("foo", Answer(body=page("foo", [])[:20]))
        assert retire(place).code == 3 and snapshot(place.store) == before

    def test_a_channel_that_is_not_there(self, place: Workplace, tmp_path: Path) -> None:
        said = command("retire", place.list_path, "--store", tmp_path / "nowhere")
        assert said.code == 2 and "does not exist" in said.error and not (tmp_path / "nowhere").exists()
        (tmp_path / "empty").mkdir()
        said = command("retire", place.list_path, "--store", tmp_path / "empty")
        assert said.code == 2 and "no channel 'test'" in said.error
        assert list((tmp_path / "empty").iterdir()) == []

    def test_a_file_that_another_writer_removed_stays_removed(self, place: Workplace) -> None:
        finding = Finding(project=FOO, file=ours(), verdict=Verdict.RETIRE)
        before = snapshot(place.store)
        apply(store(place), "test", [finding], Author(run="", now=LATER))
        assert snapshot(place.store) == before

    @pytest.mark.integration
    def test_a_lock_file_with_ours_keeps_working(self, place: Workplace, tmp_path: Path) -> None:
        (before,) = contents(store(place), "test").projects[FOO]
        upstream_uploads(place)
        retire(place)
        lock = tmp_path / "lock.txt"
        lock.write_text(f"foo===1.0 --hash=sha256:{before.sha256}\n")
        with serving(place.store) as server:
            json_page = f"{server.url}channels/test/whole/"
            argv = [sys.executable, "-m", "pip", "--isolated", "--no-cache-dir", "download", "--no-deps"]
            argv += ["--disable-pip-version-check", "--dest", str(tmp_path / "got"), "--require-hashes"]
            argv += ["--only-binary", ":all:", "--platform", "manylinux_2_36_x86_64", "--python-version"]
            argv += ["3.11", "--index-url", json_page, "-r", str(lock)]
            subprocess.run(argv, check=True, timeout=120, capture_output=True)
        assert [path.name for path in (tmp_path / "got").iterdir()] == [NATIVE]
        whole = json.loads((place.store / "channels/test/whole-json/foo/index.html").read_text())
        assert before.url in whole["files"][0]["url"]
