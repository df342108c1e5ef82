"""What a build found missing in its root, as values: the kind of thing and the name the log has for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

# Names come from foreign logs, and go into searches and into hints.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/@-]{0,199}", re.ASCII)


class Kind(StrEnum):
    """What can be missing."""

    HEADER = "header"
    LIBRARY = "library"  # named without lib and .so, as after -l
    PROGRAM = "program"
    PKG_CONFIG = "pkg-config module"
    CMAKE = "CMake package"


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """One missing thing. A header's name may have folders: `openssl/ssl.h`."""

    kind: Kind
    name: str


def missing(kind: Kind, name: str) -> Missing | None:
    """Return a missing thing under the name that it has on disk; None for a name that no file has."""
    known = PROGRAMS.get(name, name) if kind is Kind.PROGRAM else name
    if not NAME.fullmatch(known) or ".." in known:
        return None
    return Missing(kind=kind, name=known)


# Compilers and tools as build systems call them, and the name of the file: alternatives, which no
# package index lists, and words for people.
PROGRAMS = {
    "cc": "gcc",
    "c++": "g++",
    "f77": "gfortran",
    "f90": "gfortran",
    "f95": "gfortran",
    "yacc": "bison",
    "lex": "flex",
    "PkgConfig": "pkg-config",
    "Cargo": "cargo",
    "Rust compiler": "rustc",
    "rust compiler": "rustc",
    "Fortran compiler": "gfortran",
    "CMAKE_C_COMPILER": "gcc",
    "CMAKE_CXX_COMPILER": "g++",
    "CMAKE_Fortran_COMPILER": "gfortran",
    "CMAKE_MAKE_PROGRAM": "make",
}
