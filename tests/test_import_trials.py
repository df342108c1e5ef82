"""Wheels that were built elsewhere, tried through the command line in a real bare root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Said, command
from engines import image
from mirrors import NOW, snapshot, wheel_change
from sdists import FileIndex
from test_import import held
from tinywheel import make_wheel

from wheelbuilder.build.engine_probe import CHOICE
from wheelbuilder.inputs.images import default_path
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish

TARGET = "cp311-manylinux_2_36_x86_64"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    made = DirectoryStore(tmp_path / "store")
    publish(made, "stable", [wheel_change(tmp_path / "before", "before")], run="", now=NOW)
    return made


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as made:
        yield made


def imported(store: DirectoryStore, *words: str | Path) -> Said:
    return command("import", *words, "--store", store.path, "--channel", "stable")


@pytest.mark.engine
@pytest.mark.integration
class TestInABareRoot:
    @pytest.fixture(autouse=True)
    def root(self) -> None:
        """Have the bare root of TARGET on this machine."""
        image()

    def test_what_installs_and_imports_is_published(
        self, store: DirectoryStore, index: FileIndex, tmp_path: Path
    ) -> None:
        index.offer_wheel(make_wheel(tmp_path / "theirs", "needed"))
        wheel = make_wheel(tmp_path, requires=("needed",), body="import needed")
        ended = imported(store, wheel, "--upstream", index.url, "--target", TARGET)
        assert (ended.code, ended.err) == (0, f"{wheel.name}: tried on {TARGET}\n")
        assert held(store) == {wheel.name}

    def test_what_it_needs_may_be_in_the_channel_alone(
        self, store: DirectoryStore, index: FileIndex, tmp_path: Path
    ) -> None:
        wheel = make_wheel(tmp_path, requires=("before",), body="import before; print(before.NOTHING)")
        ended = imported(store, wheel, "--upstream", index.url, "--target", TARGET)
        assert ended.code == 4 and "has no attribute 'NOTHING'" in ended.error
        wheel = make_wheel(tmp_path, requires=("before",), body="import before; print(before.VERSION)")
        assert imported(store, wheel, "--upstream", index.url, "--target", TARGET).code == 0

    def test_what_cannot_be_imported_is_refused(self, store: DirectoryStore, tmp_path: Path) -> None:
        good = make_wheel(tmp_path, "good")
        bad = make_wheel(tmp_path, body="raise OSError('no such machine')")
        before = snapshot(store.path)
        ended = imported(store, good, bad, "--no-upstream", "--target", TARGET)
        assert ended.code == 4 and f"refused: {bad.name}: importing tiny in the bare root failed" in ended.err
        assert "no such machine" in ended.err and ended.error.startswith("1 of 2 wheels refused")
        assert snapshot(store.path) == before
        assert imported(store, bad, "--no-upstream", "--no-trial").code == 0

    def test_what_needs_something_that_nobody_has_is_excused_for_that_alone(
        self, store: DirectoryStore, index: FileIndex, tmp_path: Path
    ) -> None:
        wheel = make_wheel(tmp_path, requires=("nowhere",), body="import nowhere")
        for asked in (("--no-upstream",), ("--upstream", index.url)):
            ended = imported(store, wheel, *asked, "--target", TARGET, "--dry-run")
            assert ended.code == 0 and f"tried on {TARGET}" in ended.err
        wheel = make_wheel(tmp_path, "bar", body="import nowhere")
        ended = imported(store, wheel, "--no-upstream", "--target", TARGET)
        assert ended.code == 4 and "importing bar in the bare root failed" in ended.error


@pytest.mark.engine
def test_a_root_that_is_not_here_is_not_made(store: DirectoryStore, tmp_path: Path) -> None:
    table = default_path().read_text().replace('"ca-certificates", ', '"ca-certificates", "adduser", ')
    (tmp_path / "images.toml").write_text(table)
    wheel = make_wheel(tmp_path)
    ended = imported(store, wheel, "--no-upstream", "--target", TARGET, "--images", tmp_path / "images.toml")
    assert ended.code == 0 and held(store) == {wheel.name}
    assert ended.err == f"{wheel.name}: not tried: the root bookworm-x86_64-bare is not here\n"


def test_a_machine_without_an_engine_says_so(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    wheel = make_wheel(tmp_path)
    ended = imported(store, wheel, "--no-upstream")
    assert ended.code == 0 and held(store) == {wheel.name}
    assert ended.err.startswith("No wheel is tried: No container engine can start a container here")
    assert ended.err.count("\n") == 1
    monkeypatch.setenv(CHOICE, "nonsense")
    assert imported(store, wheel, "--no-upstream").code == 2
    assert imported(store, wheel, "--no-upstream", "--no-trial").code == 0


class TestDryRun:
    def rehearsed(self, store: DirectoryStore, *words: str | Path) -> Said:
        before = snapshot(store.path)
        ended = command("import", *words, "--store", store.path, "--no-upstream", "--no-trial", "--dry-run")
        assert snapshot(store.path) == before
        return ended

    def test_what_the_store_would_refuse_is_refused(self, store: DirectoryStore, tmp_path: Path) -> None:
        other = make_wheel(tmp_path, "before", body="# other")
        ended = self.rehearsed(store, other, "--channel", "stable")
        assert ended.code == 4 and "the channel has this file name with other bytes" in ended.error

    def test_what_is_there_already_and_what_is_new(self, store: DirectoryStore, tmp_path: Path) -> None:
        same = tmp_path / "before/before-1.0-py3-none-any.whl"
        ended = self.rehearsed(store, same, "--channel", "stable")
        assert ended.out.endswith(f"Already published in stable of {store.path}: nothing would change.\n")
        ended = self.rehearsed(store, same, "--channel", "new")
        assert ended.out.endswith(f"Would publish 1 wheel in new of {store.path}, a new channel.\n")

    def test_a_store_that_is_damaged_or_newer(self, store: DirectoryStore, tmp_path: Path) -> None:
        head = store.path / "channels/stable/head.json"
        for text, words in (("{}", "is damaged"), ('{"schema": 99}', "has schema 99")):
            head.write_text(text)
            ended = self.rehearsed(store, make_wheel(tmp_path), "--channel", "stable")
            assert ended.code in (2, 4) and words in ended.error
