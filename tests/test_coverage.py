from __future__ import annotations

from datetime import date

from packaging.utils import canonicalize_name
from samples import ARM, X86, file, files, simple_key

from wheelbuilder.inputs.pins import parse_constraints
from wheelbuilder.inputs.recipes import KnownFailure, Recipe
from wheelbuilder.inputs.wanted import pins_for
from wheelbuilder.plan.coverage import Coverage, coverage, lines, quarantined
from wheelbuilder.plan.plans import MirrorFiles, make_plan

A = canonicalize_name("a")
TODAY = date(2026, 11, 23)


def covered(published: MirrorFiles, recipe: Recipe) -> Coverage:
    wanted = pins_for([parse_constraints("a===1.0\nb===1\n", "main")], X86)
    upstream = {A: files("a-1.0.tar.gz"), canonicalize_name("b"): files("b-1-py3-none-any.whl")}
    plan = make_plan(
        (wanted,),
        mirror={},
        upstream=upstream,
        recipe_for=lambda _pin, _target: recipe,
        key_of=simple_key,
        today=TODAY,
    )
    (found,) = coverage(plan, published, ["main"])
    return found


def test_nothing_would_be_compiled() -> None:
    found = covered({A: files("a-1.0-py3-none-any.whl")}, Recipe(project=A))
    assert found.complete
    assert found.line == "cp311-manylinux_2_36_x86_64: 2 pins, nothing would be compiled"


def test_a_wheel_for_others_does_not_cover() -> None:
    for name in (
        "a-1.0-cp311-cp311-manylinux_2_36_aarch64.whl",
        "a-1.0-cp311-cp311-linux_x86_64.whl",
        "a-1.1-py3-none-any.whl",
    ):
        found = covered({A: (file(name),)}, Recipe(project=A))
        assert found.line.endswith("1 of 2 would be compiled: a (upstream has an sdist only)")


def test_a_known_failure_would_still_be_compiled_by_a_consumer() -> None:
    failing = Recipe(project=A, known_failure=KnownFailure(reason="old NSS", expires=TODAY))
    found = covered({}, failing)
    assert [gap.reason for gap in found.compiled] == ["known failure until 2026-11-23: old NSS"]
    assert found.missing == ()


def test_what_is_published_counts_beside_what_upstream_has() -> None:
    yanked = covered({A: (file("a-1.0-py3-none-any.whl", yanked="bad"),)}, Recipe(project=A))
    assert not yanked.complete
    assert [gap.passed_over for gap in yanked.gaps] == [True]
    foreign = covered({A: files("c-1.0-py3-none-any.whl")}, Recipe(project=A))
    assert not foreign.complete
    assert [gap.passed_over for gap in foreign.gaps] == [False]
    assert [pin.name for pin in foreign.served] == ["b"]


def test_lines_that_nobody_can_read() -> None:
    text = "a===1.0\nA===1.0.*\n-e git+https://example.org/x\nb>=1\n"
    branches = [parse_constraints(text, "main")]
    assert [line.origin.line for line in quarantined(branches)] == [2, 3, 4]
    assert [line.origin.line for line in quarantined(branches, {A})] == [2, 3]
    assert quarantined([parse_constraints("a===1\n", "main")]) == ()


def test_each_branch_is_proven_for_itself() -> None:
    branches = [
        parse_constraints("a===1.0\nb===1\n", "new"),
        parse_constraints("a===1.0;platform_machine=='aarch64'\nc===1\n", "old"),
        parse_constraints("b===1\nb===2\n", "torn"),
    ]
    names = {name: canonicalize_name(name) for name in "abc"}
    plan = make_plan(
        [pins_for(branches, target) for target in (X86, ARM)],
        mirror={},
        upstream={
            names["a"]: files("a-1.0.tar.gz"),
            names["b"]: files("b-1-py3-none-any.whl"),
            names["c"]: None,
        },
        recipe_for=lambda pin, _: Recipe(project=pin.name),
        key_of=simple_key,
        today=TODAY,
    )
    published = {names["a"]: files("a-1.0-cp311-cp311-manylinux_2_17_aarch64.whl")}
    found = coverage(plan, published, ["new", "old", "torn", "empty"])
    told = [
        (
            it.branch,
            it.target.arch,
            it.pins,
            [g.pin.name for g in it.compiled],
            [g.pin.name for g in it.missing],
        )
        for it in found
    ]
    assert told == [
        ("new", "x86_64", 2, ["a"], []),
        ("new", "aarch64", 2, [], []),
        ("old", "x86_64", 1, [], ["c"]),
        ("old", "aarch64", 2, [], ["c"]),
        ("torn", "x86_64", 1, [], ["b"]),
        ("torn", "aarch64", 1, [], ["b"]),
        ("empty", "x86_64", 0, [], []),
        ("empty", "aarch64", 0, [], []),
    ]
    assert lines(found)[1] == f"new {ARM}: 2 pins, nothing would be compiled"
    assert lines(found[:1]) == (f"{X86}: 1 of 2 would be compiled: a (upstream has an sdist only)",)
