from __future__ import annotations

from pathlib import Path

import pytest

from wheelbuilder.build.missing import Kind, Missing
from wheelbuilder.build.presence import has_all

LIBRARY = "usr/lib/aarch64-linux-gnu"
FILES = (
    *("usr/include/openssl/ssl.h", f"{LIBRARY}/libldap.so", f"{LIBRARY}/libsasl2.so.2", "usr/bin/bison"),
    *(f"{LIBRARY}/pkgconfig/zlib.pc", "usr/lib/cmake/Foo/FooConfig.cmake", "opt/rh/bin/gcc"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/flex").touch()
    (tmp_path / "root/usr/sbin").symlink_to("../../outside")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("kind", "name", "there"),
    [
        (Kind.HEADER, "openssl/ssl.h", True),
        (Kind.HEADER, "ssl.h", True),
        (Kind.HEADER, "sl.h", False),
        (Kind.LIBRARY, "ldap", True),
        (Kind.LIBRARY, "sasl2", False),  # what links needs the name without a number
        (Kind.PROGRAM, "bison", True),
        (Kind.PROGRAM, "gcc", True),
        (Kind.PROGRAM, "flex", False),  # links that lead out are not followed
        (Kind.PKG_CONFIG, "zlib", True),
        (Kind.CMAKE, "Foo", True),
        (Kind.CMAKE, "Bar", False),
    ],
)
def test_what_a_root_has_under_its_own_name(root: Path, kind: Kind, name: str, there: bool) -> None:
    assert has_all(root, [Missing(kind=kind, name=name)]) is there


def test_all_of_several_must_be_there(root: Path) -> None:
    ssl, zlib, bar = (
        Missing(kind=Kind.HEADER, name="ssl.h"),
        Missing(kind=Kind.PKG_CONFIG, name="zlib"),
        Missing(kind=Kind.CMAKE, name="Bar"),
    )
    assert has_all(root, [ssl, zlib]) and not has_all(root, [ssl, bar])
