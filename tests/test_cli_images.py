from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from engines import engine, image, root
from test_toolchain import FOREIGN

from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.emulation import MACHINE
from wheelbuilder.cli.doctor import command as doctor
from wheelbuilder.cli.images import chosen, command
from wheelbuilder.errors import ConfigurationError, WheelbuilderError
from wheelbuilder.inputs.images import Catalogue, default_path


def call(*words: str) -> Result:
    result = CliRunner().invoke(command, words)
    if result.exception and not isinstance(result.exception, WheelbuilderError | SystemExit):
        raise result.exception
    return result


def test_choices_are_those_of_the_table() -> None:
    table = Catalogue.read(default_path())
    names = [root.name for root in chosen(table, ("aarch64",), ("bookworm", "trixie"), "bare")]
    assert names == ["bookworm-aarch64-bare", "trixie-aarch64-bare"]
    assert len(tuple(chosen(table))) == len(tuple(table.roots()))


@pytest.mark.parametrize("words", [("--arch", "vax"), ("--family", "etch")])
def test_a_word_that_the_table_does_not_have_is_one_sentence(words: tuple[str, str]) -> None:
    error = call("build", *words).exception
    assert isinstance(error, ConfigurationError) and repr(words[1]) in error.message
    assert error.hint.startswith("Choose: ")


def test_an_unknown_engine_is_one_sentence() -> None:
    error = call("list", "--engine", "lxc").exception
    assert isinstance(error, ConfigurationError) and "'lxc'" in error.message and "podman" in error.hint


def test_a_missing_table_is_one_sentence(tmp_path: Path) -> None:
    error = call("list", "--images", str(tmp_path / "none.toml")).exception
    assert isinstance(error, ConfigurationError) and "none.toml" in error.message


@pytest.mark.parametrize("registry", ["", "/x", "registry.example.org/UPPER", "a b", "https://example.org/x"])
def test_a_place_in_no_registry_is_one_sentence(registry: str) -> None:
    error = call("push", "--registry", registry).exception
    assert (
        isinstance(error, ConfigurationError) and error.message == f"{registry!r} is no place in a registry."
    )


def test_the_targets_that_a_list_can_name() -> None:
    names = json.loads(call("targets", "--json").stdout)
    assert names == call("targets").stdout.split() == sorted(names)
    assert {"cp311-manylinux_2_36_aarch64", "cp313-manylinux_2_41_riscv64"} < set(names)


@pytest.mark.engine
def test_the_list_says_what_is_here() -> None:
    image()
    result = call("list", "--family", "bookworm", "--arch", "x86_64", "--json")
    rows = {row["root"]: row["here"] for row in json.loads(result.stdout)}
    assert rows["bookworm-x86_64-bare"] is True


@pytest.mark.engine
def test_the_list_names_once_what_families_share() -> None:
    families = [word for name in ("manylinux_2_28", "manylinux_2_34") for word in ("--family", name)]
    names = [row["root"] for row in json.loads(call("list", *families, "--arch", "s390x", "--json").stdout)]
    assert names.count("trixie-s390x-clang") == 1 and len(names) == 5


@pytest.mark.engine
def test_building_what_is_here_prints_its_name() -> None:
    image()
    result = call("build", "--family", "bookworm", "--arch", "x86_64", "--role", "bare")
    assert result.stdout == f"bookworm-x86_64-bare {root().tag}\n" and result.exit_code == 0


@pytest.mark.engine
def test_pruning_removes_what_no_row_asks_for_and_keeps_the_rest(tmp_path: Path) -> None:
    # A table with a family of its own name, so that roots of other runs on this machine are not touched.
    engine().call("tag", image(), "localhost/wheelbuilder/prunetest-bare:x86_64-0123456789abcdef")
    rows = default_path().read_text(encoding="utf-8").partition("# Roots made")[0]
    table = tmp_path / "images.toml"
    table.write_text(
        rows
        + """
[families.prunetest]
source = "archive"
suite = "bookworm"
policy = "manylinux_2_36"
architectures = ["x86_64"]
pythons.cp311 = { path = "/usr/bin/python3.11", version = "3.11.2" }
packages = { build = ["gcc"], bare = ["python3"] }
"""
    )
    words = ("prune", "--family", "prunetest", "--images", str(table))
    stale = "localhost/wheelbuilder/prunetest-bare:x86_64-0123456789abcdef"
    assert call(*words, "--dry-run").stdout == f"would remove {stale}\n" and engine().has(stale)
    assert f"removing {stale}\n" in call(*words).stdout and not engine().has(stale)
    assert engine().has(root().tag)


@pytest.mark.engine
def test_a_toolchain_is_made_once_listed_and_not_pruned() -> None:
    words = ("--family", "bookworm", "--arch", FOREIGN)
    made = call("toolchain", *words)
    name, folder = made.stdout.split()
    assert name == f"bookworm-{FOREIGN}-toolchain" and Path(folder).is_dir()
    rows = {row["root"]: row for row in json.loads(call("list", *words, "--json").stdout)}
    assert rows[name]["here"] and rows[name]["image"] == folder
    assert rows[f"bookworm-{FOREIGN}-rust-toolchain"]["image"] != folder  # made only where it is needed
    pruned = call("prune", *words, "--dry-run").stdout.splitlines()
    (current,) = chosen(Catalogue.read(default_path()), (FOREIGN,), ("bookworm",), "build")
    for kept in (folder, f"{folder}/names/{current.digest}"):
        assert f"would remove {name} {kept}" not in pruned


@pytest.mark.engine
def test_a_toolchain_that_no_row_asks_for_is_pruned() -> None:
    stale = cache_home() / "toolchains" / "0123"
    stale.mkdir(parents=True)
    (stale / "about").write_text("prunetest-vax-toolchain")
    families = ["--family", "bullseye"]
    assert str(stale) not in call("prune", *families, "--dry-run").stdout
    (stale / "about").write_text("bullseye-vax-toolchain")
    assert f"would remove bullseye-vax-toolchain {stale}" in call("prune", *families, "--dry-run").stdout
    assert stale.exists()
    held = os.open(stale, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)  # as a run does that builds with it
    for words in (["--dry-run"], []):
        said = call("prune", *families, *words).stdout
        assert f"a run uses bullseye-vax-toolchain {stale}" in said and stale.exists()
    os.close(held)
    assert f"removed bullseye-vax-toolchain {stale}" in call("prune", *families).stdout
    assert not stale.exists()


def test_a_native_root_takes_no_toolchain() -> None:
    error = call("toolchain", "--family", "bookworm", "--arch", MACHINE).exception
    assert isinstance(error, ConfigurationError) and "images.toml" in error.hint
    error = call("toolchain", "--family", "manylinux_2_28", "--rust").exception
    assert isinstance(error, ConfigurationError) and error.message.endswith("native toolchain with Rust.")


@pytest.mark.engine
def test_the_doctor_finds_what_works_here() -> None:
    image()
    result = CliRunner().invoke(doctor, ("--quick", "--json"))
    findings = {row["subject"]: row for row in json.loads(result.stdout)}
    assert findings["engine"]["works"] and "arguments" in findings["engine"]["words"]
    assert findings["runs aarch64"]["works"] and findings["bookworm-x86_64-bare"]["works"]
    assert all(row["works"] or row["remedy"] for row in findings.values())


def test_the_doctor_says_what_to_do_without_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(doctor, ("--quick",))
    assert isinstance(result.exception, WheelbuilderError) and result.exception.exit_code == 3
    assert "no  engine" in result.stdout and "podman: not installed; docker: not installed" in result.stdout
    assert "make setup" in result.stdout and "no  mmdebstrap" in result.stdout
