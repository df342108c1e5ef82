from __future__ import annotations

from pathlib import Path

from wheelbuilder.build.unpacking import Contents, _complaint
from wheelbuilder.errors import ConfigurationError, UnreachableError

CONTENTS = Contents(name="The root", suite="bookworm", architecture="amd64", packages=("libnope-dev",))


def test_a_package_that_does_not_exist_is_named() -> None:
    output = (
        b"Reading package lists...\nE: Unable to locate package libnope-dev\nE: Unable to locate package x2\n"
    )
    error = _complaint(CONTENTS, output, Path("log"))
    assert isinstance(error, ConfigurationError)
    assert error.message == "bookworm has no package libnope-dev and no package x2 for amd64."


def test_a_package_without_a_candidate_is_named() -> None:
    error = _complaint(CONTENTS, b"E: Package 'libnope' has no installation candidate\n", Path("log"))
    assert isinstance(error, ConfigurationError) and "no package libnope for" in error.message


def test_a_half_updated_mirror_is_said_to_be_one() -> None:
    output = b"I: x\nE: Failed to fetch http://mirror.example.org/x.deb  404\nE: mmdebstrap failed to run\n"
    error = _complaint(CONTENTS, output, Path("the-log"))
    assert isinstance(error, UnreachableError) and "x.deb  404" in error.message
    assert "--without-updates" in error.hint and "the-log" in error.hint
