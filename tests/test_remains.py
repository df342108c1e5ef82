from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mirrors import NOW, Interfering, nothing_at_all, wheel_change
from mirrors import snapshot as files_of

from wheelbuilder.cli.main import wheelbuilder
from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.channels import Reference, promote, resolve
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.prune import prune
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.remains import give_up, remains
from wheelbuilder.mirror.snapshots import take


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Two channels; one has a snapshot, and something that is remembered of its builds."""
    made, built = DirectoryStore(tmp_path / "store"), tmp_path / "built"
    publish(made, "stable", [wheel_change(built)], run="", now=NOW)
    publish(made, "other", [wheel_change(built, "qux")], run="", now=NOW)
    take(made, "other", resolve(made, Reference.parse("other@1")), now=NOW)
    made.put("experience/other.json", b"{}", content_type="", cache_control="")
    return made


def lose(store: DirectoryStore) -> None:
    (store.path / "channels/other/head.json").unlink()
    shutil.rmtree(store.path / "channels/other/commits")


def damage(store: DirectoryStore) -> None:
    for path in (store.path / "channels/other").rglob("*.json"):
        path.write_bytes(path.read_bytes()[:-3])


def command(store: DirectoryStore, channel: str, *options: str) -> Result:
    return CliRunner().invoke(
        wheelbuilder, ["channel", "remove", channel, "--store", str(store.path), *options]
    )


@pytest.mark.parametrize("loss", [lose, damage])
def test_what_is_left_is_listed_and_removed(
    store: DirectoryStore, loss: Callable[[DirectoryStore], None]
) -> None:
    loss(store)
    before = files_of(store.path)
    left = {key for key in before if key.startswith(("channels/other/", "experience/other"))}
    dry = command(store, "other", "--dry-run")
    assert all(f"would be deleted: {key} (" in dry.output for key in left)
    assert files_of(store.path) == before
    real = command(store, "other")
    assert f"{len(left)} objects were deleted." in real.output
    assert before.keys() - files_of(store.path).keys() == left
    assert is_clean(audit(store, deep=True, patience=0))


def test_a_prune_goes_on_then(store: DirectoryStore) -> None:
    lose(store)
    give_up(store, "other")
    for days in (0, 8):
        prune(store, commits=1, grace=timedelta(days=7), now=NOW + timedelta(days=days))
    assert [path.name for path in store.path.glob("files/*/*.whl")] == ["foo-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("left", ["head.json", "commits/1.json"])
def test_a_channel_that_can_be_restored_is_not_removed(store: DirectoryStore, left: str) -> None:
    kept = (store.path / "channels/other" / left).read_bytes()
    lose(store)
    store.put(f"channels/other/{left}", kept, content_type="", cache_control="")
    before = files_of(store.path)
    with pytest.raises(ConfigurationError, match="other is not lost"):
        give_up(store, "other")
    assert files_of(store.path) == before


@pytest.mark.parametrize(
    ("name", "words"), [("typo", "has nothing of a channel"), ("Stable x", "no.*channel name")]
)
def test_a_name_of_no_channel_is_an_error(store: DirectoryStore, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        remains(store, name)


def test_a_publication_meanwhile_keeps_its_head_and_is_told(store: DirectoryStore, tmp_path: Path) -> None:
    lose(store)
    bar = wheel_change(tmp_path / "built", "bar")
    looks = Interfering(store, 0, nothing_at_all)
    remains(looks, "other")

    def begin_anew() -> None:
        give_up(store, "other")
        publish(store, "other", [bar], run="", now=NOW)

    publishing = Interfering(store, looks.count + 1, begin_anew)
    with pytest.raises(UnreachableError, match="was published to meanwhile"):
        give_up(publishing, "other")
    assert resolve(store, Reference(channel="other")).number == 1


def test_nothing_is_published_to_a_channel_that_is_lost(store: DirectoryStore, tmp_path: Path) -> None:
    """Its numbers would begin again, and readers would see it go back in time."""
    lose(store)
    before = files_of(store.path)
    with pytest.raises(IntegrityError, match=r"other/head\.json is missing, but the channel has other") as it:
        publish(store, "other", [wheel_change(tmp_path / "more", "new")], run="", now=NOW)
    assert "channel remove other" in it.value.hint
    with pytest.raises(IntegrityError, match=r"other/head\.json is missing"):
        promote(store, Reference.parse("stable"), "other", Author(run="", now=NOW))
    assert files_of(store.path) == before
    give_up(store, "other")
    assert publish(store, "other", [wheel_change(tmp_path / "more", "new")], run="", now=NOW).number == 1
    assert is_clean(audit(store, deep=True, patience=0))
