"""Trials in real bare roots, a native and an emulated one, and the judgement on their answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from builds import FOREIGN, HOST
from engines import engine, image
from tinywheel import make_wheel

from wheelbuilder.build import trial
from wheelbuilder.build.bounds import Bounds
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.trial import Consumer, Trial, _advice, _broken, _excused, candidates
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.targets import Target


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


def tried(target: Target, folder: Path, wheel: Path, *needed: Path, partial: bool = False) -> str:
    """Try a wheel as its consumers on a target would; return the failure's words, "" for none."""
    name, version = wheel.name.split("-")[:2]
    catalogue = Catalogue.read(default_path())
    one = Trial(
        wheel=wheel, dependencies=needed, requirement=f"{name}=={version}", modules=(name,), partial=partial
    )
    consumer = Consumer(
        engine=engine(),
        image=image(target.arch),
        catalogue=catalogue,
        target=catalogue.target(f"cp311-manylinux_2_36_{target.arch}"),
        bounds=Bounds(timeout=120, silence=60, memory=1 << 30),
    )
    try:
        trial.run(one, consumer, folder=folder / "candidates", log=folder / "log")
    except StepFailedError as error:
        return f"{error.failure}: {error.summary} {error.lines}"
    return ""


@pytest.mark.engine
@pytest.mark.parametrize("target", [HOST, FOREIGN], ids=lambda it: it.arch)
class TestInABareRoot:
    def test_what_is_chosen_is_for_the_root(self, target: Target, tmp_path: Path) -> None:
        """Its tags, its markers, its Python; and the byte-code, where there is some, names its own paths."""
        tag = f"cp311-abi3-manylinux_2_17_{target.arch}"
        body = f"import needed, os; assert os.uname().machine == {target.arch!r}, __file__\n"
        body += "assert needed.f.__code__.co_filename == needed.__file__"
        needed = make_wheel(tmp_path, "needed", requires_python=">=3.11.1,<3.12", body="def f(): pass")
        requires = (
            f"needed; platform_machine == '{target.arch}'",
            f"never; platform_machine != '{target.arch}'",
        )
        wheel = make_wheel(tmp_path, tag=tag, requires=requires, body=body)
        assert tried(target, tmp_path, wheel, needed) == ""

    @pytest.mark.parametrize(
        "tag", ["cp311-cp311-manylinux_2_17_riscv64", "cp312-cp312-linux_{}", "cp39-cp39-any"]
    )
    def test_what_no_tag_accepts_is_not_installed(self, target: Target, tag: str, tmp_path: Path) -> None:
        said = tried(target, tmp_path, make_wheel(tmp_path, tag=tag.format(target.arch)))
        assert said.startswith("import-failed: pip did not install the wheel") and "(exit status 1)" in said
        assert "No matching distribution found for tiny==1.0" in said

    def test_what_lacks_something(self, target: Target, tmp_path: Path) -> None:
        wheel = make_wheel(tmp_path, requires=("nowhere",), body="import nowhere")
        said = tried(target, tmp_path, wheel)
        assert said.startswith("import-failed: pip did not install the wheel") and "nowhere" in said
        assert tried(target, tmp_path / "partial", wheel, partial=True) == ""

    def test_what_fails_on_import(self, target: Target, tmp_path: Path) -> None:
        bad = make_wheel(tmp_path, body="raise OSError('no such machine')")
        said = tried(target, tmp_path, bad)
        assert said.startswith(
            "import-failed: importing tiny in the bare root failed: OSError: no such machine"
        )
        broken = make_wheel(tmp_path, "broken", body="def f(:")
        assert "importing broken in the bare root failed: SyntaxError" in tried(target, tmp_path, broken)
        ends = make_wheel(tmp_path, "ends", body="import os; os._exit(3)")
        said = tried(target, tmp_path, ends)
        assert said.startswith(
            "import-failed: pip did not install the wheel, or importing it ended the interpreter (exit"
        )
