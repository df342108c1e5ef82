from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from test_schedule import build, failing, pure

from wheelbuilder.build.outcomes import Built, Covered, Failed, FailureClass, Step, StepResult
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.report import records
from wheelbuilder.report.keep import keep, keep_run
from wheelbuilder.report.records import Record, record, to_bytes


def failed(log: Path | None) -> Failed:
    steps = (
        StepResult(step=Step.FETCH, seconds=0.1, ok=True, network=True),
        StepResult(step=Step.BUILD, seconds=2.0, ok=False, log=log),
    )
    return Failed(
        build=build(),
        failure=FailureClass.COMPILER,
        step=Step.BUILD,
        summary="s",
        hint="h",
        lines=("l",),
        steps=steps,
    )


def test_a_failure_is_kept_with_its_log_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"error: \xff\n")
    kept = record(failed(log))
    store = DirectoryStore(tmp_path / "store")
    keep(store, [kept])
    document = json.loads((store.path / kept.key).read_text())
    assert (document["outcome"], document["class"], document["step"]) == ("failed", "compiler", "build")
    key = document["steps"][1]["log"]
    data = (store.path / key).read_bytes()
    assert gzip.decompress(data) == b"error: \xff\n" and hashlib.sha256(data).hexdigest() in key
    assert "log" not in document["steps"][0]
    keys = {listed.key.split("/")[0] for listed in store.list()}
    assert keys == {"records", "logs"}


def test_equal_logs_have_equal_names(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("the same\n")
    assert record(failed(log)).logs == record(failed(log)).logs


def test_of_a_long_log_the_end_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_LOG", 10)
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100 + b"0123456789")
    kept = record(failed(log)).logs[1]
    assert kept and gzip.decompress(kept.data) == b"0123456789"


def test_the_sdist_of_a_wheel_is_kept(tmp_path: Path) -> None:
    (tmp_path / "sdist").write_bytes(b"source")
    outcome = pure(build())
    assert isinstance(outcome, Built)
    made = Built(build=outcome.build, wheel=outcome.wheel, sdist=tmp_path / "sdist", steps=())
    store = DirectoryStore(tmp_path / "store")
    keep(store, [record(made)])
    (sdist,) = (listed.key for listed in store.list("sdists/"))
    assert sdist == f"sdists/{made.build.sdist.sha256}/foo-1.0.tar.gz"


def test_a_covered_target_names_the_one_that_covers_it() -> None:
    covered = Covered(build=build(), by=build().target, filename="foo-1.0-py3-none-any.whl")
    document = Record(outcome=covered, logs=()).document()
    assert (document["outcome"], document["by"]) == ("covered", str(covered.by)) and document["steps"] == []


def test_documents_are_json_in_a_fixed_order(tmp_path: Path) -> None:
    assert to_bytes({"b": 1, "a": [1]}) == b'{\n "a": [\n  1\n ],\n "b": 1\n}\n'
    store = DirectoryStore(tmp_path)
    assert keep_run(store, "r1", {"x": 1}) == "runs/r1.json" and (tmp_path / "runs/r1.json").exists()
    assert json.loads(to_bytes(record(failing(build())).document()))["summary"] == ""
