"""The walk along what pins require: what is reached, why, and what no pin satisfies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from packaging.utils import canonicalize_name
from samples import ARM, X86

from wheelbuilder.inputs.demands import parse_demands
from wheelbuilder.inputs.pins import Pin, parse_constraints
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.closure import Closure, Walk
from wheelbuilder.plan.dependencies import Certainty, Dependencies


def walk(
    requirements: str,
    pins: str,
    requires: Mapping[str, Sequence[str]],
    *,
    target: Target = X86,
    bounds: str = "",
    certainty: Certainty = Certainty.WHEEL,
) -> Closure:
    """Walk to the end; what a pin requires becomes known one round after it was asked for."""
    text = f"{requirements}\n-c bounds.txt\n" if bounds else requirements
    demands = parse_demands(text, "main", place="app.txt", base="/app.txt", read=lambda _: bounds)
    walked = Walk(parse_constraints(pins, "main", file="pins.txt"), demands, target)
    known: dict[Pin, Dependencies] = {}
    while lacking := walked.proceed(known.get):
        for pin in lacking:
            known[pin] = Dependencies(
                requires=tuple(requires.get(pin.name, ())), certainty=certainty, file=f"{pin.name}.whl"
            )
    return walked.closure()


def test_what_is_needed_directly_or_not() -> None:
    pins = "app===1\none===1\ntwo===1\nthree===1\nunasked===1\n"
    found = walk("app>=1", pins, {"app": ["one", "two<2"], "one": ["three"], "three": ["app"]})
    assert list(found.reasons) == ["app", "one", "three", "two"]
    assert [str(pin) for pin in found.pins] == ["app===1", "one===1", "three===1", "two===1"]
    assert (found.unmet, found.doubts) == ((), ())


def test_markers_are_the_targets_own() -> None:
    pins = "app===1\nwin===1\narm===1\n"
    requires = {"app": ["win; sys_platform=='win32'", "arm; platform_machine=='aarch64'"]}
    assert list(walk("app", pins, requires).reasons) == ["app"]
    assert list(walk("app", pins, requires, target=ARM).reasons) == ["app", "arm"]
    assert list(walk("app;python_version>'3.12'", pins, requires).reasons) == []


def test_extras_bring_what_they_name_and_what_those_name() -> None:
    pins = "app===1\nbase===1\ntls===1\nall-of-it===1\nother===1\n"
    requires = {
        "app": ["base", "tls; extra == 'TLS'", "app[tls]; extra=='all'", "other; extra=='other'"],
        "tls": ["all_of_it; python_version>'3' and extra=='none'"],
    }
    assert list(walk("app", pins, requires).reasons) == ["app", "base"]
    assert list(walk("app[tls]", pins, requires).reasons) == ["app", "base", "tls"]
    assert list(walk("app[all]", pins, requires).reasons) == ["app", "base", "tls"]


def test_a_prerelease_that_is_pinned_satisfies() -> None:
    assert walk("app>=1.0", "app===2.0rc1\n", {}).unmet == ()


def test_the_shortest_chain_explains() -> None:
    pins = "".join(f"{name}===1\n" for name in ("a", "b", "c", "d"))
    found = walk("a\nb", pins, {"a": ["c"], "c": ["d"], "b": ["d>=1"]})
    assert list(map(str, found.chain(canonicalize_name("d")))) == ["app.txt:2: 'b'", "b===1 requires 'd>=1'"]
    assert list(map(str, found.reasons[canonicalize_name("d")])) == [
        "b===1 requires 'd>=1'",
        "c===1 requires 'd'",
    ]
    assert found.chain(canonicalize_name("x")) == ()


@pytest.mark.parametrize(
    ("requirements", "pins", "complaint"),
    [
        ("six>2", "six===1\n", "app.txt:1: 'six>2', but the branch main pins six===1 (pins.txt:1)"),
        ("none", "six===1\n", "app.txt:1: 'none', but the branch main does not pin it"),
        (
            "six",
            "six===1;python_version<'3.9'\n",
            'the branch main pins it only where other markers hold (pins.txt:1: python_version < "3.9")',
        ),
        ("six", "six===1\nsix===2\n", "the branch main has conflicting pins: six===1 (pins.txt:1), six===2"),
        ("six", "a===1\nSix>=1\n", "has a line that cannot be read (pins.txt:2: 'Six>=1' does not pin one"),
        (
            "app",
            "app===1\nsix===1\n",
            "app.txt:1: 'app', app===1 requires 'six>=2', but the branch main pins six===1 (pins.txt:2)",
        ),
    ],
)
def test_a_requirement_that_no_pin_satisfies_names_its_origin(
    requirements: str, pins: str, complaint: str
) -> None:
    (unmet,) = walk(requirements, pins, {"app": ["six>=2"]}).unmet
    assert complaint in str(unmet)
    assert str(unmet).endswith(f" for {X86}")


def test_each_unmet_requirement_is_told_and_the_walk_goes_on() -> None:
    found = walk("one>1\ntwo\nthree", "one===1\nthree===1\nfour===1\n", {"three": ["four", "five"]})
    assert [unmet.chain[-1].words for unmet in found.unmet] == ["one>1", "two", "five"]
    assert list(found.reasons) == ["four", "three"]


def test_bounds_exclude_and_ask_for_nothing() -> None:
    pins = "app===1\nsix===1\nunasked===1\n"
    assert walk("app", pins, {}, bounds="six>1\nunasked>1\n").unmet == ()
    (unmet,) = walk("app", pins, {"app": ["six"]}, bounds="six>1;python_version<'3'\nsix<1\n").unmet
    assert "pins six===1 (pins.txt:2), which /bounds.txt:2: 'six<1' excludes for" in str(unmet)


def test_what_is_not_certain_is_told() -> None:
    doubtful = walk("app", "app===1\n", {}, certainty=Certainty.UNKNOWN)
    assert doubtful.doubts == ("dependencies of app===1 are not known before it is built (app.whl)",)
    assert walk("app", "app===1\n", {}, certainty=Certainty.STATIC).doubts == ()


def test_a_requirement_that_cannot_be_read_is_followed_where_there_is_a_pin() -> None:
    found = walk("app", "app===1\nsix===1\n", {"app": ["six>=1.*", "unpinned (>", "=?"]})
    assert list(found.reasons) == ["app", "six"]
    assert found.unmet == ()
    assert len(found.doubts) == 3
    assert found.doubts[0] == "app===1: not all of its requirement 'six>=1.*' can be read"
