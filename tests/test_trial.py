"""The trial's judgement; trials themselves run in test_bad_members."""

from __future__ import annotations

from pathlib import Path

import pytest
from tinywheel import make_wheel

from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.trial import Trial, _advice, _broken, _excused, candidates


@pytest.mark.parametrize("answer", ["", "no", "[]", "5", '{"a": 1}', '{"a": {"error": "x"}}'])
def test_an_answer_that_a_module_made_up_is_a_failure(answer: str) -> None:
    if answer == "[]":
        answer = "[1]"
    with pytest.raises(StepFailedError) as caught:
        _broken(answer)
    assert caught.value.failure is FailureClass.IMPORT_FAILED


def test_an_answer() -> None:
    assert _broken("{}") == {}
    told = {"a": {"error": "E", "missing": None}}
    assert _broken('{"a": {"error": "E", "missing": null, "more": 1}}') == told


@pytest.mark.parametrize(
    ("missing", "partial", "excused"),
    [("other", True, True), ("other", False, False), ("own.sub", True, False), (None, True, False)],
)
def test_only_a_dependency_without_a_wheel_is_an_excuse(
    missing: str | None, partial: bool, excused: bool
) -> None:
    assert _excused({"error": "x", "missing": missing}, {"own"}, partial=partial) is excused


def test_a_library_that_was_left_outside_and_is_not_there_is_advice() -> None:
    error = "ImportError: libpq.so.5: cannot open shared object file: No such file or directory"
    assert "runtime-packages" in _advice(error, ("libpq.so.5",))
    assert "imports" in _advice(error, ()) and "imports" in _advice("ImportError", ("libpq.so.5",))


def test_pip_sees_the_wheel_and_its_dependencies_only(tmp_path: Path) -> None:
    one, other = make_wheel(tmp_path / "a", "one"), make_wheel(tmp_path / "b", "other")
    trial = Trial(wheel=one, dependencies=(other,), requirement="one==1.0", modules=("one",), partial=False)
    folder = candidates(trial, tmp_path / "candidates")
    assert {path.name for path in folder.iterdir()} == {one.name, other.name}
