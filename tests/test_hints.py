"""From the log of a failed build to the package that ends the want, in real roots of a real archive."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import engine, root
from sdists import EXTENSION, TARGET, FileIndex, Sdist, Workplace, cli, in_tree, sdist

from wheelbuilder.build.hints import hint, snippet
from wheelbuilder.build.missing import Kind, Missing
from wheelbuilder.inputs.images import Role

FOREIGN = "cp311-manylinux_2_36_aarch64"
RUN = "subprocess.run({argv!r}, check=True, shell={shell})"


def wanting(name: str, *headers: str) -> Sdist:
    """An sdist with an extension in C that includes headers."""
    source = "".join(f"#include <{header}>\n" for header in headers) + EXTENSION.format(name=name)
    return in_tree(name, "return native(folder)", files={f"{name}.c": source})


def running(name: str, argv: list[str] | str, **files: str) -> Sdist:
    """An sdist whose build runs a program. files: __ stands for a dot."""
    named = {file.replace("__", "."): text for file, text in files.items()}
    body = f"{RUN.format(argv=argv, shell=isinstance(argv, str))}\nreturn pure(folder)"
    return in_tree(name, body, files=named)


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        yield index


@pytest.fixture
def work(tmp_path: Path, index: FileIndex) -> Workplace:
    return Workplace(folder=tmp_path / "work", index=index)


def pasted(row: dict[str, Any]) -> str:
    """What a person takes out of a hint and puts into the recipe: the lines that are TOML."""
    return str(row["hint"]).partition("\n")[2]


def packages(row: dict[str, Any]) -> list[str]:
    read: list[str] = tomllib.loads(pasted(row))["system-packages"]["deb"]
    return read


@pytest.mark.engine
def test_what_is_missing_is_named_with_its_package(work: Workplace, index: FileIndex) -> None:
    made = {
        "libldap-dev": wanting("header", "lber.h"),
        "libkrb5-dev": running("shell", "krb5-config --libs gssapi"),
        "libpq-dev": running("spawn", ["pg_config", "--includedir"]),
        "swig": running("swig", ["swig", "-version"]),
        "libsystemd-dev": running("module", ["pkg-config", "--print-errors", "--cflags", "libsystemd"]),
        "libsodium-dev": in_tree(
            "library", "return native(folder, 'library.c', '-lsodium')",
            files={"library.c": EXTENSION.format(name="library")},
        ),
    }  # fmt: skip
    index.offer(*made.values())
    work.write(list(made.values()))
    outcomes = work.run().outcomes
    classes = {name: outcomes[each.name]["class"] for name, each in made.items()}
    assert classes == {
        "libldap-dev": "missing-header",
        "libkrb5-dev": "missing-program",
        "libpq-dev": "missing-program",
        "swig": "missing-program",
        "libsystemd-dev": "missing-library",
        "libsodium-dev": "missing-library",
    }
    assert {name: packages(outcomes[each.name])[0] for name, each in made.items()} == {
        name: name for name in made
    }


@pytest.mark.engine
def test_cmake_and_meson_are_understood_and_so_is_a_package_that_is_there(
    work: Workplace, index: FileIndex
) -> None:
    cmake = "cmake_minimum_required(VERSION 3.20)\nproject(x C)\nfind_package({} REQUIRED)\n"
    meson = "project('x', 'c')\ndependency('libssh2')\n"
    made = [
        running("module", ["cmake", "."], CMakeLists__txt=cmake.format("OpenSSL")),
        running("config", ["cmake", "."], CMakeLists__txt=cmake.format("fmt")),
        running("dependency", ["meson", "setup", "made"], meson__build=meson),
        wanting("there", "libxml/tree.h"),
    ]
    index.offer(*made)
    work.write(made)
    for each in made:  # one root for all of them
        work.recipe(each.name, 'system-packages.deb = ["cmake", "meson", "libxml2-dev"]\n')
    outcomes = work.run().outcomes
    assert packages(outcomes["module"]) == ["libssl-dev"]
    assert packages(outcomes["config"]) == ["libfmt-dev"]
    assert packages(outcomes["dependency"]) == ["libssh2-1-dev"]
    told = outcomes["there"]["hint"]
    assert told.startswith("libxml2-dev, which is in the root, has libxml/tree.h as /usr/include/libxml2/")
    assert tomllib.loads(pasted(outcomes["there"])) == {"environment": {"CPATH": "/usr/include/libxml2"}}
    work.recipe(
        "there", f'system-packages.deb = ["cmake", "meson", "libxml2-dev"]\n{pasted(outcomes["there"])}'
    )
    assert work.run("--pin", "there").outcomes["there"]["outcome"] == "built"


@pytest.mark.engine
@pytest.mark.parametrize("target", [TARGET, FOREIGN])
def test_what_a_hint_says_pasted_into_the_recipe_is_the_cure(
    index: FileIndex, tmp_path: Path, setuptools_wheel: Path, target: str
) -> None:
    setup = (
        "import subprocess\nfrom setuptools import Extension, setup\n"
        "subprocess.run(['cc', '-fsyntax-only', 'one.c', 'two.c'], check=True)\n"
        "setup(name='wanting', version='1.0', ext_modules=[Extension('wanting', ['wanting.c'])])\n"
    )
    files = {"one.c": "#include <lber.h>\n", "two.c": "#include <sasl/sasl.h>\n"}
    made = sdist("wanting", {"setup.py": setup, "wanting.c": EXTENSION.format(name="wanting"), **files})
    index.offer(made)
    index.offer_wheel(setuptools_wheel)
    work = Workplace(folder=tmp_path / "work", index=index, targets=(target,))
    work.write([made])
    row = work.run().outcomes["wanting"]
    assert (row["class"], packages(row)) == ("missing-header", ["libldap-dev", "libsasl2-dev"])
    work.recipe("wanting", pasted(row))
    assert work.run().outcomes["wanting"]["outcome"] == "built"


@pytest.mark.engine
def test_the_terminal_shows_the_lines_to_paste(work: Workplace, index: FileIndex) -> None:
    made = wanting("header", "sasl/sasl.h")
    index.offer(made)
    work.write([made])
    ended = cli("run", str(work.list_path), "--store", str(work.store))
    assert "hint: Add the package that provides it to system-packages" in ended.stdout
    assert '    [system-packages]\n    deb = ["libsasl2-dev"]  # sasl/sasl.h\n' in ended.stdout


@pytest.mark.engine
def test_without_an_index_the_hint_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = engine()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    wanted = (Missing(kind=Kind.HEADER, name="lber.h"),)
    assert hint(found, root(role=Role.BUILD), wanted, "Add it.") == "Add it."


def test_a_snippet_is_toml_with_each_package_once() -> None:
    header, library = Missing(kind=Kind.HEADER, name="ldap.h"), Missing(kind=Kind.LIBRARY, name="ldap")
    other, none = Missing(kind=Kind.PROGRAM, name="krb5-config"), Missing(kind=Kind.HEADER, name="no.h")
    assert snippet("deb", {none: ()}) == "" == snippet("deb", {})
    one = snippet("deb", {header: ("libldap-dev",), library: ("libldap-dev",), none: ()})
    assert one == '[system-packages]\ndeb = ["libldap-dev"]  # ldap.h, ldap'
    two = snippet("rpm", {header: ("openldap-devel",), other: ("krb5-devel", "heimdal-devel")})
    assert tomllib.loads(two) == {"system-packages": {"rpm": ["openldap-devel", "krb5-devel"]}}
    assert '"krb5-devel",  # krb5-config (also in heimdal-devel)' in two
