from __future__ import annotations

import json
from typing import Any

import pytest
from packaging.utils import NormalizedName, canonicalize_name

from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.mirror.commits import (
    Commit,
    History,
    Step,
    ancestors,
    differing,
    step_back,
)
from wheelbuilder.mirror.documents import sealed
from wheelbuilder.mirror.heads import Head
from wheelbuilder.mirror.trail import Trace

A, B, C = (canonicalize_name(name) for name in "abc")
FIRST = Commit(number=1, projects={A: "1" * 64, B: "2" * 64}, gap=frozenset({A}), time="t1", run="r1")
SECOND = Commit(
    number=2,
    parent=FIRST.digest,
    projects={A: "3" * 64, C: "4" * 64},
    gap=frozenset({C}),
    time="t2",
    run="r2",
    note="why",
)
THIRD = Commit(number=3, parent=SECOND.digest, projects=SECOND.projects, gap=frozenset({A, C}), time="t3")
MOMENT = "2026-01-02T03:04:06Z"
STEPS = (step_back(THIRD, SECOND), step_back(SECOND, FIRST))


def head_with(**values: Any) -> bytes:
    commit = SECOND.values() | values
    return sealed({"commit": commit, "unsettled": []})


def test_a_head_survives_the_way_to_bytes_and_back() -> None:
    trail = {"": Trace(time="2026-01-02T03:04:05Z", again=True), "a": Trace(time=MOMENT, grown=True)}
    head = Head(commit=THIRD, unsettled=STEPS, trail=trail, etag="e")
    assert Head.from_bytes(head.to_bytes(), "head", "e") == head


@pytest.mark.parametrize("step", [None, STEPS[1]])
def test_a_kept_commit_survives_the_way_to_bytes_and_back(step: Step | None) -> None:
    kept = History(commit=SECOND, step=step, states={"3" * 64: b'{"a": "\\u00e9"}\n'})
    assert History.from_bytes(kept.to_bytes(), "x") == kept


def test_steps_lead_back_to_the_very_commits() -> None:
    chain = ancestors(THIRD, STEPS, "head")
    assert chain == (THIRD, SECOND, FIRST)
    assert [commit.digest for commit in chain] == [THIRD.digest, SECOND.digest, FIRST.digest]


def test_a_step_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(IntegrityError, match="head does not hang together"):
        ancestors(THIRD, STEPS[1:], "head")


def test_projects_that_differ() -> None:
    assert differing(SECOND, FIRST) == [A, B, C]
    assert differing(THIRD, SECOND) == [A]
    assert differing(THIRD, THIRD) == []
    assert differing(FIRST, Commit(number=0)) == [A, B]


def test_the_bytes_do_not_depend_on_order() -> None:
    names = [NormalizedName("b"), NormalizedName("a")]
    one, other = (Commit(number=1, projects=dict.fromkeys(order, "f" * 64)) for order in (names, names[::-1]))
    assert (one.digest, Head(commit=one).to_bytes()) == (other.digest, Head(commit=other).to_bytes())


def test_every_changed_byte_of_a_head_is_noticed() -> None:
    data = Head(commit=THIRD, unsettled=STEPS).to_bytes()
    for position in range(len(data)):
        for bit in (1, 0x20):
            damaged = bytearray(data)
            damaged[position] ^= bit
            with pytest.raises((IntegrityError, ConfigurationError), match=r"^head"):
                Head.from_bytes(bytes(damaged), "head")


def test_a_newer_schema_is_said_so() -> None:
    data = json.dumps(json.loads(Head(commit=FIRST).to_bytes()) | {"schema": 2}).encode()
    with pytest.raises(ConfigurationError, match="head has schema 2"):
        Head.from_bytes(data, "head")


@pytest.mark.parametrize(
    "values",
    [
        {"number": "3"},
        {"number": 0},
        {"projects": {"foo-bar": 1}},
        {"projects": {"foo-bar": "../../head"}},
        {"projects": {"../x": "f" * 64}},
        {"gap": ["other"]},
        {"gap": "foo-bar"},
        {"parent": None},
    ],
)
def test_what_no_channel_can_hold_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=r"^head"):
        Head.from_bytes(head_with(**values), "head")


@pytest.mark.parametrize(
    "trail",
    [
        {"A_b": {"time": MOMENT, "again": True, "grown": False}},
        {"a": {"time": "2026-01-02T03:04:05", "again": True, "grown": False}},
        {"a": {"time": "yesterday", "again": True, "grown": False}},
        {"a": {"time": MOMENT, "again": 1, "grown": False}},
        {"a": []},
        [],
    ],
)
def test_a_trail_that_nobody_writes_is_refused(trail: Any) -> None:
    with pytest.raises(IntegrityError, match=r"^head"):
        Head.from_bytes(sealed({"commit": SECOND.values(), "unsettled": [], "trail": trail}), "head")


def test_a_head_of_an_older_version_has_no_trail() -> None:
    assert Head.from_bytes(head_with(), "head") == Head(commit=SECOND)
