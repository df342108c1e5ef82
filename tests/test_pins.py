from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version
from samples import pin

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.pins import Constraints, parse_constraints

FOLDER = Path(__file__).parent / "data" / "constraints"
# lines, pins, projects, projects with several pins, pins that carry a marker
BRANCHES = {
    "master": (582, 575, 575, 0, 0),
    "stable-2026.1": (561, 554, 554, 0, 1),
    "stable-2025.2": (603, 603, 572, 31, 62),
    "stable-2025.1": (599, 599, 588, 11, 22),
    "unmaintained-2024.1": (619, 619, 597, 18, 42),
    "unmaintained-2023.1": (592, 592, 592, 0, 0),
    "unmaintained-zed": (592, 592, 592, 0, 3),
    "unmaintained-yoga": (644, 644, 606, 37, 80),
    "ussuri-eol": (1005, 1005, 612, 136, 554),
    "train-eol": (709, 709, 590, 34, 177),
    "queens-eol": (543, 543, 516, 22, 62),
    "liberty-eol": (342, 342, 342, 0, 20),
}


def read(text: str) -> Constraints:
    return parse_constraints(text, "main", file="constraints.txt", allow_empty=True)


@pytest.mark.parametrize("branch", BRANCHES)
def test_real_branches(branch: str) -> None:
    text = (FOLDER / f"upper-constraints-{branch}.txt").read_text()
    read = parse_constraints(text, branch)
    projects = Counter(pin.name for pin in read.pins)
    several = sum(count > 1 for count in projects.values())
    marked = sum(pin.marker is not None for pin in read.pins)
    assert (text.count("\n"), len(read.pins), len(projects), several, marked) == BRANCHES[branch]
    assert (read.quarantined, read.warnings) == ((), ())


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_table_agrees_with_a_naive_split(branch: str) -> None:
    lines = (FOLDER / f"upper-constraints-{branch}.txt").read_bytes().split(b"\n")[:-1]
    rows = [line.split(b"===") for line in lines if not line.startswith(b"#")]
    names = Counter(canonicalize_name(name.decode()) for name, _ in rows)
    several = sum(count > 1 for count in names.values())
    marked = sum(b";" in rest for _, rest in rows)
    assert (len(lines), len(rows), len(names), several, marked) == BRANCHES[branch]


@pytest.mark.parametrize("branch", BRANCHES)
def test_every_pin_of_a_real_branch_can_be_served(branch: str) -> None:
    text = (FOLDER / f"upper-constraints-{branch}.txt").read_text()
    assert [pin for pin in parse_constraints(text, branch).pins if pin.unmatchable] == []


def test_there_are_no_other_branches() -> None:
    assert {path.stem.removeprefix("upper-constraints-") for path in FOLDER.iterdir()} == set(BRANCHES)


def test_a_pin_keeps_what_was_written() -> None:
    (found,) = read("# header\noslo.Config===10.0b1;python_version=='3.10'  # Apache-2.0\n").pins
    assert (found.name, found.raw_name, str(found)) == ("oslo-config", "oslo.Config", "oslo-config===10.0b1")
    assert (found.version, found.version_text) == (Version("10.0b1"), "10.0b1")
    assert found.marker == 'python_version == "3.10"'
    assert (str(found.origin), found.branches) == ("constraints.txt:2", ("main",))


def test_pins_cross_process_borders_and_are_keys() -> None:
    found = pin("six===1.17.0;python_version>='3.8'")
    assert pickle.loads(pickle.dumps(found)) == found
    assert {found: 1}[pin("six===1.17.0;python_version>='3.8'")] == 1


@pytest.mark.parametrize(
    ("line", "version", "accepted"),
    [
        ("a===1.0", "1.0", True),
        ("a===1.0", "1.0.0", False),
        ("a==1.0", "1.0.0", True),
        ("a===1.0", "1.0+local", False),
        ("a===1.0.0b3", "1.0.0b3", True),
        ("a===2013.06", "2013.6", False),  # pip compares the text with the normalized version
        ("a===1.0-rc1", "1.0rc1", False),
        ("a===1.0RC1", "1.0rc1", True),
        ("a==2013.06", "2013.6", True),
        ("a==1.0", "1.0+local", True),
        ("a==1.0+x", "1.0+y", False),
        ("a==1.0", "1.0rc1", False),
    ],
)
def test_what_a_pin_accepts(line: str, version: str, accepted: bool) -> None:
    assert pin(line).accepts(Version(version)) is accepted


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("bar===1.0;python_version>='3.9',<=3.10", "is not a requirement"),
        ("-e git+https://example.org/x", "is an option of pip"),
        ("six @ https://example.org/six.tar.gz", "names a URL"),
        ("requests[socks]===2.0", "has extras"),
        ("six", "does not pin one version"),
        ("six>=1.0", "does not pin one version"),
        ("six==1.0,!=1.1", "does not pin one version"),
        ("six==1.*", "has a wildcard"),
        ("six===latest", "'latest', which is not a version"),
    ],
)
def test_an_unreadable_line_is_set_aside(line: str, complaint: str) -> None:
    found = read(f"good===1.0\n{line}\nlater===2.0\n")
    (quarantined,) = found.quarantined
    assert [str(pin) for pin in found.pins] == ["good===1.0", "later===2.0"]
    assert str(quarantined).startswith(f"constraints.txt:2: {line!r}")
    assert complaint in quarantined.complaint


def test_strict_makes_it_fatal() -> None:
    with pytest.raises(ConfigurationError, match=r"main:2: 'six' does not pin"):
        parse_constraints("a===1\nsix\n", "main", strict=True)


def test_a_repeated_line_is_one_pin_and_a_warning() -> None:
    found = read("rsd-lib===1.0.0\nother===1\nrsd_lib===1.0.0\n")
    assert len(found.pins) == 2
    assert found.warnings == ("constraints.txt:3: 'rsd_lib===1.0.0' repeats line 1; it is read once.",)


def test_no_pins_is_an_error_unless_allowed() -> None:
    with pytest.raises(ConfigurationError, match=r"main has no pins"):
        parse_constraints("# Empty because this is only supported elsewhere\n", "main")
    assert read("# nothing\n").pins == ()


def test_a_file_without_pins_names_the_first_of_its_lines() -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_constraints("<html>\n" + "<p>" * 1000 + "\n", "main", file="page.html")
    assert error.value.message == (
        "page.html has no pins: none of its 2 lines is one, the first: page.html:1: '<html>'"
        " is not a requirement (PEP 508): Expected package name at the start of dependency specifier."
    )
    with pytest.raises(ConfigurationError, match=r"its one line is none: main:1: '(<p>){66}<p\.\.\.' is not"):
        parse_constraints("<p>" * 1000, "main")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("six===1.16.0;implementation_name==='pypy'", "has a marker that compares what cannot be compared"),
        (f"six==={'1' * 200_000}", "has a number with too many digits"),
    ],
)
def test_what_would_stop_installers_is_set_aside(line: str, complaint: str) -> None:
    read = parse_constraints(f"good===1.0\n{line}\n", "main")
    assert [str(pin) for pin in read.pins] == ["good===1.0"]
    assert [bad.complaint for bad in read.quarantined] == [complaint]
