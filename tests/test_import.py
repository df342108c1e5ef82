"""Import through the command line: good wheels reach real pip, and of bad ones nothing is written."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from commands import Said, command
from lying_wheels import EXTENSION, LIES, NATIVE, PURE, lying, misnamed
from mirrors import LATER, NOW, Interfering, dangling, snapshot, wheel_change
from packaging.utils import canonicalize_name
from sdists import FileIndex, Workplace, cli
from test_repair import NEW, compiled
from test_wheelcheck import OTHER_RECORD, wheel
from tinywheel import make_wheel

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.imports import take_over
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.read import contents, read_head, read_states
from wheelbuilder.mirror.serve import serving
from wheelbuilder.mirror.wheels import read_wheel

X86 = "cp311-manylinux_2_36_x86_64"
FOO = canonicalize_name("foo")
AUTHOR = Author(run="by hand", now=LATER, note="why")

needs_compiler = pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("cc"), reason="needs a C compiler for x86_64"
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
    """A store with something in it, so that "nothing written" can be seen."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = DirectoryStore(tmp_path / "store")
    publish(made, "stable", [wheel_change(tmp_path / "before", "before")], run="", now=NOW)
    return made


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as made:
        yield made


def imported(store: DirectoryStore, *words: str | Path, upstream: str = "") -> Said:
    asked = ("--upstream", upstream) if upstream else ("--no-upstream",)
    return command("import", *words, "--store", store.path, *asked, "--no-trial")


def held(store: DirectoryStore, channel: str = "stable") -> set[str]:
    projects = contents(store, channel).projects.values()
    return {file.filename for files in projects for file in files} - {"before-1.0-py3-none-any.whl"}


def assert_clean(store: DirectoryStore) -> None:
    findings = audit(store, deep=True)
    assert is_clean(findings), findings
    assert dangling(store.path) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", LIES)
def test_a_wheel_that_lies_is_one_clear_error_and_nothing_is_written(
    name: str, store: DirectoryStore, tmp_path: Path
) -> None:
    make, words = LIES[name]
    (tmp_path / "made").mkdir()
    path = make(tmp_path / "made")
    before = snapshot(store.path)
    ended = imported(store, path, "--channel", "stable")
    assert (ended.code, ended.out) == (IntegrityError.exit_code, "")
    assert words in ended.error and "nothing was published." in ended.error
    assert path.name in ended.error or repr(path.name) in ended.error
    assert ended.err.isascii() or "Greek" in name
    assert snapshot(store.path) == before


def test_the_same_checks_without_the_lie_let_a_wheel_pass(store: DirectoryStore, tmp_path: Path) -> None:
    before = snapshot(store.path)
    ended = imported(store, wheel(tmp_path), "--channel", "stable", "--dry-run")
    assert ended.code == 0 and ended.out.endswith(f"Would publish 1 wheel in stable of {store.path}.\n")
    assert snapshot(store.path) == before
    ended = imported(store, wheel(tmp_path), "--channel", "stable")
    digest = read_wheel(tmp_path / PURE).sha256
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"files/{digest}/{PURE}",
        f"Published 1 wheel in stable of {store.path}: commit 2.",
    ]
    assert held(store) == {PURE}
    assert read_head(store, "stable").commit.note == f"imported {PURE}"
    assert_clean(store)


def test_a_store_that_is_not_there_is_made_only_for_a_good_wheel(tmp_path: Path) -> None:
    words = ("--store", str(tmp_path / "new"), "--channel", "c", "--no-upstream", "--no-trial")
    ended = cli("import", str(misnamed("foo-1.0.tar.gz")(tmp_path)), *words)
    assert ended.code == 4 and ended.stderr.count("\n") == 2 and not (tmp_path / "new").exists()
    assert cli("import", str(wheel(tmp_path)), *words).code == 0
    assert held(DirectoryStore(tmp_path / "new"), "c") == {PURE}


def test_one_bad_wheel_keeps_the_others_back(store: DirectoryStore, tmp_path: Path) -> None:
    good = make_wheel(tmp_path, "good")
    bad, worse = lying(record=OTHER_RECORD)(tmp_path), misnamed("a<b>-1-py3-none-any.whl")(tmp_path)
    before = snapshot(store.path)
    ended = imported(store, good, bad, worse, "--channel", "stable")
    assert ended.code == 4 and ended.error == "2 of 3 wheels refused; nothing was published."
    lines = [line for line in ended.err.splitlines() if line.startswith("refused: ")]
    assert [bad.name in lines[0], worse.name in lines[1], len(lines)] == [True, True, 2]
    assert snapshot(store.path) == before
    assert imported(store, good, "--channel", "stable").code == 0


def test_several_wheels_are_one_commit_and_again_none(store: DirectoryStore, tmp_path: Path) -> None:
    paths = [make_wheel(tmp_path, name) for name in ("one", "two", "three")]
    paths += [make_wheel(tmp_path, "one", "1.0+local.1"), make_wheel(tmp_path, "one", build="7")]
    ended = imported(store, *paths, paths[0], "--channel", "new-channel")
    assert ended.code == 0 and "Published" in ended.out
    assert held(store, "new-channel") == {path.name for path in paths}
    assert read_head(store, "new-channel").commit.number == 1
    assert_clean(store)
    before = snapshot(store.path)
    again = imported(store, *paths, "--channel", "new-channel")
    assert again.code == 0 and "Already published in new-channel" in again.out
    assert snapshot(store.path) == before


def test_a_name_that_the_channel_has_with_other_bytes(store: DirectoryStore, tmp_path: Path) -> None:
    imported(store, make_wheel(tmp_path / "a"), "--channel", "stable")
    before = snapshot(store.path)
    other, good = make_wheel(tmp_path / "b", body="# other"), make_wheel(tmp_path / "b", "good")
    for order in ((good, other), (other, good)):
        ended = imported(store, *order, "--channel", "stable")
        assert ended.code == 4 and "with other bytes" in ended.error and other.name in ended.error
        assert snapshot(store.path) == before
    twice = imported(store, make_wheel(tmp_path / "a", "x"), make_wheel(tmp_path / "b", "x", body="#"),
                     "--channel", "stable")  # fmt: skip
    assert twice.code == 4 and snapshot(store.path) == before


def test_a_name_that_upstream_serves_with_other_bytes(
    store: DirectoryStore, index: FileIndex, tmp_path: Path
) -> None:
    theirs = make_wheel(tmp_path / "theirs", "foo")
    index.offer_wheel(theirs)
    ours, good = make_wheel(tmp_path / "ours", "foo", body="# other"), make_wheel(tmp_path / "ours", "good")
    before = snapshot(store.path)
    ended = imported(store, good, ours, "--channel", "stable", upstream=index.url)
    assert ended.code == 4 and f"{ours.name}: upstream serves this file name" in ended.err
    assert snapshot(store.path) == before
    tagged = make_wheel(tmp_path / "ours", "foo", body="# other", build="1")
    assert imported(store, good, tagged, "--channel", "stable", upstream=index.url).code == 0
    assert imported(store, theirs, "--channel", "stable", upstream=index.url).code == 0  # the same bytes
    assert held(store) == {good.name, tagged.name, theirs.name}


def test_upstream_that_does_not_answer_stops_an_import(store: DirectoryStore, tmp_path: Path) -> None:
    before = snapshot(store.path)
    with FileIndex() as gone:
        url = gone.url
    words = ("import", str(make_wheel(tmp_path)), "--store", str(store.path), "--channel", "stable")
    ended = cli(*words, "--upstream", url)
    assert ended.code == 3 and ended.stderr.startswith("error: ") and snapshot(store.path) == before
    assert cli(*words, "--no-upstream", "--no-trial").code == 0


def test_a_list_says_where_to_and_for_whom(store: DirectoryStore, index: FileIndex, tmp_path: Path) -> None:
    place = Workplace(folder=tmp_path / "place", index=index)
    place.write(["other===1.0"])
    words = ("--list", place.list_path)
    ended = imported(store, wheel(tmp_path), *words, upstream=index.url)
    assert ended.code == 0 and held(store, "test") == {PURE}
    assert ("/simple/foo/", None) in index.requests
    late = make_wheel(tmp_path, "late", requires_python=">=3.12")
    assert "no target of the list list accepts" in imported(store, late, *words).error
    assert imported(store, late, "--channel", "stable").code == 0


def test_a_target_is_kept_with_the_file(store: DirectoryStore, tmp_path: Path) -> None:
    assert imported(store, wheel(tmp_path), "--channel", "stable", "--target", X86).code == 0
    projects = read_head(store, "stable").commit.projects
    assert {file.filename: file.target for it in read_states(store, projects).values() for file in it.files}[
        PURE
    ] == X86
    ended = imported(store, wheel(tmp_path), "--channel", "stable", "--target", "cp311-solaris")
    assert ended.code == 2 and "cp311-solaris" in ended.error
    old = make_wheel(tmp_path, "old", tag="cp39-none-any")
    assert f"no target of --target {X86}" in imported(store, old, "--channel", "c", "--target", X86).error


def test_somebody_must_say_where_to(store: DirectoryStore, tmp_path: Path) -> None:
    assert "--channel" in imported(store, wheel(tmp_path)).err
    assert imported(store, wheel(tmp_path), "--channel", "../x").code == 2


def test_another_writer_with_other_bytes_keeps_all_of_an_import_back(
    store: DirectoryStore, tmp_path: Path
) -> None:
    refused = set()
    for at in range(1, 30):
        rival = wheel_change(tmp_path / "rival", "foo", f"{at}.0", body="# rival")
        ours = [read_wheel(make_wheel(tmp_path, name, f"{at}.0")) for name in ("bar", "foo")]
        publish_rival = partial(publish, store, "stable", [rival], run="", now=NOW)
        try:
            take_over(Interfering(store, at, publish_rival), "stable", ours, AUTHOR)
        except IntegrityError as error:
            refused.add(error.message.partition(": ")[2])
        both = {wheel.filename for wheel in ours} & held(store)
        (foo,) = (it for it in contents(store, "stable").projects[FOO] if it.filename == ours[1].filename)
        assert len(both) == (1 if foo.sha256 == rival.wheels[0].sha256 else 2)
    assert len(refused) > 1 and all("with other bytes" in reason for reason in refused)
    assert_clean(store)


@needs_compiler
class TestNativeCode:
    def made(self, folder: Path, source: str, tag: str = NATIVE, *flags: str) -> Path:
        folder.mkdir(exist_ok=True)
        library = compiled(folder, "_foo.so", source, *flags)
        python, abi, platforms = tag.split("-")
        tags = tuple(f"{python}-{abi}-{it}" for it in platforms.split("."))
        return wheel(folder, tag, {EXTENSION: library.read_bytes()}, tags=tags)

    def test_what_keeps_its_promise_is_published(self, store: DirectoryStore, tmp_path: Path) -> None:
        path = self.made(tmp_path / "a", "int f(void) { return 1; }")
        assert imported(store, path, "--channel", "stable").code == 0
        assert held(store) == {path.name}

    @pytest.mark.parametrize(
        ("tag", "words"),
        [
            (NATIVE, "newer symbols than manylinux2014_x86_64 promises: GLIBC_2.34"),
            ("cp311-cp311-manylinux_2_33_x86_64", "newer symbols than manylinux_2_33_x86_64"),
            ("cp311-cp311-manylinux_2_34_x86_64", ""),
        ],
    )
    def test_newer_symbols_than_the_tag_promises(
        self, tag: str, words: str, store: DirectoryStore, tmp_path: Path
    ) -> None:
        before = snapshot(store.path)
        ended = imported(store, self.made(tmp_path / "a", NEW, tag), "--channel", "stable")
        assert (ended.code == 0) is (not words)
        if words:
            assert words in ended.error and snapshot(store.path) == before

    def test_a_library_that_the_tag_does_not_promise(
        self, store: DirectoryStore, index: FileIndex, tmp_path: Path
    ) -> None:
        dependency = compiled(tmp_path, "libdep.so.1", "int dep(void) { return 7; }")
        source = "int dep(void); int f(void) { return dep(); }"
        path = self.made(tmp_path / "a", source, NATIVE, str(dependency))
        before = snapshot(store.path)
        ended = imported(store, path, "--channel", "stable")
        assert ended.code == 4 and "does not promise: libdep.so.1" in ended.error
        assert "auditwheel repair" in ended.err and snapshot(store.path) == before
        place = Workplace(folder=tmp_path / "place", index=index)
        place.write(["foo===1.0"])
        place.recipe("foo", '[repair]\nexclude = ["libdep.so.*"]\n')
        assert imported(store, path, "--list", place.list_path).code == 0

    def test_libraries_of_this_machine_say_nothing_about_the_consumers(
        self, store: DirectoryStore, tmp_path: Path
    ) -> None:
        dependency = compiled(tmp_path, "libdep.so.1", NEW + "int dep(void) { return 7; }")
        source = "int dep(void); int f(void) { return dep(); }"
        path = self.made(tmp_path / "a", source, NATIVE, str(dependency), f"-Wl,-rpath,{tmp_path}")
        assert "does not promise: libdep.so.1" in imported(store, path, "--channel", "stable").error

    @pytest.mark.parametrize(
        ("paths", "words"),
        [
            ("$ORIGIN/sub:${ORIGIN}", ""),
            ("$ORIGIN:/opt/dep/lib", "'/opt/dep/lib'"),
            ("lib", "'lib'"),
            ("$ORIGIN:", "''"),
        ],
    )
    @pytest.mark.parametrize("tags", ["enable", "disable"], ids=["RUNPATH", "RPATH"])
    def test_folders_of_the_machine_that_it_was_built_on(
        self, paths: str, words: str, tags: str, store: DirectoryStore, tmp_path: Path
    ) -> None:
        flags = (f"-Wl,-rpath,{paths}", f"-Wl,--{tags}-new-dtags")
        before = snapshot(store.path)
        ended = imported(store, self.made(tmp_path / "a", "int f;", NATIVE, *flags), "--channel", "stable")
        assert (ended.code == 0) is (not words)
        if words:
            assert f"{EXTENSION} looks for libraries in {words}, which is not" in ended.error
            assert snapshot(store.path) == before

    def test_code_for_another_libc(self, store: DirectoryStore, tmp_path: Path) -> None:
        path = self.made(tmp_path / "a", "int f(void) { return 1; }", "cp311-cp311-musllinux_1_2_x86_64")
        assert "no code for musllinux" in imported(store, path, "--channel", "stable").error

    @pytest.mark.integration
    def test_pip_installs_what_was_imported(self, store: DirectoryStore, tmp_path: Path) -> None:
        native = self.made(tmp_path / "a", "int f(void) { return 41; }")
        local = make_wheel(tmp_path, "bar", "1.0+local.1")
        assert imported(store, native, local, "--channel", "stable").code == 0
        target = tmp_path / "installed"
        with serving(store.path) as server:
            argv = [sys.executable, "-m", "pip", "--isolated", "--no-cache-dir", "install", "--no-deps"]
            argv += ["--disable-pip-version-check", "--only-binary", ":all:", "--target", str(target)]
            argv += ["--index-url", f"{server.url}channels/stable/simple/", "foo===1.0", "bar===1.0+local.1"]
            subprocess.run(argv, check=True, timeout=120)
        code = "import bar, ctypes, sys; print(bar.VERSION, ctypes.CDLL(sys.argv[1]).f() + 1)"
        argv = [sys.executable, "-c", code, str(target / EXTENSION)]
        printed = subprocess.run(argv, check=True, cwd=target, capture_output=True, text=True, timeout=60)
        assert printed.stdout == "1.0+local.1 42\n"
