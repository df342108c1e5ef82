from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from commands import command
from mirrors import NOW, Interfering, nothing_at_all, wheel_change
from s3_servers import FreshBucket
from samples import ARM, X86, fell, past

from wheelbuilder.mirror.audit import Severity, audit
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import sealed
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.store import Store
from wheelbuilder.mirror.stores import open_store
from wheelbuilder.plan.experience import Cost, Experience, Lessons
from wheelbuilder.report.memory import Memory, parsed, to_bytes

KEY = "experience/stable.json"
TODAY = date(2026, 11, 23)
FAILED = Lessons(failed=(past("a", blocked_by=("b==1",), build_tag=2, inputs={"root": '"x"'}),))
FELL = Lessons(fallen=(fell("a"), fell("b", target=str(X86))))
COSTS = Lessons(costs={"a": {str(X86): Cost(seconds=1.5, peak_memory=7), str(ARM): Cost(seconds=2.0)}})


def known(store: Store) -> Experience:
    return Memory(store, "stable").experience


def test_what_is_learned_is_known_to_the_next(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    memory = Memory(store, "stable")
    assert memory.experience == Experience()
    memory.learn(FAILED, TODAY)
    memory.learn(COSTS, TODAY)
    memory.learn(FELL, TODAY)
    learned = Experience().with_lessons(FAILED).with_lessons(COSTS).with_lessons(FELL)
    assert known(store) == memory.experience == learned
    assert Memory(store, "other").experience == Experience()


def test_reading_is_one_request_and_nothing_to_learn_is_none(tmp_path: Path) -> None:
    counting = Interfering(DirectoryStore(tmp_path), 0, nothing_at_all)
    memory = Memory(counting, "stable")
    memory.learn(Lessons(), TODAY)
    assert counting.calls == [("get", KEY)]
    memory.learn(FAILED, TODAY)
    assert counting.calls[1:] == [("put", KEY)]


def test_whether_people_were_told_is_kept(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    Memory(store, "stable").learn(Lessons(failed=(past("a", told=False), past("b", told=False))), TODAY)
    Memory(store, "stable").learn(Lessons(told=frozenset({past("a").attempt})), TODAY)
    assert {it.project: it.told for it in known(store).failures.values()} == {"a": True, "b": False}


def test_another_job_learned_meanwhile(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    early, late = Memory(store, "stable"), Memory(store, "stable")
    early.learn(FAILED, TODAY)
    late.learn(COSTS, TODAY)
    assert known(store) == Experience().with_lessons(FAILED).with_lessons(COSTS)
    early.learn(Lessons(mended=frozenset({FAILED.failed[0].attempt})), TODAY)
    assert known(store) == Experience().with_lessons(COSTS)


@pytest.mark.s3
def test_eight_jobs_learn_at_once(s3_bucket: FreshBucket) -> None:
    store = open_store(s3_bucket.address)
    memories = [Memory(store, "stable") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for number, memory in enumerate(memories):
            pool.submit(memory.learn, Lessons(failed=(past(f"p{number}"),)), TODAY)
    assert {failed.project for failed in known(store).failures.values()} == {f"p{n}" for n in range(8)}


def test_what_is_damaged_or_of_a_newer_version_is_learned_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    Memory(store, "stable").learn(FAILED, TODAY)
    path = tmp_path / KEY
    whole = path.read_bytes()
    for damage in (b"", b"{}", whole.replace(b"compiler", b"Compiler"), whole[:-9], b'{"schema":99}'):
        path.write_bytes(damage)
        assert known(store) == Experience()
        Memory(store, "stable").learn(COSTS, TODAY)
        assert known(store) == Experience().with_lessons(COSTS)


def test_a_document_from_before_there_was_a_ladder_is_read() -> None:
    values = json.loads(to_bytes(Experience().with_lessons(FAILED)))
    del values["falls"], values["~seal"]
    assert parsed(sealed(values), KEY) == Experience().with_lessons(FAILED)


def test_the_audit_finds_damage_and_the_repair_removes_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    publish(store, "stable", [wheel_change(tmp_path, "six", "1.0")], run="first", now=NOW)
    Memory(store, "stable").learn(FAILED, TODAY)
    assert [it for it in audit(store, deep=True) if it.key == KEY] == []
    path = store.path / KEY
    path.write_bytes(path.read_bytes().replace(b"compiler", b"Compiler"))
    assert [it.severity for it in audit(store, deep=True) if it.key == KEY] == [Severity.ERROR]
    assert command("audit", store.path, "--deep", "--repair").code == 0
    assert not path.exists()


def test_failures_that_nobody_meets_any_more_are_forgotten(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    memory = Memory(store, "stable")
    memory.learn(Lessons(failed=(past("old"), past("new", first=TODAY, last=TODAY))), TODAY)
    memory.learn(FELL, TODAY)
    memory.learn(COSTS, date(2027, 5, 20))
    assert [failed.project for failed in known(store).failures.values()] == ["new"]
    assert known(store).falls == {}


def test_equal_experience_is_equal_bytes() -> None:
    one, two = past("a"), replace(past("b"), target=str(ARM))
    orders = [Lessons(failed=(one, two)), Lessons(failed=(two, one))]
    forms = {to_bytes(Experience().with_lessons(lessons)) for lessons in orders}
    assert len(forms) == 1
    assert parsed(forms.pop(), KEY) == Experience().with_lessons(orders[0])
