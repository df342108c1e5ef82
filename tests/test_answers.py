"""What the host reads after foreign code has run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wheelbuilder.build import answers
from wheelbuilder.build.answers import answer, attempted_network
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
    assert attempted_network(tmp_path / "network") is attempted


def test_counters_that_are_not_a_file_tell_nothing(tmp_path: Path) -> None:
    assert not attempted_network(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    assert not attempted_network(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/proc/net/snmp")
    assert not attempted_network(tmp_path / "link")


@pytest.mark.parametrize("told", [None, 1, ["x"], {"a": 1}])
def test_an_answer_of_the_wrong_type_is_a_failure(told: object, tmp_path: Path) -> None:
    path = tmp_path / "output.json"
    path.write_text(json.dumps({"unsupported": False, "return_val": told}))
    with pytest.raises(StepFailedError) as caught:
        answer(path, "build_wheel")
    assert caught.value.failure is FailureClass.BACKEND and "build_wheel returned" in caught.value.summary


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\udcff", None])
def test_what_is_no_answer_is_a_failure(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "output.json"
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(StepFailedError, match="left no answer"):
        answer(path, "build_wheel")


def test_warnings_are_dropped_and_what_is_no_answer_is_left(tmp_path: Path) -> None:
    path = tmp_path / "output.json"
    for told in ({"return_val": "x.whl"}, {"no_backend": True, "return_val": None}, {"unsupported": True}):
        path.write_text(json.dumps({**told, "warnings": ["odd"]}))
        assert json.loads(answer(path, "build_wheel")) == told


def test_what_is_not_a_small_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "dangling").symlink_to("/nowhere")
    monkeypatch.setattr(answers, "MOST_READ", 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    for name in ("pipe", "folder", "link", "dangling", "large"):
        with pytest.raises(StepFailedError, match=r"something other|more than"):
            answer(tmp_path / name, "build_wheel")
