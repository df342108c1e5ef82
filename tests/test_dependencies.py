"""What files say of a version's requirements, and how certain that is."""

from __future__ import annotations

import pytest
from samples import ARM, X86, file, files, pin

from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.dependencies import (
    Certainty,
    Dependencies,
    need,
    of_sdist,
    of_wheel,
    telling_file,
    tells,
)

DYNAMIC = ("Dynamic: Requires-Dist",)
PROJECT = '[project]\nname = "it"\n'


def info(version: str, *lines: str) -> bytes:
    return "\n".join([f"Metadata-Version: {version}", "Name: it", "Version: 1", *lines, "", "Text"]).encode()


def said(texts: dict[str, bytes | str]) -> tuple[list[str], Certainty]:
    read = of_sdist(
        {path: it.encode() if isinstance(it, str) else it for path, it in texts.items()}, "it-1.zip"
    )
    return list(read.requires), read.certainty


def test_a_wheel_is_believed_whatever_its_metadata_version() -> None:
    metadata = info("2.1", "Requires-Dist: one (>=1)", "Requires-Dist: two;", "  python_version<'4'")
    assert of_wheel(metadata, "it-1-py3-none-any.whl") == Dependencies(
        requires=("one (>=1)", "two; python_version<'4'"),
        certainty=Certainty.WHEEL,
        file="it-1-py3-none-any.whl",
    )


@pytest.mark.parametrize(
    ("texts", "requires", "certainty"),
    [
        ({"PKG-INFO": info("2.2", "Requires-Dist: one")}, ["one"], Certainty.STATIC),
        ({"PKG-INFO": info("2.4", "Dynamic: Description")}, [], Certainty.STATIC),
        # dynamic: what stands there was so when the sdist was made
        ({"PKG-INFO": info("2.2", *DYNAMIC, "Requires-Dist: one")}, ["one"], Certainty.RECORDED),
        ({"PKG-INFO": info("2.2", "Dynamic: provides-extra")}, [], Certainty.UNKNOWN),
        ({"PKG-INFO": info("2.1", "Requires-Dist: one")}, ["one"], Certainty.RECORDED),
        ({"PKG-INFO": info("1.1")}, [], Certainty.UNKNOWN),
        ({"PKG-INFO": info("nonsense")}, [], Certainty.UNKNOWN),
        ({}, [], Certainty.UNKNOWN),
        # setuptools writes no requires.txt where nothing is required
        ({"PKG-INFO": info("1.1"), "it.egg-info/SOURCES.txt": ""}, [], Certainty.RECORDED),
        (
            {"PKG-INFO": info("2.1"), "src/it.egg-info/requires.txt": "one>=1\n\n[:os_name=='nt']\nwin\n"},
            ["one>=1", "win ; (os_name=='nt')"],
            Certainty.RECORDED,
        ),
        (
            {"it.egg-info/requires.txt": "[x]\none>1;os_name=='nt'\n[y:python_version<'3']\ntwo\n"},
            ["one>1 ; (os_name=='nt') and extra == 'x'", "two ; extra == 'y' and (python_version<'3')"],
            Certainty.RECORDED,
        ),
        (
            {"pyproject.toml": PROJECT + 'dependencies = ["one"]\noptional-dependencies.x = ["two"]'},
            ["one", "two ; extra == 'x'"],
            Certainty.STATIC,
        ),
        ({"pyproject.toml": PROJECT}, [], Certainty.STATIC),
        ({"pyproject.toml": '[project]\ndynamic = ["dependencies"]'}, [], Certainty.UNKNOWN),
        ({"pyproject.toml": '[build-system]\nrequires = ["x"]'}, [], Certainty.UNKNOWN),
        ({"pyproject.toml": "not toml"}, [], Certainty.UNKNOWN),
        ({"pyproject.toml": b"\xff"}, [], Certainty.UNKNOWN),
    ],
)  # fmt: skip
def test_what_an_sdist_says(texts: dict[str, bytes | str], requires: list[str], certainty: Certainty) -> None:
    assert said(texts) == (requires, certainty)


def test_which_members_are_read() -> None:
    kept = ["PKG-INFO", "pyproject.toml", "it.egg-info/requires.txt", "src/it.egg-info/SOURCES.txt"]
    passed = ["docs/PKG-INFO", "requires.txt", "tests/data/x.egg-info/requires.txt", "it.egg-info/PKG-INFO"]
    assert [path for path in (*kept, *passed) if tells(path)] == kept


def test_a_requirement_is_read_once_and_for_all() -> None:
    read = need("Foo.Bar[B_z,a]>=1,<2 ; python_version<'3.9'")
    assert read and (read.name, sorted(read.extras), str(read.specifier)) == (
        "foo-bar",
        ["a", "b-z"],
        "<2,>=1",
    )
    assert (read.marker, read.readable) == ('python_version < "3.9"', True)


@pytest.mark.parametrize(
    ("words", "name", "marker"),
    [
        ("foo>=1.*;os_name=='nt'", "foo", 'os_name == "nt"'),  # packaging refuses what old tools wrote
        ("foo (>=1", "foo", None),
        ("foo;python_version~='3'", "foo", None),
    ],
)
def test_a_requirement_that_is_half_readable_keeps_its_name(
    words: str, name: str, marker: str | None
) -> None:
    read = need(words)
    assert read and (read.name, read.marker, str(read.specifier), read.readable) == (name, marker, "", False)


def test_a_requirement_without_a_name_is_none() -> None:
    assert need("=1") is None


def test_the_file_that_tells_best() -> None:
    offered = files(
        "it-1.tar.gz",
        "it-1-cp311-cp311-manylinux_2_17_aarch64.whl",
        "it-1-cp311-cp311-win_amd64.whl",
        "it-2-py3-none-any.whl",
        "it-1.egg",
    )
    asked = pin("it===1")

    def told(*chosen: int, target: Target = X86) -> str:
        found = telling_file(asked, target, [offered[index] for index in chosen])
        return found.filename if found else ""

    assert told(0, 1, 2, 3, target=ARM) == "it-1-cp311-cp311-manylinux_2_17_aarch64.whl"
    assert told(0, 1, 2, 3) == "it-1-cp311-cp311-win_amd64.whl"  # no wheel fits, and either says the same
    assert told(0, 3, 4) == "it-1.tar.gz"
    assert told(3, 4) == ""


def test_a_file_without_a_digest_tells_nothing() -> None:
    assert telling_file(pin("it===1"), X86, [file("it-1-py3-none-any.whl", sha256="")]) is None


def test_the_text_of_a_pin_does_not_matter_here() -> None:
    found = telling_file(pin("it===2013.06"), X86, files("it-2013.6.tar.gz"))
    assert found and found.filename == "it-2013.6.tar.gz"
