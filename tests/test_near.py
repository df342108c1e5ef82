from __future__ import annotations

import pytest

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.names import project_name
from wheelbuilder.inputs.near import did_you_mean, near


def test_the_likeliest_is_first_and_what_is_unlike_is_not_named() -> None:
    known = ("bookworm", "trixie", "bullseye")
    assert near("bookwork", known) == ("bookworm",) and near("etch", known) == ()
    assert did_you_mean("trixi", known) == "Did you mean 'trixie'?"
    assert did_you_mean("etch", known) == ""
    assert did_you_mean("a1", ["a1b", "a1c"]) == "Did you mean 'a1c' or 'a1b'?"


@pytest.mark.parametrize(("text", "name"), [("PyYAML", "pyyaml"), ("zope.interface", "zope-interface")])
def test_a_projects_name_is_normalized(text: str, name: str) -> None:
    assert project_name(text) == name


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("good==1.0", "Write the name alone."),
        ("good[extra]", "Write the name alone."),
        ("", "A name has letters"),
        ("-x", "A name has letters"),
        ("a b", "A name has letters"),
    ],
)
def test_what_is_no_projects_name_is_told(text: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        project_name(text, "x: ")
    assert error.value.message == f"x: {text!r} is no project's name."
    assert error.value.hint.startswith(hint)
