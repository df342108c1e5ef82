from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from builds import WAY, build, pure
from builds import failed as failing

from wheelbuilder.build.outcomes import Built, Covered, Failed, FailureClass, Step, StepResult
from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.documents import unsealed
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
    made = Built(build=outcome.build, wheel=outcome.wheel, sdist=tmp_path / "sdist", way=WAY, steps=())
    store = DirectoryStore(tmp_path / "store")
    keep(store, [record(made)])
    (sdist,) = (listed.key for listed in store.list("sdists/"))
    assert sdist == f"sdists/{made.build.sdist.sha256}/foo-1.0.tar.gz"


def test_a_covered_target_names_the_one_that_covers_it() -> None:
    covered = Covered(build=build(), by=build().target, filename="foo-1.0-py3-none-any.whl")
    document = Record(outcome=covered, logs=()).document()
    assert (document["outcome"], document["by"]) == ("covered", str(covered.by)) and document["steps"] == []


def test_documents_are_json_in_a_fixed_order_one_value_a_line_and_sealed(tmp_path: Path) -> None:
    data = to_bytes({"b": 1, "a": [1], "schema": 1})
    assert data.startswith(b'{\n "a": [\n  1\n ],\n "b": 1,\n "schema": 1,\n "~seal": "')
    assert unsealed(data, "x") == {"a": [1], "b": 1, "schema": 1}
    with pytest.raises(IntegrityError, match="x is damaged"):
        unsealed(data.replace(b'"b": 1', b'"b": 2'), "x")
    with pytest.raises(IntegrityError, match="x is damaged"):
        unsealed(data.replace(b"\n", b" "), "x")
    store = DirectoryStore(tmp_path)
    assert keep_run(store, "r1", {"x": 1}) == "runs/r1.json" and (tmp_path / "runs/r1.json").exists()
    assert json.loads(to_bytes(record(failing(build(), summary="")).document()))["summary"] == ""


def test_a_run_holds_the_very_records(tmp_path: Path) -> None:
    kept = record(failed(None))
    store = DirectoryStore(tmp_path)
    keep(store, [kept])
    assert (
        to_bytes(json.loads(to_bytes({"outcomes": [kept.document()]}))["outcomes"][0])
        == (tmp_path / kept.key).read_bytes()
    )
