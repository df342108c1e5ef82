"""Which branches need the files of a channel: from claims of several writers to what readers are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from builds import HOST, build, built
from commands import command
from mirrors import LATER, NOW, Interfering, nothing_at_all, upstream_file, wheel_change
from mirrors import snapshot as files_of
from packaging.utils import canonicalize_name

from wheelbuilder.errors import IntegrityError
from wheelbuilder.inputs.lists import RequirementsList
from wheelbuilder.inputs.pins import parse_constraints
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.care import remove, select, yank
from wheelbuilder.mirror.channels import Reference, promote, resolve
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.needs import Claim, Need, as_tree, of_tree
from wheelbuilder.mirror.prune import prune
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import contents, gap_states
from wheelbuilder.mirror.states import ProjectState
from wheelbuilder.mirror.sync import copy, survey
from wheelbuilder.mirror.unneeded import lapsed, take_off
from wheelbuilder.pipeline.needs import Needs
from wheelbuilder.pipeline.request import Request
from wheelbuilder.plan.plans import Plan

FOO = canonicalize_name("foo")
WHEEL, OLD = "foo-2.0-py3-none-any.whl", "foo-1.0-py3-none-any.whl"
X86, ARM = "cp311-x86_64", "cp311-aarch64"
AUTHOR = Author(run="by hand", now=LATER)


def need(filename: str, branch: str, target: str = X86, owner: str = "nightly") -> Need:
    return Need(filename=filename, owner=owner, branch=branch, target=target)


def claim(*needs: Need, owner: str = "nightly", judged: tuple[str, ...] = (X86,), **values: Any) -> Claim:
    return Claim(owner=owner, branches=("a", "b"), targets=(X86, ARM), judged=judged, needs=needs, **values)


def claimed(store: DirectoryStore, it: Claim, channel: str = "test") -> None:
    publish(store, channel, [Change(project=FOO, claim=it)], run="", now=NOW)


def state(store: DirectoryStore, channel: str = "test") -> ProjectState:
    (found,) = gap_states(store, resolve(store, Reference.parse(channel)))
    return found


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Two versions of a project; branch a needs the new one and branch b the old one."""
    made = DirectoryStore(tmp_path / "store")
    changes = [wheel_change(tmp_path / "built", version=version) for version in ("1.0", "2.0")]
    publish(made, "test", [*changes, Change(project=FOO, claim=claim(A, B))], run="", now=NOW)
    return made


A, B = need(WHEEL, "a"), need(OLD, "b")


def test_claims_of_other_lists_and_targets_stay() -> None:
    other = need(WHEEL, "a", owner="other")
    known = (A, B, need(WHEEL, "a", ARM), other)
    assert claim(A).merged(known) == tuple(sorted({A, need(WHEEL, "a", ARM), other}))
    assert claim(judged=(X86, ARM)).merged(known) == (other,)
    gone = replace(claim(judged=()), branches=("b",), targets=(X86,))
    assert gone.merged(known) == tuple(sorted({B, other}))  # neither branch nor target is in the list now


def test_a_branch_needs_one_file_of_a_project_on_a_target() -> None:
    assert claim(need("new.whl", "a"), judged=()).merged((A, B)) == (B, need("new.whl", "a"))


def test_a_claim_leaves_what_it_has_not_seen_to_who_has_looked_later() -> None:
    late, other = need("late.whl", "a"), need("late.whl", "a", owner="other")
    known = (late, B, other)
    for needs in ((), (A,)):
        looked = claim(*needs, seen=(WHEEL, OLD))
        assert looked.merged(known) == tuple(sorted({late, other}))
        assert replace(looked, seen=(WHEEL, OLD, "late.whl")).merged(known) == tuple(sorted({*needs, other}))
    assert claim(A, seen=()).merged((B,)) == tuple(sorted({A, B}))


def test_jobs_of_one_list_and_target_at_once_drop_nothing_of_each_other(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    publish(store, "test", [wheel_change(tmp_path / "old", version="0.9")], run="", now=NOW)
    first, second = (Needs(planned(store)) for _ in range(2))
    made = built(build("foo"), "py3-none-any")
    second.add(made)
    wheel = wheel_change(tmp_path / "new", version="1.0")
    publish(store, "test", [wheel, *second.new()], run="", now=NOW)
    publish(store, "test", [*first.all()], run="", now=NOW)
    (found,) = state(store).needs
    assert (found.filename, found.branch, found.target) == (made.wheel.path.name, "main", str(HOST))
    publish(store, "test", [*Needs(planned(store)).all()], run="", now=NOW)
    assert state(store).needs == ()


def planned(store: DirectoryStore) -> Request:
    """A run that has looked at the channel, and is to build the one pin of its list."""
    wanted = build("foo")
    listed: dict[str, Any] = {"recipes": {}, "upstream": "", "build_constraints": ()}
    branches = (parse_constraints("foo===1.0", "main"),)
    unasked: dict[str, Any] = dict.fromkeys(("catalogue", "index", "memory"))
    return Request(
        listed=RequirementsList(name="nightly", channel="test", targets=(HOST,), branches=branches, **listed),
        plan=Plan(targets=(HOST,), decisions=(wanted,), gaps={}, upstream={}),
        store=store,
        mirror=contents(store, "test").projects,
        **unasked,
    )


def test_needs_survive_the_way_to_json_and_back() -> None:
    needs = tuple(sorted({A, B, need(WHEEL, "a", ARM), need(OLD, "b", owner="other")}))
    assert of_tree(json.loads(json.dumps(as_tree(needs)))) == needs
    for bad in ({"f": 1}, {"f": {"o": {"b": 1}}}, {"f": {"o": {"b": [1]}}}, {"f": {"o": ["b"]}}):
        with pytest.raises(ValueError, match=r"is not a table|are no strings"):
            of_tree(bad)
    with pytest.raises(IntegrityError, match=r"'x\.whl' is said to be needed, and is not there"):
        ProjectState.from_bytes(ProjectState(name=FOO, needs=(need("x.whl", "a"),)).to_bytes(), "s")


def test_the_same_claim_again_writes_nothing(store: DirectoryStore) -> None:
    before = files_of(store.path)
    counting = Interfering(store, 0, nothing_at_all)
    publish(counting, "test", [Change(project=FOO, claim=claim(A, B))], run="", now=LATER)
    assert files_of(store.path) == before
    assert not [call for call in counting.calls if call[0] == "put"]


def test_a_claim_that_differs_moves_no_page(store: DirectoryStore) -> None:
    before = files_of(store.path)
    claimed(store, claim(A))
    new = {key for key, value in files_of(store.path).items() if before.get(key) != value}
    assert {key for key in new if not key.startswith(("states/", "."))} == {
        "channels/test/head.json",
        "channels/test/commits/2.json",
    }
    assert state(store).needs == (A,)
    assert state(store).unneeded == {OLD: "2026-01-02T03:04:05Z"}
    claimed(store, claim(A, B))
    assert state(store).needs == tuple(sorted({A, B})) and state(store).unneeded == {}
    assert is_clean(audit(store, deep=True, patience=0))


def test_writers_with_different_targets_and_lists_at_once(store: DirectoryStore) -> None:
    arm = claim(need(WHEEL, "b", ARM), judged=(ARM,))
    other = claim(need(OLD, "a", owner="other"), owner="other")
    for at in range(1, 9):
        claimed(store, claim(A, B))
        publishing = Interfering(store, at, partial(claimed, store, arm))
        publish(publishing, "test", [Change(project=FOO, claim=other)], run="", now=LATER)
        assert set(state(store).needs) == {A, B, *arm.needs, *other.needs}
        for it in (replace(arm, needs=()), replace(other, needs=())):
            claimed(store, it)
        assert set(state(store).needs) == {A, B}


def test_needs_go_where_the_files_go(store: DirectoryStore, tmp_path: Path) -> None:
    promote(store, Reference.parse("test"), "stable", AUTHOR)
    claimed(store, claim(A))
    assert set(state(store, "stable").needs) == {A, B}
    assert set(state(store, "test@1").needs) == {A, B}
    there = DirectoryStore(tmp_path / "there")
    copy(store, there, survey(store, there))
    assert state(there) == state(store) and state(there, "stable") == state(store, "stable")
    (path,) = (it for it in (store.path / "states").iterdir() if it.stem in path_of(store))
    path.unlink()
    assert command("audit", store.path, "--repair").code == 0
    assert state(store).needs == (A,)


def path_of(store: DirectoryStore) -> set[str]:
    return set(resolve(store, Reference(channel="test")).projects.values())


def test_a_diff_tells_of_needs_in_one_line_a_project(store: DirectoryStore) -> None:
    claimed(store, claim(A, need(WHEEL, "b"), need(WHEEL, "b", ARM), judged=(X86, ARM)))

    def said(old: str, new: str, *words: str) -> str:
        ended = command("diff", old, new, "--store", store.path, *words)
        assert ended.code == 0
        return ended.out

    details = (
        f"{WHEEL} is needed by nightly, branch b, on {ARM}, {X86}; "
        f"{OLD} is no longer needed by nightly, branch b, on {X86}"
    )
    assert said("test@1", "test", "--ours") == f"~ foo: {details}\n"
    assert json.loads(said("test@1", "test", "--json")) == [
        {"project": FOO, "filename": "", "kind": "needs", "ours": True, "details": details}
    ]
    assert "is no longer needed by nightly, branch b, on cp311-aarch64" in said("test", "test@1")
    publish(store, "test", [Change(project=FOO, claim=claim(A, B))], run="", now=LATER)
    claimed(store, claim(A, judged=(X86, ARM)))
    publish(store, "test", [Change(project=FOO, claim=claim(A, B))], run="", now=LATER)
    publish(store, "test", [Change(project=FOO, claim=claim(A))], run="", now=LATER)
    since = "is not needed since 2026-02-03T04:05:06Z, not 2026-01-02T03:04:05Z"
    assert said("test@4", "test") == f"~ foo: {OLD} {since}\n"


def test_what_is_taken_off_or_shadowed_is_needed_by_nobody(store: DirectoryStore) -> None:
    yank(store, select(store, "test", ["foo==1.0"]), "old", AUTHOR)
    assert set(state(store).needs) == {A, B}
    theirs = upstream_file(WHEEL)
    publish(store, "test", [Change(project=FOO, upstream=(theirs,))], run="", now=LATER)
    assert state(store).needs == (B,) and set(state(store).unneeded) == {WHEEL}
    remove(store, select(store, "test", [WHEEL]), AUTHOR)
    assert state(store).unneeded == {}
    assert is_clean(audit(store, deep=True, patience=0))


def test_a_prune_takes_off_what_no_branch_has_needed_for_long(store: DirectoryStore, tmp_path: Path) -> None:
    publish(store, "test", [wheel_change(tmp_path / "by_hand", "imported")], run="", now=NOW)
    claimed(store, claim(A))
    assert lapsed(store, "test", NOW - timedelta(days=1)) == ()
    assert [it.file.filename for it in lapsed(store, "test", NOW)] == [OLD]
    before = files_of(store.path)
    dry = command("prune", "--store", store.path, "--unneeded", "1", "--dry-run")
    assert f"would be taken off test: {OLD} (no branch needs it since 2026-01-02T03:04:05Z)" in dry.out
    assert files_of(store.path) == before
    assert command("prune", "--store", store.path, "--unneeded", "36500").code == 0
    assert resolve(store, Reference.parse("test")).number == 3
    assert command("prune", "--store", store.path, "--unneeded", "1").code == 0
    states = gap_states(store, resolve(store, Reference.parse("test")))
    assert [file.filename for it in states for file in it.files] == [WHEEL, "imported-1.0-py3-none-any.whl"]
    assert list(store.path.glob(f"files/*/{OLD}"))  # an earlier commit has it
    for days in (0, 8):
        prune(store, commits=1, grace=timedelta(days=7), now=LATER + timedelta(days=days))
    assert not list(store.path.glob(f"files/*/{OLD}"))
    assert is_clean(audit(store, deep=True, patience=0))


def test_what_a_branch_needs_again_meanwhile_stays(store: DirectoryStore) -> None:
    claimed(store, claim(A))

    for at in range(1, 5):
        needed = Interfering(store, at, partial(claimed, store, claim(A, B)))
        take_off(needed, "test", LATER, AUTHOR)
        if {file.filename for file in state(store).files} == {OLD, WHEEL}:
            assert set(state(store).needs) == {A, B}
            claimed(store, claim(A))
        else:
            assert at > 1
            break


def test_a_reader_is_told(store: DirectoryStore) -> None:
    claimed(store, claim(A))
    shown = json.loads(command("channel", "show", "test", "--store", store.path, "--json").out)
    found = {row["filename"]: (row["needed_by"], row["unneeded_since"]) for row in shown["files"]}
    assert found == {WHEEL: ({"nightly": {"a": [X86]}}, None), OLD: ({}, "2026-01-02T03:04:05Z")}
    said = command("channel", "show", "test", "--store", store.path, "--files").out
    assert f"{WHEEL}: nightly, branch a, on {X86}" in said
    assert f"{OLD}: no branch needs it, since 2026-01-02T03:04:05Z" in said
    assert "2 files in the gap view; no branch needs 1 of them." in said


def test_a_list_that_does_not_run_any_more_is_forgotten(store: DirectoryStore) -> None:
    claimed(store, claim(need(WHEEL, "x", owner="other"), owner="other"))
    words = ("channel", "forget", "test")
    assert command(*words, "nightly", "--store", store.path).code == 0
    assert [it.owner for it in state(store).needs] == ["other"] and set(state(store).unneeded) == {OLD}
    before = files_of(store.path)
    again = command(*words, "nightly", "--store", store.path)
    assert again.code == 2 and again.error == "No list 'nightly' needs anything of test."
    assert files_of(store.path) == before
