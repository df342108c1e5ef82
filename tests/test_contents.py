from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from wheelbuilder.build import contents
from wheelbuilder.build.contents import blocks, write_files, write_packages

# As an archive writes them: a path, blanks, sections and packages.
FILES = """\
bin/krb5-tool                                           net/krb5-user
etc/ldap/ldap.conf                                      libs/libldap-common
lib/modules/6.1/include/config.h                        kernel/linux-image
usr/bin/krb5-config                                     devel/heimdal-dev,libdevel/libkrb5-dev
usr/include/lber.h                                      libdevel/libldap-dev
usr/include/c++/12/array                                libdevel/libstdc++-12-dev
usr/lib/gcc-cross/s390x-linux-gnu/12/include/omp.h      devel/gcc-12-s390x-linux-gnu
usr/lib/llvm-14/lib/libclang.so                         libdevel/libclang-14-dev
usr/lib/python3/dist-packages/numpy/core/include/x.h    python/python3-numpy
usr/lib/x86_64-linux-gnu/cmake/fmt/fmt-config.cmake     libdevel/libfmt-dev
usr/lib/x86_64-linux-gnu/debug/libstdc++.so             debug/libstdc++6-12-dbg
usr/lib/x86_64-linux-gnu/libldap.so                     libdevel/libldap-dev
usr/lib/x86_64-linux-gnu/libldap-2.5.so.0               libs/libldap-2.5-0
usr/lib/x86_64-linux-gnu/pkgconfig/ldap.pc              non-free/libdevel/libldap-dev
usr/share/doc/a b/lber.h.gz                             doc/libldap-doc
usr/share/eigen3/cmake/Eigen3Config.cmake               libdevel/libeigen3-dev
usr/share/pkgconfig/udev.pc                             libdevel/udev
"""
KEPT = """\
bin/krb5-tool\tkrb5-user
usr/bin/krb5-config\theimdal-dev,libkrb5-dev
usr/include/lber.h\tlibldap-dev
usr/include/c++/12/array\tlibstdc++-12-dev
usr/lib/llvm-14/lib/libclang.so\tlibclang-14-dev
usr/lib/x86_64-linux-gnu/cmake/fmt/fmt-config.cmake\tlibfmt-dev
usr/lib/x86_64-linux-gnu/libldap.so\tlibldap-dev
usr/lib/x86_64-linux-gnu/pkgconfig/ldap.pc\tlibldap-dev
usr/share/eigen3/cmake/Eigen3Config.cmake\tlibeigen3-dev
usr/share/pkgconfig/udev.pc\tudev
"""
PACKAGES = """\
Package: libboost-dev
Version: 1.74.0.3
Depends: libboost1.74-dev, libstdc++-dev | libc6 (>= 2.3)
Description: default version

Package: libboost1.74-dev
Depends: libstdc++-dev:any
Provides: libboost-headers (= 1.74), boost-headers

Package: libpython3-dev
Pre-Depends: libpython3.11-dev (= 3.11.2)

Package: libpython3.11-dev
"""
NAMES = """\
boost-headers\t0\t
libboost-dev\t0\t
libboost-headers\t0\t
libboost1.74-dev\t1\tlibboost-dev
libpython3-dev\t0\t
libpython3.11-dev\t1\tlibpython3-dev
"""


def squeezed(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_of_all_files_those_stay_that_a_build_can_miss(tmp_path: Path) -> None:
    first, second = (squeezed(tmp_path / f"{n}.gz", FILES) for n in "ab")
    write_files([first, second], tmp_path / "out")
    assert gzip.decompress((tmp_path / "out").read_bytes()).decode() == KEPT * 2


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
def test_blocks_are_whole_lines_whatever_their_size(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "BLOCK", size)
    for text in (FILES, FILES + "the last line has no end", "", "\n"):
        with gzip.open(squeezed(tmp_path / "a.gz", text)) as file:
            read = list(blocks(file))
        assert b"".join(read).decode() == text
        assert all(block.endswith(b"\n") for block in read[:-1])
    write_files([squeezed(tmp_path / "b.gz", FILES)], tmp_path / "out")
    assert gzip.decompress((tmp_path / "out").read_bytes()).decode() == KEPT


def test_packages_know_who_needs_them_and_who_stands_for_them(tmp_path: Path) -> None:
    (tmp_path / "Packages").write_text(PACKAGES)
    write_packages([tmp_path / "Packages"], tmp_path / "out")
    assert gzip.decompress((tmp_path / "out").read_bytes()).decode() == NAMES
