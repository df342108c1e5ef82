from __future__ import annotations

from datetime import date

from packaging.utils import canonicalize_name
from packaging.version import Version
from samples import ARM, X86, file, files, simple_key

from wheelbuilder.inputs.pins import parse_constraints
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.wanted import Wanted, pins_for
from wheelbuilder.plan.coverage import coverage
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile
from wheelbuilder.plan.plans import Plan, make_plan, versions_wanted

TEXT = """\
built===1.0
arm-only===1.0;platform_machine=='aarch64'
wheel===2.0
gone===3.0
jira===1
jira===2
"""
UPSTREAM = {
    canonicalize_name("built"): files("built-1.0.tar.gz"),
    canonicalize_name("arm-only"): files("arm_only-1.0-py3-none-any.whl"),
    canonicalize_name("wheel"): files("wheel-2.0-py3-none-any.whl"),
    canonicalize_name("gone"): None,
}
BUILT = canonicalize_name("built")


def wanted() -> tuple[Wanted, ...]:
    branch = parse_constraints(TEXT, "main")
    return tuple(pins_for([branch], target) for target in (X86, ARM))


def plan(mirror: tuple[IndexFile, ...] = (), rebuilt: tuple[str, ...] = ()) -> Plan:
    return make_plan(
        wanted(),
        mirror={BUILT: mirror},
        upstream=UPSTREAM,
        recipe_for=lambda pin, _: Recipe(project=pin.name),
        key_of=simple_key,
        today=date(2026, 11, 23),
        rebuilt=frozenset(map(canonicalize_name, rebuilt)),
    )


def test_versions_are_asked_for_once() -> None:
    assert {name: sorted(map(str, versions)) for name, versions in versions_wanted(wanted()).items()} == {
        "arm-only": ["1.0"],
        "built": ["1.0"],
        "gone": ["3.0"],
        "wheel": ["2.0"],
    }


def test_one_decision_for_each_pin_and_target_in_a_stable_order() -> None:
    assert [(str(decision.pin), decision.target.arch) for decision in plan().decisions] == [
        ("arm-only===1.0", "aarch64"),
        ("built===1.0", "x86_64"),
        ("built===1.0", "aarch64"),
        ("gone===3.0", "x86_64"),
        ("gone===3.0", "aarch64"),
        ("jira===1", "x86_64"),
        ("jira===1", "aarch64"),
        ("wheel===2.0", "x86_64"),
        ("wheel===2.0", "aarch64"),
    ]


def test_counts() -> None:
    kinds = ("in mirror", "upstream", "build", "unavailable", "not applicable")
    counts = plan((file("built-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"),)).counts()
    assert [counts[X86][kind] for kind in kinds] == [1, 1, 0, 2, 1]
    assert [counts[ARM][kind] for kind in kinds] == [0, 2, 1, 2, 0]


def test_contradicting_pins_are_unavailable() -> None:
    reasons = {decision.pin.name: decision.reason for decision in plan().unavailable}
    assert reasons[canonicalize_name("jira")].startswith("conflicting pins: jira===1 (main:5), jira===2")


def test_a_rebuild_touches_what_was_named() -> None:
    (first, second) = plan((file("built-1.0-py3-none-any.whl"),), rebuilt=("built",)).builds
    assert {first.pin.name, second.pin.name} == {"built"}
    assert (first.build_tag, second.build_tag) == (1, 1)


def test_the_same_input_gives_the_same_plan() -> None:
    assert plan() == plan()


def test_coverage_before_and_after_a_build() -> None:
    before, _ = coverage(plan(), {}, ["main"])
    assert not before.complete
    assert before.line == (
        f"{X86}: 1 of 4 would be compiled: built (upstream has an sdist only); 2 cannot be had: "
        "gone (upstream has no such project), jira (conflicting pins: jira===1 (main:5), jira===2 (main:6))"
    )
    built = {BUILT: (file("built-1.0-cp311-cp311-manylinux_2_36_x86_64.whl"),)}
    x86, arm = coverage(plan(), built, ["main"], {(BUILT, Version("1.0"), ARM): "exit status 1"})
    assert (x86.compiled, [gap.reason for gap in arm.compiled]) == ((), ["exit status 1"])


def test_builds_are_builds() -> None:
    assert all(isinstance(build, Build) for build in plan().builds)
    assert len(plan().builds) == 2
