"""What the host reads after foreign code has run; the hooks themselves run in test_bad_members."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wheelbuilder.build import backend
from wheelbuilder.build.backend import _attempted, _tidy, static_requirements
from wheelbuilder.build.outcomes import FailureClass, StepFailedError

SNMP = """Ip: Forwarding DefaultTTL OutNoRoutes
Ip: 1 64 {routes}
Udp: InDatagrams NoPorts
Udp: 0 {ports}
Ip6OutNoRoutes                  	{six}
"""


@pytest.mark.parametrize(
    ("text", "attempted"),
    [
        (SNMP.format(routes=0, ports=0, six=0), False),
        (SNMP.format(routes=1, ports=0, six=0), True),
        (SNMP.format(routes=0, ports=2, six=0), True),
        (SNMP.format(routes=0, ports=0, six=3), True),
        ("", False),
        ("Ip: a b\nIp:\nnonsense\n\0\n", False),
    ],
)
def test_counters_tell_of_attempts(text: str, attempted: bool, tmp_path: Path) -> None:
    (tmp_path / "network").write_text(text)
    assert _attempted(tmp_path / "network") is attempted


def test_counters_that_are_not_a_file_tell_nothing(tmp_path: Path) -> None:
    assert not _attempted(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    assert not _attempted(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/proc/net/snmp")
    assert not _attempted(tmp_path / "link")


@pytest.mark.parametrize("answer", [None, 1, ["x"], {"a": 1}])
def test_an_answer_of_the_wrong_type_is_a_failure(answer: object, tmp_path: Path) -> None:
    path = tmp_path / "output.json"
    path.write_text(json.dumps({"unsupported": False, "return_val": answer}))
    with pytest.raises(StepFailedError) as caught:
        _tidy(path, "build_wheel")
    assert caught.value.failure is FailureClass.BACKEND and "build_wheel returned" in caught.value.summary


def test_warnings_are_dropped_and_what_is_no_answer_is_left(tmp_path: Path) -> None:
    path = tmp_path / "output.json"
    for told in ({"return_val": "x.whl"}, {"no_backend": True, "return_val": None}, {"unsupported": True}):
        path.write_text(json.dumps({**told, "warnings": ["odd"]}))
        _tidy(path, "build_wheel")
        assert json.loads(path.read_text()) == told
    _tidy(tmp_path / "none", "build_wheel")


def test_what_is_not_a_small_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "dangling").symlink_to("/nowhere")
    monkeypatch.setattr(backend, "MOST_READ", 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    for name in ("pipe", "folder", "link", "dangling", "large"):
        with pytest.raises(StepFailedError):
            _tidy(tmp_path / name, "build_wheel")


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
