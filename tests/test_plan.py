from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirrors import NOW, wheel_change
from simple_index import SimpleIndex, entry

from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish

HEAD = (
    'targets = ["cp311-manylinux_2_36_x86_64", "cp311-manylinux_2_36_aarch64"]\nbranches.main = "pins.txt"\n'
)
PINS = "built===1.0\nwheel===2.0\nnowhere===3.0\nold===1;python_version<'3'\nbad line\nwheel===2.0\n"


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as server:
        server.page("built", [entry("built-1.0.tar.gz"), entry("built-1.0-cp39-cp39-manylinux1_x86_64.whl")])
        server.page("wheel", [entry("wheel-2.0-py3-none-any.whl")])
        yield server


def plan(
    folder: Path, url: str, *options: str, text: str = HEAD, command: str = "plan"
) -> subprocess.CompletedProcess[str]:
    (folder / "pins.txt").write_text(PINS)
    (folder / "small.toml").write_text(text)
    return subprocess.run(
        (
            sys.executable,
            "-m",
            "wheelbuilder",
            command,
            str(folder / "small.toml"),
            "--upstream",
            url,
            *options,
        ),
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_table(tmp_path: Path, index: SimpleIndex) -> None:
    done = plan(tmp_path, index.url)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "target in mirror upstream build unavailable not applicable" in lines
    assert "cp311-manylinux_2_36_x86_64 0 1 1 1 1" in lines
    assert "built===1.0 cp311-manylinux_2_36_x86_64 upstream has wheels for cp39 only" in lines
    row = lines.index("nowhere===3.0 cp311-manylinux_2_36_x86_64 upstream has no such project")
    assert lines[row + 1] == "cp311-manylinux_2_36_aarch64"
    assert f"{tmp_path / 'pins.txt'}:5: 'bad line' is not a requirement" in done.stdout
    assert f"{tmp_path / 'pins.txt'}:6: 'wheel===2.0' repeats line 2" in done.stdout


def test_one_json_document_on_stdout(tmp_path: Path, index: SimpleIndex) -> None:
    done = plan(tmp_path, index.url, "--json")
    document = json.loads(done.stdout)
    assert "Would be built" in done.stderr
    assert document["counts"]["cp311-manylinux_2_36_aarch64"]["build"] == 1
    assert document["not_applicable"]["cp311-manylinux_2_36_x86_64"] == ["old"]
    assert [line["words"] for line in document["quarantined"]] == ["bad line"]
    (build,) = (
        row
        for row in document["decisions"]
        if row["decision"] == "build" and row["target"].endswith("x86_64")
    )
    assert (build["project"], build["sdist"], build["build_tag"]) == ("built", "built-1.0.tar.gz", None)
    assert len(build["key"]) == 64


def test_nothing_is_written_but_the_cache(tmp_path: Path, index: SimpleIndex) -> None:
    plan(tmp_path, index.url, "--store", str(tmp_path / "store"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "pins.txt", "small.toml"]


def test_a_part_of_the_list(tmp_path: Path, index: SimpleIndex) -> None:
    target = "cp311-manylinux_2_36_aarch64"
    done = plan(tmp_path, index.url, "--json", "--pin", "Wheel", "--target", target)
    document = json.loads(done.stdout)
    assert [(row["project"], row["target"]) for row in document["decisions"]] == [("wheel", target)]
    assert {path for path, _ in index.requests} == {"/simple/wheel/"}


def test_what_the_mirror_has_is_not_built_again(tmp_path: Path, index: SimpleIndex) -> None:
    store = tmp_path / "store"
    change = wheel_change(tmp_path, "built", "1.0")
    publish(DirectoryStore(store), "small", [change], run="first", now=NOW)
    done = plan(tmp_path, index.url, "--json", "--store", str(store))
    assert json.loads(done.stdout)["counts"]["cp311-manylinux_2_36_x86_64"]["in mirror"] == 1
    covered = plan(tmp_path, index.url, "--store", str(store), command="coverage")
    assert covered.returncode == 1
    assert covered.stdout.splitlines()[0] == (
        "cp311-manylinux_2_36_x86_64: 3 pins, nothing would be compiled; "
        "1 cannot be had: nowhere (upstream has no such project)"
    )
    assert covered.stdout.splitlines()[-1].startswith("not proven, because a line cannot be read: ")


def test_a_line_that_cannot_be_read_spoils_the_proof(tmp_path: Path, index: SimpleIndex) -> None:
    (tmp_path / "other.txt").write_text("wheel===2.0\nbuilt===1.0.*\n")
    text = HEAD.replace("pins.txt", "other.txt")
    done = plan(tmp_path, index.url, "--store", str(tmp_path / "s"), "--json", text=text, command="coverage")
    assert done.returncode == 1
    for row in json.loads(done.stdout):
        assert (row["compiled"], row["missing"]) == ([], [])
        assert [line.partition(":2: ")[2][:15] for line in row["quarantined"]] == ["'built===1.0.*'"]


def test_coverage_without_a_mirror(tmp_path: Path, index: SimpleIndex) -> None:
    options = ("--store", str(tmp_path / "none"), "--pin", "built", "--json")
    done = plan(tmp_path, index.url, *options, command="coverage")
    assert done.returncode == 1
    assert [row["compiled"][0]["project"] for row in json.loads(done.stdout)] == ["built", "built"]
    assert "1 of 1 would be compiled: built (upstream has wheels for cp39 only)" in done.stderr
    assert not (tmp_path / "none").exists()
    wheel = plan(tmp_path, index.url, *options[:2], "--pin", "wheel", command="coverage")
    assert (wheel.returncode, wheel.stdout.count("nothing would be compiled")) == (0, 2)


@pytest.mark.parametrize(
    ("options", "text", "code", "words"),
    [
        (("--strict",), HEAD, 2, "error: {folder}/pins.txt:5: 'bad line' is not a requirement"),
        (("--pin", "whel"), HEAD, 2, "error: The list small does not pin whel."),
        (("--target", "cp39"), HEAD, 2, "error: The list small has no target 'cp39'."),
        (("--images", "none.toml"), HEAD, 2, "error: none.toml cannot be read: there is no such file."),
        ((), HEAD + "x = 1\n", 2, "error: {folder}/small.toml: the key 'x' is not known."),
        (("--upstream", "http://127.0.0.1:1/"), HEAD, 3, "error: http://127.0.0.1:1/"),
        (("--upstream", "nonsense"), HEAD, 2, "'nonsense' is not the address of an index"),
    ],
)
def test_bad_input_is_one_sentence_and_an_exit_code(
    tmp_path: Path, index: SimpleIndex, options: tuple[str, ...], text: str, code: int, words: str
) -> None:
    done = plan(tmp_path, index.url, *options, text=text)
    assert done.returncode == code
    assert words.format(folder=tmp_path) in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
