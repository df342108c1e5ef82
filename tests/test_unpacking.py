from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_archive import SmallArchive

from wheelbuilder.build.unpacking import Contents, _complaint, extract
from wheelbuilder.errors import ConfigurationError, UnreachableError

CONTENTS = Contents(name="The root", suite="bookworm", architecture="amd64", packages=("libnope-dev",))


@pytest.fixture
def archive(tmp_path: Path) -> SmallArchive:
    return SmallArchive(tmp_path / "archive", "wb-small")


@pytest.fixture
def contents(archive: SmallArchive) -> Iterator[Contents]:
    with archive.served() as line:
        packages = ("wb-small",)
        yield Contents(name="It", suite="small", architecture="amd64", packages=packages, sources=(line,))


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
    tried = _complaint(CONTENTS, output, Path("the-log"), updates=False)
    assert "--without-updates" not in tried.hint and "apt-sources" in tried.hint


def test_more_failures_than_one_are_counted() -> None:
    error = _complaint(CONTENTS, b"E: Failed to fetch a  404\nE: Failed to fetch b  404\n", Path("log"))
    assert error.message.endswith("Failed to fetch a  404 (and 1 more)")


@pytest.mark.engine
def test_packages_come_from_the_places_that_are_named(contents: Contents, tmp_path: Path) -> None:
    extract(contents, tmp_path / "root", log=tmp_path / "log")
    assert (tmp_path / "root/usr/share/wb-small").read_text() == "here\n"


@pytest.mark.engine
def test_a_mirror_that_lacks_a_package_of_its_list_is_told(
    archive: SmallArchive, contents: Contents, tmp_path: Path
) -> None:
    archive.package.unlink()
    with pytest.raises(UnreachableError, match=r"wb-small_1\.0_all\.deb .*404") as caught:
        extract(contents, tmp_path / "root", log=tmp_path / "log")
    assert "apt-sources" in caught.value.hint


@pytest.mark.engine
def test_a_mirror_whose_list_is_not_of_its_release_is_told(
    archive: SmallArchive, contents: Contents, tmp_path: Path
) -> None:
    (archive.lists / "Packages").write_bytes(b"\n")
    with pytest.raises(UnreachableError, match=r"Packages .*unexpected size") as caught:
        extract(contents, tmp_path / "root", log=tmp_path / "log")
    assert "apt-sources" in caught.value.hint
