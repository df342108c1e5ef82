"""From addresses to stores, through the command line: what is not there, and what is empty, is said so."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import command
from sdists import FileIndex, Workplace

from wheelbuilder.build.cache import cache_home
from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.mirror.stores import open_existing, open_store

READING = [
    ("audit", "STORE"),
    ("channel", "list", "--store", "STORE"),
    ("channel", "show", "stable", "--store", "STORE"),
    ("diff", "stable@1", "stable", "--store", "STORE"),
    ("promote", "candidate", "stable", "--store", "STORE"),
    ("rollback", "stable", "--store", "STORE"),
    ("snapshot", "stable", "--store", "STORE"),
    ("snapshot", "stable@1", "--remove", "--store", "STORE"),
    ("prune", "--store", "STORE"),
    ("sync", "STORE", "elsewhere"),
    ("yank", "a==1", "--reason", "x", "--store", "STORE"),
    ("unyank", "a==1", "--store", "STORE"),
    ("remove", "a==1", "--store", "STORE"),
    ("serve", "STORE"),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def of(words: tuple[str, ...], store: str | Path) -> list[str]:
    return [str(store) if word == "STORE" else word for word in words]


@pytest.mark.parametrize("words", READING, ids=lambda words: " ".join(words[:2]))
def test_a_store_that_does_not_exist_is_one_sentence(words: tuple[str, ...], here: Path) -> None:
    ended = command(*of(words, "typo"))
    assert (ended.code, ended.error) == (2, f"The store {here}/typo does not exist.")
    assert list(here.iterdir()) == []


def test_a_proof_says_that_the_mirror_is_an_empty_one(here: Path, tmp_path: Path) -> None:
    (here / "empty").mkdir()
    with FileIndex() as index:
        place = Workplace(folder=tmp_path / "place", index=index)
        place.write(["foo===1.0"])
        ended = command("retire", place.list_path, "--store", "typo")
        assert (ended.code, ended.error) == (2, f"The store {here}/typo does not exist.")
        for name, lacks in (("typo", "does not exist"), ("empty", "has no channel 'test'")):
            ended = command("coverage", place.list_path, "--store", name, "--json")
            assert ended.code == 1
            assert ended.err.splitlines()[0] == f"{here}/{name} {lacks}: it counts as an empty mirror."
        assert not (here / "typo").exists()


@pytest.mark.parametrize("words", [it for it in READING if it[0] not in ("serve", "prune")])
def test_an_empty_store_is_one_sentence(words: tuple[str, ...], here: Path) -> None:
    (here / "empty").mkdir()
    ended = command(*of(words, "empty"))
    if words[:2] == ("channel", "list"):
        assert (ended.code, ended.out) == (0, f"{here}/empty has no channels.\n")
    else:
        assert ended.code == 2 and f"{here}/empty has no channel" in ended.error
    assert list((here / "empty").iterdir()) == []


@pytest.mark.parametrize("address", ["s3://wheels/ci", "S3://wheels"])
def test_a_bucket_is_not_served(address: str) -> None:
    ended = command("serve", address)
    assert (ended.code, ended.error) == (2, f"{address} is a bucket, and only directories are served.")


def test_a_file_is_not_served(here: Path) -> None:
    (here / "file").write_text("")
    assert command("serve", "file").error == "file is a file, not a store."


def test_a_store_is_not_copied_into_itself(here: Path) -> None:
    (here / "one").mkdir()
    ended = command("sync", "one", here / "one")
    assert (ended.code, ended.error) == (2, f"{here}/one is to be copied into itself.")


def test_a_doctor_says_whether_it_is_the_store_or_the_machine() -> None:
    works = command("doctor", "--quick").code == 0
    ended = command("doctor", "--quick", "--store", "s3:/wheels")
    assert ended.code == 3 and "no  store" in ended.out
    assert ended.error == ("The store cannot be used." if works else "Builds cannot run on this machine.")


def test_who_writes_needs_no_store(here: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        open_existing("new")
    assert open_store("new").put("k", b"", content_type="", cache_control="")
    assert open_existing("new").exists("k")


@pytest.mark.parametrize("words", [("audit", "STORE"), ("channel", "list", "--store", "STORE")])
def test_a_place_that_cannot_be_looked_at_is_one_sentence(words: tuple[str, ...]) -> None:
    store = "n" * 300
    said = command(*(store if word == "STORE" else word for word in words))
    assert (said.code, "cannot be looked at: File name too long." in said.error) == (3, True)


def test_a_cache_that_cannot_be_made_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UnreachableError) as error:
        cache_home()
    assert error.value.message == f"The cache {tmp_path}/file/wheelbuilder cannot be made: Not a directory."
    assert "XDG_CACHE_HOME" in error.value.hint


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "~nobody-of-this-name/cache")
    with pytest.raises(UnreachableError, match="cannot be made: Could not determine home directory"):
        cache_home()
