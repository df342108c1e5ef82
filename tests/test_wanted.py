from __future__ import annotations

from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from samples import ARM, X86, pin

from wheelbuilder.inputs.pins import Constraints, parse_constraints
from wheelbuilder.inputs.targets import Target
from wheelbuilder.inputs.wanted import applies, pins_for

FOLDER = Path(__file__).parent / "data" / "constraints"


def branch(name: str, text: str) -> Constraints:
    return parse_constraints(text, name)


@pytest.mark.parametrize(
    ("marker", "x86", "arm"),
    [
        ("python_version=='3.11'", True, True),
        ("python_version<'3.9'", False, False),  # as versions: 3.11 is not below 3.9
        ("python_version=='3.4' or python_version=='3.5'", False, False),
        ("sys_platform=='win32'", False, False),
        ("platform_machine=='aarch64'", False, True),
        ("python_full_version>='3.11.2'", True, True),
        ("python_full_version>'3.11.2'", False, False),
    ],
)
def test_markers_are_the_targets_own(marker: str, x86: bool, arm: bool) -> None:
    marked = pin(f"six===1.0;{marker}")
    assert (applies(marked, X86), applies(marked, ARM)) == (x86, arm)


def test_the_full_version_counts_although_it_is_no_part_of_a_targets_identity() -> None:
    older = Target.parse(str(X86), "3.11.1")
    marked = pin("six===1.0;python_full_version>='3.11.2'")
    assert older == X86
    assert (applies(marked, X86), applies(marked, older)) == (True, False)


def test_several_marked_lines_leave_one_pin() -> None:
    text = "a===1.0;python_version=='3.10'\na===2.0;python_version=='3.11'\n"
    wanted = pins_for([branch("main", text)], X86)
    assert [str(pin) for pin in wanted.pins] == ["a===2.0"]
    assert (wanted.conflicts, wanted.gaps) == ((), ())


def test_a_pin_for_other_targets_only_is_a_gap() -> None:
    wanted = pins_for([branch("main", "b===1\na===1.0;python_version=='3.6'\n")], X86)
    assert ([pin.name for pin in wanted.pins], wanted.gaps) == (["b"], ("a",))


@pytest.mark.parametrize(
    "text",
    [
        "jira===1.0.15\njira===1.0.14\n",
        "jira===1.0\njira===1.0.0\n",
        "jira===1.0;python_version>'3'\njira===2.0\n",
    ],
)
def test_contradicting_pins_are_explained_and_the_others_go_on(text: str) -> None:
    wanted = pins_for([branch("main", text + "ok===1\n")], X86)
    (conflict,) = wanted.conflicts
    assert [pin.name for pin in wanted.pins] == ["ok"]
    assert str(conflict).startswith("conflicting pins: jira===1.0")
    assert "(main:1)" in str(conflict)
    assert "(main:2)" in str(conflict)


def test_branches_unite() -> None:
    wanted = pins_for([branch("old", "a===1\nb===1\n"), branch("new", "B===1\na===2\n")], X86)
    assert [(str(pin), pin.branches) for pin in wanted.pins] == [
        ("a===1", ("old",)),
        ("a===2", ("new",)),
        ("b===1", ("old", "new")),
    ]


def test_spellings_that_no_one_file_serves_are_two_pins() -> None:
    wanted = pins_for([branch("old", "a===1.0\n"), branch("new", "a===1.0.0\n")], X86)
    assert [str(pin) for pin in wanted.pins] == ["a===1.0", "a===1.0.0"]


def test_only_some_projects() -> None:
    wanted = pins_for([branch("main", "a===1\nb===1\n")], X86, frozenset({canonicalize_name("b")}))
    assert [pin.name for pin in wanted.pins] == ["b"]


@pytest.mark.parametrize(
    ("name", "gaps"), [("unmaintained-yoga", 42), ("stable-2025.2", 3), ("unmaintained-2024.1", 5)]
)
def test_gaps_of_real_branches_on_311(name: str, gaps: int) -> None:
    text = (FOLDER / f"upper-constraints-{name}.txt").read_text()
    wanted = pins_for([branch(name, text)], X86)
    assert (len(wanted.gaps), wanted.conflicts) == (gaps, ())
