from __future__ import annotations

import re

import pytest

from wheelbuilder.build.missing import Kind, Missing
from wheelbuilder.build.providers import MOST, Candidate, folder, patterns, ranked

ARCH = "aarch64-linux-gnu"
LIB = f"usr/lib/{ARCH}"


def wants(kind: Kind, name: str) -> Missing:
    return Missing(kind=kind, name=name)


def rung(wanted: Missing, path: str) -> int | None:
    """By which of its patterns a path is found, 0 the best."""
    for number, pattern in enumerate(patterns(wanted)):
        if re.search(pattern + b"$", path.encode()):
            return number
    return None


@pytest.mark.parametrize(
    ("wanted", "path", "number"),
    [
        (wants(Kind.HEADER, "lber.h"), "usr/include/lber.h", 0),
        (wants(Kind.HEADER, "lber.h"), "usr/include/plumber.h", None),
        (wants(Kind.HEADER, "a+b.h"), "usr/include/aab.h", None),
        (wants(Kind.HEADER, "openssl/ssl.h"), "usr/include/openssl/ssl.h", 0),
        (wants(Kind.HEADER, "openssl/ssl.h"), "usr/include/wolf/ssl.h", None),
        (wants(Kind.LIBRARY, "ldap"), f"{LIB}/libldap.so", 0),
        (wants(Kind.LIBRARY, "ldap"), f"{LIB}/libldap.a", 1),
        (wants(Kind.LIBRARY, "ldap"), f"{LIB}/libldap.so.2", None),
        (wants(Kind.PROGRAM, "krb5-config"), "usr/bin/krb5-config", 0),
        (wants(Kind.PROGRAM, "/usr/bin/swig"), "usr/bin/swig", 0),
        (wants(Kind.PKG_CONFIG, "dbus-1"), f"{LIB}/pkgconfig/dbus-1.pc", 0),
        (wants(Kind.PKG_CONFIG, "libfoo"), f"{LIB}/pkgconfig/foo-2.pc", 1),
        (wants(Kind.PKG_CONFIG, "lapack"), f"{LIB}/lapack/liblapack.so", 3),
        (wants(Kind.CMAKE, "Boost"), f"{LIB}/cmake/Boost-1.74.0/BoostConfig.cmake", 0),
        (wants(Kind.CMAKE, "fmt"), f"{LIB}/cmake/fmt/fmt-config.cmake", 0),
        (wants(Kind.CMAKE, "OpenSSL"), f"{LIB}/pkgconfig/openssl.pc", 1),
        (wants(Kind.CMAKE, "LibXml2"), f"{LIB}/pkgconfig/libxml-2.0.pc", 1),
        (wants(Kind.CMAKE, "BZip2"), f"{LIB}/libbz2.so", 3),
        (wants(Kind.CMAKE, "SWIG"), "usr/bin/swig", 4),
        (wants(Kind.CMAKE, "PkgConfig"), "usr/bin/pkg-config", 4),
    ],
)
def test_a_want_has_files_that_end_it_best_first(wanted: Missing, path: str, number: int | None) -> None:
    assert rung(wanted, path) == number


def names(
    wanted: Missing, *candidates: tuple[str, str, int], general: dict[str, str] | None = None
) -> list[str]:
    rows = (
        Candidate(package=name, path=path, dependents=number, general=(general or {}).get(name, ""))
        for name, path, number in candidates
    )
    return [it.name for it in ranked(wanted, rows, ARCH)]


def test_what_the_compiler_finds_by_itself_comes_before_what_lies_deeper() -> None:
    wanted = wants(Kind.HEADER, "ldap.h")
    deep = ("inspircd-dev", "usr/include/inspircd/modules/ldap.h", 99)
    assert names(wanted, deep, ("libldap-dev", "usr/include/ldap.h", 1)) == ["libldap-dev"]
    assert names(wanted, deep, ("own-dev", f"usr/include/{ARCH}/ldap.h", 0)) == ["own-dev"]
    # of another architecture's folder it would be found as little as any other
    assert names(wanted, deep, ("x-dev", "usr/include/s390x-linux-gnu/ldap.h", 0)) == [
        "inspircd-dev",
        "x-dev",
    ]


def test_development_packages_come_first_but_for_programs() -> None:
    rows = (("tool", "usr/bin/swig", 0), ("tool-dev", "usr/bin/swig", 9))
    assert names(wants(Kind.PROGRAM, "swig"), *rows) == ["tool"]
    assert names(wants(Kind.PROGRAM, "pg_config"), ("common", "usr/bin/pg_config", 99), *rows[1:]) == [
        "tool-dev"
    ]


def test_the_common_one_of_several_comes_first_and_three_are_enough() -> None:
    path = f"usr/include/{ARCH}/curl/curl.h"
    rows = [("c-nss-dev", path, 1), ("c-tls-dev", path, 28), ("c-ssl-dev", path, 28), ("c-x-dev", path, 0)]
    assert names(wants(Kind.HEADER, "curl/curl.h"), *rows) == ["c-ssl-dev", "c-tls-dev", "c-nss-dev"][:MOST]


def test_the_releases_default_comes_before_a_version_of_its_own_and_each_once() -> None:
    path = "usr/include/boost/version.hpp"
    rows = [
        ("libboost1.81-dev", path, 32),
        ("libboost1.74-dev", path, 31),
        ("libboost1.74-extra-dev", path, 1),
    ]
    general = dict.fromkeys(("libboost1.74-dev", "libboost1.74-extra-dev"), "libboost-dev")
    wanted = wants(Kind.HEADER, "boost/version.hpp")
    assert names(wanted, *rows, general=general) == ["libboost-dev", "libboost1.81-dev"]
    assert names(wanted) == []


@pytest.mark.parametrize(
    ("wanted", "path", "told"),
    [
        (wants(Kind.HEADER, "lber.h"), "usr/include/lber.h", ""),
        (wants(Kind.HEADER, "curl/curl.h"), f"usr/include/{ARCH}/curl/curl.h", ""),
        (wants(Kind.HEADER, "libxml/tree.h"), "usr/include/libxml2/libxml/tree.h", "/usr/include/libxml2"),
        (wants(Kind.LIBRARY, "blas"), f"{LIB}/blas/libblas.so", f"/{LIB}/blas"),
        (wants(Kind.LIBRARY, "pq"), f"{LIB}/libpq.so", ""),
        (wants(Kind.PKG_CONFIG, "x"), f"{LIB}/openblas/pkgconfig/x.pc", f"/{LIB}/openblas/pkgconfig"),
        (wants(Kind.PKG_CONFIG, "x"), "usr/share/pkgconfig/x.pc", ""),
    ],
)
def test_the_folder_to_name_is_the_one_that_tools_do_not_search(
    wanted: Missing, path: str, told: str
) -> None:
    assert folder(wanted, path, ARCH) == told
