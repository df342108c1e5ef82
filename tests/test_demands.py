"""Requirement files: what is honoured and what is refused, each with one sentence."""

from __future__ import annotations

import pytest

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.demands import Demands, parse_demands

BASE = "/list/requirements.txt"


def read(text: str, base: str = BASE, **others: str) -> Demands:
    """Read a requirement file that lies beside others: `more__txt="..."` is `/list/more.txt`."""
    there = {f"/list/{name.replace('__', '.')}": content for name, content in others.items()}

    def opened(place: str) -> str:
        if place not in there:
            raise ConfigurationError(f"{place} cannot be read: No such file.")
        return there[place]

    return parse_demands(text, "main", place="requirements.txt", base=base, read=opened)


def lines(demands: Demands) -> list[tuple[int, str]]:
    return [(demand.origin.line, str(demand.requirement)) for demand in demands.wanted]


def test_comments_blank_lines_markers_and_extras() -> None:
    demands = read(
        "\ufeff# why\n\npbr>=2.0,!=2.1 # Apache-2.0\n  oslo.db[mysql]>=4 \n"
        "pywin32>=1;sys_platform=='win32'\nhash#tag\n"
    )
    assert lines(demands) == [
        (3, "pbr!=2.1,>=2.0"),
        (4, "oslo.db[mysql]>=4"),
        (5, 'pywin32>=1; sys_platform == "win32"'),
    ]
    assert [(str(bad.origin), bad.words) for bad in demands.refused] == [("requirements.txt:6", "hash#tag")]


def test_continued_lines_have_the_number_of_their_first() -> None:
    demands = read("one>=1,\\\n<2\ntwo \\\n  # ends the row\nthree\\\n")
    assert lines(demands) == [(1, "one<2,>=1"), (3, "two"), (5, "three")]


def test_hashes_are_left_out_with_a_warning() -> None:
    demands = read(f"six==1.0 \\\n    --hash=sha256:{'0' * 64} --hash sha256:{'1' * 64}\n")
    assert lines(demands) == [(1, "six==1.0")]
    assert demands.warnings == (
        "requirements.txt:1: the hashes of 'six==1.0' are not compared: wheels built here have their own.",
    )


@pytest.mark.parametrize(
    "words", ["-r more.txt", "-rmore.txt", "--requirement more.txt", "--requirement=./x/../more.txt"]
)
def test_an_included_file_has_its_own_lines(words: str) -> None:
    demands = read(f"one\n{words}\n", more__txt="\ntwo>1\n")
    assert [str(demand) for demand in demands.wanted] == [
        "requirements.txt:1: 'one'",
        "/list/more.txt:2: 'two>1'",
    ]


def test_constraints_bound_and_ask_for_nothing() -> None:
    demands = read(
        "one\n-c bounds.txt\n", bounds__txt="-r deeper.txt\ntwo<3\n", deeper__txt="three<3\nx[y]\n"
    )
    assert [demand.requirement.name for demand in demands.wanted] == ["one"]
    assert [demand.requirement.name for demand in demands.bounds] == ["three", "two"]
    assert [bad.complaint for bad in demands.refused] == ["has extras, which a constraint cannot have"]


def test_a_file_at_a_url_includes_its_neighbours() -> None:
    asked = []

    def fetch(place: str) -> str:
        asked.append(place)
        return "two\n"

    url = "https://user:secret@example.org/a/requirements.txt"
    demands = parse_demands("-r ../b/more.txt\n", "main", place="requirements.txt", base=url, read=fetch)
    assert asked == ["https://user:secret@example.org/b/more.txt"]
    assert str(demands.wanted[0].origin) == "https://example.org/b/more.txt:1"


def test_files_that_include_each_other() -> None:
    demands = read("-r more.txt\n", more__txt="one\n-r requirements.txt\n")
    assert lines(demands) == [(1, "one")]
    assert [bad.complaint for bad in demands.refused] == [
        "includes a file that includes it, or too many in a row"
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("-e .", "is editable, and a folder of sources is no pin"),
        ("--editable=git+https://example.org/x", "is editable, and a folder of sources is no pin"),
        ("--index-url https://example.org/simple", "is an option of pip, and the list says where files come"),
        ("--pre", "is an option of pip"),
        ("-r none.txt", "names a file, but /list/none.txt cannot be read: No such file"),
        ("-c ftp://x/c.txt", "includes what is neither a path nor an address of the web"),
        ("-r http://", "includes what is neither a path nor an address of the web"),
        ("six @ https://example.org/six.tar.gz", "names a URL, which no pin can satisfy"),
        ("git+https://example.org/x", "is a path or a URL, where a pin has a project's name"),
        ("./folder", "is a path or a URL"),
        ("six-1.0.tar.gz", "is a path or a URL"),
        ("six>=1 --global-option=x", "has options of an installer"),
        ("six>=${LEAST}", "depends on the environment"),
        ("six=1", "is not a requirement (PEP 508)"),
        ("six;implementation_name==='pypy'", "has a marker that compares what cannot be compared"),
    ],
)
def test_what_cannot_be_honoured_is_set_aside(line: str, complaint: str) -> None:
    demands = read(f"one\n{line}\ntwo\n")
    assert [demand.requirement.name for demand in demands.wanted] == ["one", "two"]
    (refused,) = demands.refused
    assert (refused.words, refused.origin.line) == (line, 2)
    assert refused.complaint.startswith(complaint)
