from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engines import root
from small_archive import SmallArchive

from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.missing import Kind, Missing
from wheelbuilder.build.package_index import MOST_AGE, package_index
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Catalogue, Role, default_path

CURL = Missing(kind=Kind.HEADER, name="curl/curl.h")


@pytest.mark.engine
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_the_archives_own_index_answers_for_each_architecture(arch: str) -> None:
    build = root(arch, Role.BUILD)
    index = package_index(build)
    wanted = [
        Missing(kind=Kind.HEADER, name="ldap.h"),
        CURL,
        Missing(kind=Kind.HEADER, name="no/such/header.h"),
        Missing(kind=Kind.HEADER, name="Eigen/Core"),  # of a package for all architectures
    ]
    ldap, curl, none, eigen = index.providers(wanted)
    assert [it.name for it in ldap] == ["libldap-dev"]
    assert {it.path for it in curl} == {f"usr/include/{build.arch.multiarch}/curl/curl.h"}
    assert len(curl) == 3 and curl[0].dependents >= curl[1].dependents >= curl[2].dependents
    assert none == () and eigen[0].name == "libeigen3-dev"
    assert {"libldap-dev", "awk"} <= index.names()  # one that packages only provide


@pytest.mark.engine
def test_a_root_from_a_place_of_its_own_is_looked_up_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # the place is another one each time
    archive = SmallArchive(tmp_path / "archive", "wb-small")
    with archive.served() as line:
        own = replace(root(role=Role.BUILD), suite="small", apt_sources=(line,))
        assert package_index(own, files=False).names() == {"wb-small"}


@pytest.mark.engine
def test_it_is_small_and_an_old_one_serves_where_none_can_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index = package_index(root(role=Role.BUILD))
    size = sum(path.stat().st_size for path in (*index.files, index.packages))
    assert size < 5_000_000
    copied = tmp_path / "wheelbuilder/packages" / index.packages.parent.name
    copied.mkdir(parents=True)
    long_ago = time.time() - 2 * MOST_AGE
    for path in (*index.files, index.packages):
        (copied / path.name).write_bytes(path.read_bytes())
        os.utime(copied / path.name, (long_ago, long_ago))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    ((found, *_),) = package_index(root(role=Role.BUILD)).providers([CURL])
    assert found.package.startswith("libcurl")
    assert sorted(path.name for path in copied.iterdir()) == sorted(
        path.name for path in (*index.files, index.packages)
    )


def test_none_is_an_error_that_says_of_what(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    riscv = Catalogue.read(default_path()).families["trixie"].roots["riscv64", Role.BUILD]
    for files in (True, False):
        with pytest.raises(UnreachableError, match="of trixie for riscv64 cannot be had"):
            package_index(riscv, files=files)
    assert list((cache_home() / "packages").rglob("*.gz")) == []
