"""What a project says of its backend before any of it runs; the hooks themselves run in test_hooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from wheelbuilder.build.backend import static_requirements
from wheelbuilder.build.outcomes import FailureClass, StepFailedError


def test_static_requirements(tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match="no pyproject"):
        static_requirements(tmp_path)
    (tmp_path / "setup.py").touch()
    assert "setuptools >= 40.8.0" in static_requirements(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[build-system]\nrequires = ["b", "a>=1"]\n')
    assert static_requirements(tmp_path) == ("a>=1", "b")


@pytest.mark.parametrize(
    "text", ["[[[", "[build-system]\n", "[build-system]\nrequires = 5\n", f"x = {'[' * 5000}", "x = '\udcff'"]
)
def test_a_bad_pyproject_is_a_failure_without_our_paths(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(StepFailedError) as caught:
        static_requirements(tmp_path)
    assert caught.value.failure is FailureClass.BACKEND and str(tmp_path) not in caught.value.summary
