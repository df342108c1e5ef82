from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from commands import command
from full_mirror import fill, flipped, rested
from mirrors import LATER, NOW, Interfering, dangling, nothing_at_all, snapshot, wheel_change
from packaging.utils import canonicalize_name

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.mirror.amend import amend
from wheelbuilder.mirror.audit import Finding, Kind, Severity, audit, is_clean
from wheelbuilder.mirror.commits import Commit
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import sealed
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.layout import View, head_key, page_key, state_key
from wheelbuilder.mirror.marks import Marks, read_marks, write_marks
from wheelbuilder.mirror.merge import Merged
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.read import contents, read_commit, read_head
from wheelbuilder.mirror.repair import Repair, plan
from wheelbuilder.mirror.repair_deeds import Deed
from wheelbuilder.mirror.settle import write
from wheelbuilder.mirror.states import ProjectState

IRREPLACEABLE = ("logs/", "sdists/", "runs/")


class Mirror(DirectoryStore):
    """A store that can be put back to what it was."""

    def remember(self) -> None:
        self.objects = {listed.key: (self.path / listed.key).read_bytes() for listed in self.list()}

    def put_back(self) -> None:
        for key in self.changed() | self.new():
            (self.path / key).unlink(missing_ok=True)
            if key in self.objects:
                (self.path / key).write_bytes(self.objects[key])

    def changed(self) -> set[str]:
        places = ((key, self.path / key, data) for key, data in self.objects.items())
        return {key for key, path, data in places if not path.exists() or path.read_bytes() != data}

    def new(self) -> set[str]:
        return {listed.key for listed in self.list()} - self.objects.keys()

    def bytes(self, key: str) -> bytes | None:
        found = self.get(key)
        return found.data if found else None

    def damage(self, key: str, position: int | None = None) -> None:
        """Delete an object, or flip a bit of the byte at a position."""
        data = (self.path / key).read_bytes()
        (self.path / key).unlink()
        if position is not None:
            (self.path / key).write_bytes(flipped(data, position))


def filled(folder: Path, projects: int) -> Mirror:
    store = Mirror(folder / "store")
    fill(store, folder / "built", [f"p{number}" for number in range(projects)])
    store.remember()
    return store


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("repair"), 3).path


@pytest.fixture
def store(published: Path, tmp_path: Path) -> Mirror:
    shutil.copytree(published, tmp_path / "store")
    copy = Mirror(tmp_path / "store")
    copy.remember()
    return copy


def repair(store: DirectoryStore, cache: Path | None = None) -> Repair:
    planned = plan(store, deep=True, now=LATER, patience=0, cache=cache)
    planned.carry_out()
    return planned


def deep(store: DirectoryStore) -> tuple[Finding, ...]:
    return audit(store, deep=True, patience=0)


def lost(planned: Repair) -> set[str]:
    return {remedy.key for remedy in planned.lost}


def assert_right(planned: Repair, after: Iterable[Finding]) -> None:
    """What a repair leaves wrong is only what snapshots, which never change, stand on; and it said so."""
    assert tuple(after) == planned.after
    for finding in after:
        if finding.severity is Severity.ERROR:
            assert finding.kind is Kind.MISSING and "snapshot 2 of stable" in finding.complaint
            assert finding.key.removesuffix(".metadata") in lost(planned)


def check(store: Mirror, key: str) -> None:
    """Repair one damaged object: everything is as it was before, or the loss is said."""
    planned = repair(store)
    assert key in {finding.key for finding in planned.before}, key
    after = deep(store)
    assert_right(planned, after)
    if key.startswith("files/") and key.endswith(".whl"):
        check_withdrawn(store, key, planned)
    elif key.startswith(IRREPLACEABLE):
        assert store.changed() == {key} and not store.exists(key) and store.new() == set()
        assert {finding.key for finding in after} == {key}
    elif key.endswith("snapshots.json"):
        assert store.changed() <= {key} and "notes are lost" in planned.remedies[0].words
    else:
        assert (store.changed(), store.new(), after) == (set(), set(), ()), key


def check_withdrawn(store: Mirror, key: str, planned: Repair) -> None:
    """Only heads and pages of this wheel's project changed, and no page of a channel links to it."""
    project = canonicalize_name(key.rpartition("/")[2].partition("-")[0])
    assert lost(planned) == {key} and f"wheelbuilder rebuild LIST {project}" in planned.lost[0].words
    pages = {
        page_key(channel, view, name)
        for channel in ("candidate", "stable")
        for view in View
        for name in (None, project)
    }
    heads = {head_key("candidate"), head_key("stable")}
    assert store.changed() <= {key, *heads, *pages}, key
    assert not store.exists(key) and dangling(store.path) == []
    assert all(name.startswith(("states/", "channels/")) for name in store.new())


@pytest.mark.integration
@pytest.mark.parametrize("part", range(4))
def test_whichever_of_200_objects_is_lost_or_damaged(tmp_path: Path, part: int) -> None:
    store = filled(tmp_path, 11)
    assert len(store.objects) >= 200
    for index, key in list(enumerate(sorted(store.objects)))[part::4]:
        for position in (None, index * 7919 % len(store.objects[key])):
            store.damage(key, position)
            check(store, key)
            store.put_back()


def test_one_of_every_kind(store: Mirror) -> None:
    kinds = {_kind(key): key for key in sorted(store.objects)}
    for index, key in enumerate(kinds.values()):
        store.damage(key, None if index % 2 else len(store.objects[key]) // 2)
        check(store, key)
        store.put_back()
    assert len(kinds) > 25


def _kind(key: str) -> str:
    parts = key.split("/")
    if parts[0] == "channels":
        return "/".join(part for part in parts if not part.startswith(("p", "theirs")))
    return parts[0] + parts[-1][-9:]


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
def test_many_damages_at_once(store: Mirror, seed: int) -> None:
    chance = random.Random(seed)
    documents = sorted(key for key in store.objects if key.endswith(".json") and "head" not in key)
    for number in range(12):
        pool = documents if number % 2 else sorted(store.objects.keys() - {"channels/stable/head.json"})
        for key in chance.sample(pool, chance.choice([2, 5, 10])):
            where = chance.randrange(len(store.objects[key]))
            store.damage(key, chance.choice([None, where]))
        planned = repair(store)
        after = deep(store)
        assert_right(planned, after)
        again = plan(store, deep=True, now=LATER, patience=0)
        assert {remedy.deed for remedy in again.remedies} <= {Deed.LOST}
        store.put_back()


class TestHistory:
    def test_two_neighbours_lost(self, store: Mirror) -> None:
        for number in (1, 2):
            store.damage(f"channels/stable/commits/{number}.json")
        planned = repair(store)
        assert "history begins with it" in planned.remedies[0].words
        assert deep(store) == () and read_commit(store, "stable", 1) is None
        second = read_commit(store, "stable", 2)
        assert second and second.digest == read_head(store, "stable").commit.parent

    def test_two_neighbours_damaged(self, store: Mirror) -> None:
        for number in (1, 2):
            store.damage(f"channels/stable/commits/{number}.json", 30)
        assert lost(repair(store)) == {"channels/stable/commits/1.json"}
        assert deep(store) == ()

    def test_the_head_and_its_commit(self, store: Mirror) -> None:
        store.damage("channels/stable/head.json", 3)
        store.damage("channels/stable/commits/3.json", 3)
        assert "channels/stable/commits/3.json" in lost(repair(store))
        assert is_clean(deep(store)) and read_head(store, "stable").commit.number == 2

    def test_a_head_older_than_what_is_kept(self, store: Mirror) -> None:
        older = read_commit(store, "stable", 2)
        assert older
        (store.path / "channels/stable/head.json").write_bytes(Head(commit=older).to_bytes())
        repair(store)
        assert store.changed() == set()

    def test_a_head_that_is_not_the_commit_that_is_kept_under_its_number(self, store: Mirror) -> None:
        before, kept = read_commit(store, "stable", 2), read_commit(store, "stable", 3)
        assert before and kept
        other = Commit(number=3, parent=before.digest, projects=before.projects, gap=before.gap, time="late")
        (store.path / "channels/stable/head.json").write_bytes(Head(commit=other).to_bytes())
        errors = {(it.key, it.complaint) for it in deep(store) if it.severity is Severity.ERROR}
        assert ("channels/stable/head.json", "is not the commit 3 that is kept") in errors
        assert not any("commits" in key for key, _ in errors)
        repair(store)
        assert store.changed() == set() and is_clean(deep(store))

    @pytest.mark.parametrize("further", range(3))
    def test_a_head_of_another_channel(self, store: Mirror, tmp_path: Path, further: int) -> None:
        """Which may have as many commits, or more, so that its own are not contradicted by ours."""
        for number in range(further):
            publish(store, "candidate", [wheel_change(tmp_path, f"new{number}")], run="", now=NOW)
        rested(store, "candidate")
        store.remember()
        shutil.copyfile(store.path / "channels/candidate/head.json", store.path / "channels/stable/head.json")
        errors = {it.key: it.complaint for it in deep(store) if it.severity is Severity.ERROR}
        assert "is the head of another channel, 'candidate'" in errors["channels/stable/head.json"]
        with pytest.raises(IntegrityError, match="of another channel"):
            publish(store, "stable", [wheel_change(tmp_path, "more")], run="", now=NOW)
        repair(store)
        assert store.changed() == set() and deep(store) == ()

    def test_a_head_that_does_not_follow_from_what_is_kept(self, store: Mirror) -> None:
        head = read_head(store, "stable").commit
        other = replace(head, number=4, parent="f" * 64)
        (store.path / "channels/stable/head.json").write_bytes(Head(commit=other).to_bytes())
        errors = {it.key: it.complaint for it in deep(store) if it.severity is Severity.ERROR}
        assert "follow from the commit 3 that is kept" in errors["channels/stable/head.json"]
        repair(store)
        assert store.changed() == set() and deep(store) == ()

    def test_a_channel_of_which_nothing_says_what_it_was(self, store: Mirror) -> None:
        shutil.rmtree(store.path / "channels/stable/commits")
        store.damage("channels/stable/head.json")
        assert lost(repair(store)) == {"channels/stable/head.json", "channels/stable/commits/2.json"}
        assert not is_clean(deep(store)) and store.changed() == {
            key
            for key in store.objects
            if key.startswith(("channels/stable/commits/", "channels/stable/head"))
        }

    def test_a_publisher_that_died(self, store: Mirror) -> None:
        second = read_commit(store, "stable", 2)
        assert second
        commit = read_head(store, "stable").commit
        new = Commit(
            number=4, parent=commit.digest, projects=second.projects, gap=second.gap, time=commit.time
        )
        (store.path / "channels/stable/head.json").write_bytes(Head(commit=new).to_bytes())
        planned = repair(store)
        assert "channels/stable/commits/4.json" in {remedy.key for remedy in planned.remedies}
        assert deep(store) == () and read_head(store, "stable").commit == new

    def test_a_commit_that_says_something_else_of_the_gap_view(self, store: Mirror) -> None:
        commit = read_head(store, "stable").commit
        wrong = Commit(number=4, parent=commit.digest, projects=commit.projects, time=commit.time)
        (store.path / "channels/stable/head.json").write_bytes(Head(commit=wrong).to_bytes())
        repair(store)
        assert is_clean(deep(store)) and read_head(store, "stable").commit.gap == commit.gap


class TestStates:
    def forget(self, store: Mirror, project: str) -> str:
        """Remove every copy of a state but what the pages say."""
        state = next(
            digest
            for name, digest in read_head(store, "candidate").commit.projects.items()
            if name == project
        )
        store.damage(state_key(state))
        for path in store.path.glob("channels/*/commits/*.json"):
            if state in path.read_text():
                path.unlink()
        return state

    def test_rebuilt_from_pages_and_records(self, store: Mirror) -> None:
        state = self.forget(store, "p2")
        planned = repair(store)
        assert store.bytes(state_key(state)) == store.objects[state_key(state)]
        assert not planned.lost and is_clean(deep(store))

    def test_rebuilt_with_less_where_the_record_is_lost_too(self, store: Mirror) -> None:
        before = contents(store, "candidate").projects
        state = self.forget(store, "p2")
        shutil.rmtree(store.path / "records")
        shutil.rmtree(store.path / "runs")
        assert state_key(state) in lost(repair(store))
        assert is_clean(deep(store)) and contents(store, "candidate").projects == before

    def test_rebuilt_with_what_is_retired(self, store: Mirror) -> None:
        def retire(state: ProjectState) -> Merged:
            files = tuple(replace(file, retired="2026-01-05T00:00:00Z") for file in state.files)
            return Merged(state=replace(state, files=files))

        amend(store, "candidate", {canonicalize_name("p2"): retire}, run="", now=NOW)
        pages = {view: store.bytes(f"channels/candidate/{view}/p2/index.html") for view in View}
        assert pages[View.GAP] is None and pages[View.WHOLE]
        self.forget(store, "p2")
        planned = repair(store)
        assert "is rebuilt from its pages" in planned.lost[0].words and is_clean(deep(store))
        assert pages == {view: store.bytes(f"channels/candidate/{view}/p2/index.html") for view in View}

    def test_withdrawn_where_the_pages_are_lost_too(self, store: Mirror) -> None:
        state = self.forget(store, "p2")
        for view in View:
            (store.path / f"channels/candidate/{view}/p2/index.html").unlink(missing_ok=True)
        planned = repair(store)
        (remedy,) = (it for it in planned.lost if it.key == state_key(state))
        assert "p2 is withdrawn from candidate" in remedy.words
        assert is_clean(deep(store)) and "p2" not in read_head(store, "candidate").commit.projects

    def test_from_this_machine(self, store: Mirror, tmp_path: Path) -> None:
        state = self.forget(store, "p2")
        (tmp_path / "cache/states").mkdir(parents=True)
        (tmp_path / "cache" / state_key(state)).write_bytes(store.objects[state_key(state)])
        shutil.rmtree(store.path / "channels/candidate/whole-json")
        planned = repair(store, cache=tmp_path / "cache")
        assert store.changed() == set() and not planned.lost

    def test_one_that_only_an_earlier_commit_needs(self, store: Mirror, tmp_path: Path) -> None:
        for version in ("1.0", "2.0"):
            publish(store, "stable", [wheel_change(tmp_path, "old", version)], run="", now=NOW)
        fourth = read_commit(store, "stable", 4)
        assert fourth
        key = state_key(fourth.projects[canonicalize_name("old")])
        for lost_key in (key, "channels/stable/commits/4.json"):
            path = store.path / lost_key
            path.write_bytes(flipped(path.read_bytes(), 30))
        (remedy,) = repair(store).lost
        assert remedy.key == key and "commit 4 of stable cannot be rolled back to" in remedy.words
        assert is_clean(deep(store)) and read_commit(store, "stable", 4) == fourth


class TestWheels:
    def test_a_rebuild_can_publish_it_again(self, store: Mirror, tmp_path: Path) -> None:
        key = next(key for key in store.objects if "/p0-" in key and key.endswith(".whl"))
        store.damage(key, 100)
        repair(store)
        change = wheel_change(tmp_path, "p0", requires_python=">=3.8")
        assert publish(store, "candidate", [change], run="", now=NOW).changed == ("p0",)
        assert store.bytes(key) == store.objects[key] and is_clean(deep(store))

    def test_snapshots_that_go_on_listing_it_are_named(self, store: Mirror) -> None:
        store.damage(next(key for key in store.objects if "/p0-" in key and key.endswith(".whl")))
        assert repair(store).lost[0].words.endswith("Snapshots that go on listing it: stable@2")

    def test_a_wheel_and_its_metadata(self, store: Mirror) -> None:
        key = next(key for key in store.objects if key.endswith(".whl"))
        store.damage(key, 50)
        store.damage(f"{key}.metadata", 5)
        planned = repair(store)
        assert lost(planned) == {key}
        assert_right(planned, deep(store))
        assert not store.exists(f"{key}.metadata")

    def test_damaged_provenance_is_removed(self, store: Mirror) -> None:
        key = next(key for key in store.objects if key.endswith(".whl")) + ".provenance"
        (store.path / key).write_text("{")
        assert lost(repair(store)) == {key} and deep(store) == ()


class TestCare:
    def test_a_dry_run_writes_nothing(self, store: Mirror) -> None:
        for key in sorted(store.objects)[::9]:
            store.damage(key, 1)
        before = snapshot(store.path)
        assert plan(store, deep=True, now=LATER, patience=0).remedies
        assert snapshot(store.path) == before

    def test_nothing_to_do_writes_nothing(self, store: Mirror) -> None:
        before = snapshot(store.path)
        assert repair(store).remedies == ()
        assert snapshot(store.path) == before

    @pytest.mark.parametrize(
        "key", ["channels/stable/head.json", "channels/stable/commits/2.json", "runs/x.json"]
    )
    def test_what_a_newer_wheelbuilder_wrote_is_left_alone(self, store: Mirror, key: str) -> None:
        (store.path / key).with_suffix(".json").write_bytes(sealed({"schema": 2, "new": True}))
        store.damage("channels/stable/simple/index.html")
        before = snapshot(store.path)
        with pytest.raises(ConfigurationError, match="schema 2"):
            repair(store)
        assert snapshot(store.path) == before

    def test_another_writer_since_the_audit(self, store: Mirror, tmp_path: Path) -> None:
        store.damage(next(key for key in store.objects if "/p2-" in key and key.endswith(".whl")))
        planned = plan(store, deep=True, now=LATER, patience=0)
        publish(store, "candidate", [wheel_change(tmp_path, "other")], run="", now=NOW)
        with pytest.raises(UnreachableError, match="somebody else meanwhile"):
            planned.carry_out()
        assert "other" in contents(store, "candidate").projects
        repair(store)
        assert is_clean(deep(store)) and "other" in contents(store, "candidate").projects

    @pytest.mark.parametrize("dies", [False, True])
    def test_a_publisher_that_makes_the_page_which_a_repair_deletes(
        self, store: Mirror, tmp_path: Path, dies: bool
    ) -> None:
        """Also with the very bytes that were planned for, and where the repair dies right afterwards."""
        change, name = wheel_change(tmp_path, "other"), canonicalize_name("other")
        page = page_key("stable", View.GAP, name)
        publish(store, "stable", [change], run="", now=NOW)
        stray = store.bytes(page)
        empty = {name: lambda it: Merged(state=ProjectState(name=it.name))}
        amend(store, "stable", empty, run="", now=NOW)
        rested(store, "stable")
        assert stray
        write(store, page, stray)

        class Raced(Interfering):
            def delete(self, keys: Iterable[str]) -> None:
                publish(store, "stable", [change], run="", now=NOW)
                super().delete(keys)
                if dies:
                    raise KeyboardInterrupt

        planned = plan(Raced(store, 0, nothing_at_all), deep=True, now=LATER, patience=0)
        with pytest.raises(KeyboardInterrupt) if dies else nullcontext():
            planned.carry_out()
        if dies:
            assert not store.exists(page)
            publish(store, "stable", [], run="", now=NOW)
        assert store.bytes(page) == stray and is_clean(deep(store))

    def test_a_prune_does_not_delete_what_a_repair_has_made(self, store: Mirror) -> None:
        head = read_head(store, "stable").commit
        name = next(name for name in sorted(head.projects) if name in head.gap)
        key = state_key(head.projects[name])
        page = page_key("stable", View.GAP, name)
        store.damage(page)
        marks = Marks(since={key: "2025-01-01T00:00:00Z", "files/x/x.whl": "2025-01-01T00:00:00Z"})
        assert write_marks(store, marks)
        repair(store)
        assert read_marks(store).since.keys() == {"files/x/x.whl"}

    def test_a_record_that_lies_under_the_name_of_another(self, store: Mirror) -> None:
        one, other = sorted((store.path / "records").iterdir())[:2]
        shutil.copyfile(one, other)
        (remedy,) = repair(store).remedies
        assert (remedy.key, remedy.deed) == (f"records/{other.name}", Deed.RESTORED)
        assert store.changed() == set() and deep(store) == ()

    def test_the_marks_of_a_prune(self, store: Mirror) -> None:
        (store.path / "prune.json").write_text("{}")
        (remedy,) = repair(store).remedies
        assert remedy.deed is Deed.REMOVED and deep(store) == ()

    @pytest.mark.parametrize("thorough", [False, True])
    @pytest.mark.parametrize("marks", [b"x", sealed({"since": [], "deleting": "", "started": 1})])
    def test_the_marks_of_a_prune_and_a_wheel(self, store: Mirror, marks: bytes, thorough: bool) -> None:
        """The state without the wheel is there already, so that whoever writes it asks the marks."""
        change = wheel_change(store.path.parent / "built", "p0", "9")
        publish(store, "candidate", [change], run="", now=NOW)
        next(store.path.glob("files/*/p0-9*.whl")).unlink()
        (store.path / "prune.json").write_bytes(marks)
        planned = plan(store, deep=thorough, now=LATER, patience=0)
        planned.carry_out()
        assert "prune.json" in {it.key for it in planned.remedies if it.deed is Deed.REMOVED}
        assert len(planned.lost) == 1 and is_clean(deep(store))


class TestCommand:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))

    def test_what_can_be_restored(self, store: Mirror) -> None:
        store.damage("channels/stable/whole/index.html", 5)
        dry = command("audit", store.path, "--deep", "--repair", "--dry-run")
        assert dry.code == 4 and "would be done:\n  restore: channels/stable/whole/index.html: " in dry.out
        assert store.changed()
        done = command("audit", store.path, "--deep", "--repair")
        assert done.code == 0 and done.out.endswith("\nclean: 0 errors, 0 remarks\n")
        assert done.out.startswith("error: channels/stable/whole/index.html: the page is not what")
        assert store.changed() == set()

    def test_what_cannot(self, store: Mirror) -> None:
        key = next(key for key in store.objects if key.endswith(".whl"))
        store.damage(key)
        said = command("audit", store.path, "--deep", "--repair", "--json")
        document = json.loads(said.out)
        assert said.code == 4 and document["lost"] == [key] and document["clean"] is False
        (left,) = (finding for finding in document["left"] if finding["severity"] == "error")
        assert left["complaint"] == "snapshot 2 of stable needs it, but it is missing"
        assert {"key", "deed", "words"} == document["repairs"][0].keys() and document["carried_out"] is True
        assert "; 1 objects cannot be restored" in said.err

    @pytest.mark.parametrize("words", [["--dry-run"], ["--repair", "--channel", "stable"]])
    def test_what_makes_no_sense(self, store: Mirror, words: Iterable[str]) -> None:
        assert command("audit", store.path, *words).code == 2
