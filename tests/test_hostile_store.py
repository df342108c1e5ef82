"""A store made on purpose to do harm: whole, sealed, and with digests that are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import command
from mirrors import NOW, snapshot, upstream_file, wheel_change
from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.mirror.commits import Commit, History
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import digest
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import commit_key, head_key, state_key
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.read import read_head, read_states
from wheelbuilder.mirror.states import ProjectState

FOO = canonicalize_name("foo")
Spoil = Callable[[ProjectState], ProjectState]


def ours(**values: object) -> Spoil:
    """Change our only file."""
    return lambda state: replace(state, files=(replace(state.files[0], **values),))  # type: ignore[arg-type]


def theirs(**values: object) -> Spoil:
    """Change upstream's only file."""
    return lambda state: replace(state, upstream=(replace(state.upstream[0], **values),))  # type: ignore[arg-type]


HOSTILE: dict[str, Spoil] = {
    "a script as an address": theirs(url="javascript:alert(document.domain)"),
    "a file as an address": theirs(url="file:///etc/passwd"),
    "an attribute in an address": theirs(url='https://x/" onmouseover="alert(1)'),
    "a way out as a name": ours(filename="../../../foo-1.0-py3-none-any.whl"),
    "an escape in a name": ours(filename="foo-1.0\x1b[2J-py3-none-any.whl"),
    "a line break in a name": theirs(filename="foo-1.0.tar.gz\nerror: x"),
    "a way out as a digest": ours(sha256="../../.."),
    "a way out as a build key": ours(build_key="../../../etc/passwd"),
}


def rewritten(store: DirectoryStore, spoil: Spoil) -> None:
    """Put a spoilt state in the place of the one that the head has, with everything that vouches for it."""
    commit = read_head(store, "stable").commit
    data = spoil(read_states(store, commit.projects)[FOO]).to_bytes()
    install(store, replace(commit, projects={FOO: digest(data)}), {digest(data): data})


def install(store: DirectoryStore, commit: Commit, states: dict[str, bytes]) -> None:
    history = History(commit=commit, step=None, states=states)
    written = {
        head_key("stable"): Head(commit=commit).to_bytes(),
        commit_key("stable", 1): history.to_bytes(),
    }
    for key, data in (written | {state_key(name): data for name, data in states.items()}).items():
        store.put(key, data, content_type="", cache_control="")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = DirectoryStore(tmp_path / "store")
    change = replace(wheel_change(tmp_path), upstream=(upstream_file(),))
    publish(made, "stable", [change], run="", now=NOW)
    return made


def test_the_same_without_harm_is_a_good_store(store: DirectoryStore, tmp_path: Path) -> None:
    rewritten(store, lambda state: state)
    assert command("audit", store.path, "--deep").code == 0
    assert command("sync", store.path, tmp_path / "copy").code == 0
    assert command("audit", tmp_path / "copy", "--deep").code == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_of_it_is_copied_promoted_or_believed(
    name: str, store: DirectoryStore, tmp_path: Path
) -> None:
    rewritten(store, HOSTILE[name])
    before = snapshot(store.path)
    for words in (
        ("sync", store.path, tmp_path / "copy"),
        ("promote", "stable", "other", "--store", store.path),
        ("yank", "foo==1.0", "--reason", "x", "--store", store.path),
        ("remove", "foo==1.0", "--store", store.path),
        ("diff", "stable", "other", "--store", store.path),
    ):
        ended = command(*words)
        assert ended.code in (2, 4) and ended.error.isprintable(), words
    assert {key: value for key, value in snapshot(store.path).items() if not key.startswith(".wheel")} == {
        key: value for key, value in before.items() if not key.startswith(".wheel")
    }
    ended = command("audit", store.path, "--deep")
    assert ended.code == 4 and "error: states/" in ended.out
    assert all(line.isprintable() for line in (ended.out + ended.err).splitlines())
    pages = [path.read_text() for path in (tmp_path / "copy").rglob("channels/**/*.html")]
    assert not pages and not (tmp_path / "copy/channels/stable/head.json").exists()


@pytest.mark.parametrize(
    "commit",
    [
        Commit(number=1, projects={NormalizedName("../x"): "a" * 64}),
        Commit(number=1, projects={FOO: "../../../etc/passwd"}),
        Commit(number=-1, projects={FOO: "a" * 64}),
        Commit(number=1, projects={FOO: "a" * 64}, run="../../etc/passwd", time="\x1b[2J", note="\x1b[2J"),
    ],
    ids=["project", "digest", "number", "words"],
)
def test_commits_that_lead_out(commit: Commit, store: DirectoryStore, tmp_path: Path) -> None:
    install(store, commit, {})
    for words in (
        ("audit", store.path, "--deep"),
        ("audit", store.path, "--repair", "--dry-run"),
        ("channel", "list", "--store", store.path),
        ("channel", "show", "stable", "--store", store.path),
        ("sync", store.path, tmp_path / "copy"),
        ("promote", "stable", "other", "--store", store.path),
        ("rollback", "stable", "1", "--store", store.path),
        ("snapshot", "stable", "--store", store.path),
        ("prune", "--store", store.path),
    ):
        ended = command(*words)
        assert ended.code in (0, 2, 3, 4), (words, ended.err)
        assert all(line.isprintable() for line in (ended.out + ended.err).splitlines())
        assert "bug" not in ended.err, (words, ended.err)
