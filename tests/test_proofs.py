from __future__ import annotations

import pytest
from samples import ARM, X86, pin

from wheelbuilder.cli.proofs import print_proof, proof_document
from wheelbuilder.inputs.pins import parse_constraints
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.coverage import Coverage, Gap

A = Gap(pin=pin("a===1.0"), reason="upstream has an sdist only")
B = Gap(pin=pin("b===2.0"), reason="upstream has no such project")


def of(
    branch: str, target: Target, compiled: tuple[Gap, ...] = (), missing: tuple[Gap, ...] = ()
) -> Coverage:
    return Coverage(branch=branch, target=target, pins=603, compiled=compiled, missing=missing)


def shown(capsys: pytest.CaptureFixture[str], *covered: Coverage) -> list[str]:
    print_proof(covered, err=False)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_one_branch_is_a_line_for_each_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, of("main", X86), of("main", ARM, (A,))) == [
        f"{X86}: 603 pins, nothing would be compiled",
        f"{ARM}: 1 of 603 would be compiled: a (upstream has an sdist only)",
    ]


def test_several_branches_are_a_table_and_the_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    covered = [
        of("master", X86, (A,), (B,)),
        of("master", ARM, (A,)),
        of("2025.1", X86, (A,)),
        of("2025.1", ARM, (A,)),
    ]
    assert shown(capsys, *covered) == [
        "Pins without a wheel",
        "pin branches targets why",
        "a===1.0 all all upstream has an sdist only",
        f"b===2.0 master {X86} cannot be had: upstream has no such project",
        "",
        "How many pins have no wheel, of those that apply",
        "cp311 cp311",
        "manylinux_2_36 manylinux_2_36",
        "branch x86_64 aarch64",
        "master 2 of 603 1 of 603",
        "2025.1 1 of 603 1 of 603",
    ]


def test_several_branches_without_a_gap(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, of("master", X86), of("2025.1", X86))
    assert lines[-3:] == ["master 0 of 603", "2025.1 0 of 603", "Nothing would be compiled."]


def test_eight_targets_fit_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    names = [
        f"cp3{minor}-manylinux_2_28_{arch}" for minor in (10, 11, 12, 13) for arch in ("x86_64", "aarch64")
    ]
    lines = shown(
        capsys, *(of(branch, Target.parse(name)) for branch in ("master", "2025.1") for name in names)
    )
    assert lines[-3] == f"master {' '.join(['0 of 603'] * 8)}"


def test_as_json_values() -> None:
    (unread,) = parse_constraints("a===1\nb\n", "old").quarantined
    new, old = proof_document([of("new", X86, (A,)), of("old", X86, (), (B,))], [unread])
    assert (new["branch"], new["target"], new["pins"], new["quarantined"]) == ("new", str(X86), 603, [])
    assert new["compiled"] == [{"project": "a", "version": "1.0", "reason": A.reason}]
    assert old["missing"] == [{"project": "b", "version": "2.0", "reason": B.reason}]
    assert old["quarantined"] == [str(unread)]
