"""What tells native code that was lost from a project that has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_wheelcheck import NATIVE, SUFFIX, elf, wheel

from wheelbuilder.build.native import native_sources, refuse_lost
from wheelbuilder.build.outcomes import FailureClass, StepFailedError

COMPLAINT = "x.c:3:10: fatal error: ffi.h: No such file or directory\nWARNING: going on without speed-ups\n"


def test_native_sources_are_those_of_the_product(tmp_path: Path) -> None:
    for name in ("setup.py", "tests/x.c", "docs/y.c", "src/Z.PYX", "a.rs", "b.h"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert native_sources(tmp_path) == ("a.rs", "src/Z.PYX")


def lost(folder: Path, printed: str, tag: str = "py3-none-any") -> StepFailedError:
    (folder / "log").write_text(printed)
    with pytest.raises(StepFailedError) as caught:
        refuse_lost(wheel(folder, tag), ("x.c",), folder / "log")
    assert caught.value.failure is FailureClass.NATIVE_LOST
    return caught.value


@pytest.mark.parametrize("tag", ["py3-none-any", NATIVE])
def test_what_the_build_got_over_is_the_reason(tmp_path: Path, tag: str) -> None:
    found = lost(tmp_path, COMPLAINT, tag)
    assert found.summary.endswith("no native code: the header ffi.h is missing")
    assert "system-packages" in found.hint and "optional" in found.hint
    assert found.lines[0].endswith("ffi.h: No such file or directory")


def test_without_a_complaint_the_sources_are_named(tmp_path: Path) -> None:
    found = lost(tmp_path, "all is well\n")
    assert "(x.c)" in found.summary and found.lines == ("x.c",)


def test_nothing_is_lost_where_there_is_code_or_was_none(tmp_path: Path) -> None:
    refuse_lost(wheel(tmp_path, NATIVE, {f"_foo.{SUFFIX}": elf()}), ("x.c",), None)
    refuse_lost(wheel(tmp_path), (), None)
    (tmp_path / "broken.whl").write_bytes(b"PK")
    refuse_lost(tmp_path / "broken.whl", ("x.c",), None)
