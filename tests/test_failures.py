from __future__ import annotations

import time
from pathlib import Path

import pytest

from wheelbuilder.build.failures import MOST_LENGTH, MOST_LINES, classify, is_certain, useful_lines
from wheelbuilder.build.logs import MOST_READ, tail
from wheelbuilder.build.outcomes import FailureClass as F
from wheelbuilder.build.outcomes import StepFailedError

GCC_HEADER = """
running build_ext
building '_ldap' extension
creating build/temp.linux-x86_64-cpython-311/Modules
x86_64-linux-gnu-gcc -Wsign-compare -DNDEBUG -g -fwrapv -O2 -Wall -fPIC -DHAVE_SASL -IModules -I/usr/include/python3.11 -c Modules/LDAPObject.c -o build/temp/Modules/LDAPObject.o
In file included from Modules/LDAPObject.c:3:
Modules/common.h:15:10: fatal error: lber.h: No such file or directory
   15 | #include <lber.h>
      |          ^~~~~~~~
compilation terminated.
error: command '/usr/bin/x86_64-linux-gnu-gcc' failed with exit code 1
"""  # noqa: E501
LD = """
x86_64-linux-gnu-gcc -shared -Wl,-O1 build/temp/LDAPObject.o -lldap_r -llber -o build/lib/_ldap.so
/usr/bin/ld: cannot find -lldap_r: No such file or directory
collect2: error: ld returned 1 exit status
error: command '/usr/bin/x86_64-linux-gnu-gcc' failed with exit code 1
"""
PKG_CONFIG = """
Package libvirt was not found in the pkg-config search path.
Perhaps you should add the directory containing `libvirt.pc'
to the PKG_CONFIG_PATH environment variable
Package 'libvirt', required by 'virtual:world', not found
subprocess.CalledProcessError: Command '['pkg-config', '--print-errors', 'libvirt']' returned 1.
"""
COMMAND = (
    "/bin/sh: 1: krb5-config: not found\nTraceback (most recent call last):\nsubprocess.CalledProcessError"
)
PG_CONFIG = """
running egg_info
writing top-level names to psycopg2.egg-info/top_level.txt

Error: pg_config executable not found.

pg_config is required to build psycopg2 from source.
"""
NO_GCC = "building 'x' extension\nerror: command 'gcc' failed: No such file or directory\n"
SPAWN = """
    raise child_exception_type(errno_num, err_msg, err_filename)
FileNotFoundError: [Errno 2] No such file or directory: 'swig'
"""
MESON = """
The Meson build system
Version: 1.6.0
Project name: dbus-python
Run-time dependency dbus-1 found: NO (tried pkgconfig and cmake)

../meson.build:107:11: ERROR: Dependency "dbus-1" not found, tried pkgconfig and cmake

A full log can be found at /build/src/.mesonpy/meson-logs/meson-log.txt
"""
CMAKE = """
-- Could NOT find Doxygen (missing: DOXYGEN_EXECUTABLE)
CMake Error at /usr/share/cmake-3.25/Modules/FindPackageHandleStandardArgs.cmake:230 (message):
  Could NOT find OpenSSL, try to set the path to OpenSSL root folder in the
  system variable OPENSSL_ROOT_DIR (missing: OPENSSL_CRYPTO_LIBRARY)
-- Configuring incomplete, errors occurred!
"""
CYTHON = """
Error compiling Cython file:
------------------------------------------------------------
...
cdef class Reader:
    cdef long long size
    ^
------------------------------------------------------------

aiokafka/record.pyx:21:4: 'PyUnicode_READY' is not declared
"""
RUST = """
   Compiling cryptography-rust v0.1.0 (/build/src/src/rust)
error[E0433]: failed to resolve: use of undeclared crate or module `foo`
error: could not compile `cryptography-rust` (lib) due to 1 previous error
"""
NO_RUST = """
Cargo, the Rust package manager, is not installed or is not on PATH.
This package requires Rust and Cargo to compile extensions.
"""
COMPILER = """
src/netifaces.c:1808:5: error: incompatible types when assigning to type 'int'
error: command '/usr/bin/gcc' failed with exit code 1
"""
UNDEFINED = "/usr/bin/ld: x.o: in function `main':\nx.c:(.text+0x5): undefined reference to `frobnicate'\n"
KILLED = (
    "x86_64-linux-gnu-g++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"
)
MODULE = """
Traceback (most recent call last):
  File "/build/src/setup.py", line 3, in <module>
    import numpy
ModuleNotFoundError: No module named 'numpy'
"""
PROBED = """
x86_64-linux-gnu-gcc -c _configtest.c
_configtest.c:1:10: fatal error: endian/none.h: No such file or directory
conftest.c:3:1: error: unknown type name 'nothing'
checking for doxygen... no
KeyError: '__version__'
"""
READS_A_FILE = """
    with open('requirements.txt') as file:
FileNotFoundError: [Errno 2] No such file or directory: 'requirements.txt'
"""


@pytest.mark.parametrize(
    ("log", "failure", "word"),
    [
        (GCC_HEADER, F.MISSING_HEADER, "lber.h"),
        ("src/x.cc:1:10: fatal error: 'Python.h' file not found", F.MISSING_HEADER, "Python.h"),
        ("a/b.cpp:2:10: fatal error: Eigen/Core: No such file or directory", F.MISSING_HEADER, "Eigen/Core"),
        ("../meson.build:9:0: ERROR: C header 'zlib.h' not found", F.MISSING_HEADER, "zlib.h"),
        (LD, F.MISSING_LIBRARY, "the library ldap_r is missing"),
        (PKG_CONFIG, F.MISSING_LIBRARY, "module libvirt is missing"),
        ("No package 'libsystemd' found", F.MISSING_LIBRARY, "libsystemd"),
        (MESON, F.MISSING_LIBRARY, "module dbus-1 is missing"),
        (CMAKE, F.MISSING_LIBRARY, "OpenSSL"),
        (COMMAND, F.MISSING_PROGRAM, "krb5-config"),
        ("bash: line 1: cargo: command not found", F.MISSING_PROGRAM, "program cargo"),
        ("make[1]: autoconf: No such file or directory", F.MISSING_PROGRAM, "autoconf"),
        ("/usr/bin/env: 'perl': No such file or directory", F.MISSING_PROGRAM, "perl"),
        ("../meson.build:3:0: ERROR: Program 'cython' not found or no program", F.MISSING_PROGRAM, "cython"),
        (PG_CONFIG, F.MISSING_PROGRAM, "program pg_config"),
        (NO_GCC, F.MISSING_PROGRAM, "gcc"),
        (SPAWN, F.MISSING_PROGRAM, "swig"),
        (NO_RUST, F.MISSING_PROGRAM, "Cargo"),
        ("error: can't find Rust compiler", F.MISSING_PROGRAM, "Rust compiler"),
        (RUST, F.COMPILER, "undeclared crate"),
        (CYTHON, F.COMPILER, "PyUnicode_READY"),
        (COMPILER, F.COMPILER, "incompatible types"),
        (UNDEFINED, F.COMPILER, "frobnicate"),
        ("error: command '/usr/bin/gcc' failed with exit code 1", F.COMPILER, "compiler failed"),
        (KILLED, F.OUT_OF_MEMORY, "memory"),
        (MODULE, F.REQUIREMENTS, "numpy"),
    ],
)  # fmt: skip
def test_a_log_has_its_class(log: str, failure: F, word: str) -> None:
    clue = classify(log)
    assert clue is not None and clue.failure is failure and word in clue.summary


@pytest.mark.parametrize(
    "log",
    [
        "",
        PROBED,
        READS_A_FILE,
        "checking for foo.h... no\nchecking whether gcc: not found is printed... no",
        "-- Could NOT find Doxygen (missing: DOXYGEN_EXECUTABLE)\nValueError: no such flux",
        "Run-time dependency foo found: NO (tried pkgconfig)\nSyntaxError: invalid syntax",
        "x.c:3:5: warning: 'error: this is a macro' [-Wunused]\nRuntimeError: it is Tuesday",
        "copying pkg/errors.py -> build/lib\nInvalidVersion: Invalid version: '1.0-beta-x'",
        "cc1: fatal error: src/missing.c: No such file or directory",
    ],
)
def test_a_log_that_says_none_of_it_has_none(log: str) -> None:
    assert classify(log) is None


def test_useful_lines_are_the_errors_and_the_end() -> None:
    lines = useful_lines(GCC_HEADER)
    assert lines[0] == "Modules/common.h:15:10: fatal error: lber.h: No such file or directory"
    assert "error: command '/usr/bin/x86_64-linux-gnu-gcc' failed with exit code 1" in lines
    assert not any("-Wsign-compare" in line for line in lines)


def test_useful_lines_leave_noise_out() -> None:
    noise = (
        "copying a/errors.py -> b\nx.c:1:1: warning: no such thing\ngcc -Wno-error -c x.c\nlast but one\nlast"
    )
    assert useful_lines(noise) == ("last but one", "last")
    assert useful_lines("*** Can not locate it\n***\n*****\n") == ("*** Can not locate it",)
    assert useful_lines("") == () and useful_lines("  \n\n") == ()


def test_lines_are_few_short_and_different() -> None:
    lines = useful_lines("error: " + "x" * 5000 + "\n" + "error: the same\n" * 5000)
    assert len(lines) == 2 and len(lines[0]) == MOST_LENGTH
    assert len(useful_lines("".join(f"error {n}\n" for n in range(100)))) == MOST_LINES


@pytest.mark.parametrize(
    "block", ["x" * 1023 + "\n", "a-b." * 2000, "x.c:1:1: " * 100 + "\n", "sh: " * 300, "\n"]
)
def test_a_flood_costs_little(block: str) -> None:
    log = block * (MOST_READ // len(block))
    started = time.process_time()
    classify(log)
    useful_lines(log)
    assert time.process_time() - started < 5


def test_only_the_end_of_a_log_is_tail(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_bytes(b"start" + b"\xff" * (MOST_READ + 7) + b"end")
    text = tail(log)
    assert len(text) == MOST_READ and text.endswith("end") and "start" not in text


@pytest.mark.parametrize("summary", ["it cannot be had", "it cannot be had."])
def test_a_summary_leaves_its_full_stop_to_who_goes_on_from_it(summary: str) -> None:
    assert StepFailedError(F.NO_SOURCE, summary).summary == "it cannot be had"


REFUSED = """
Error compiling Cython file:
------------------------------------------------------------
...
def broken(:
           ^
------------------------------------------------------------

part.pyx:1:11: Expected an identifier, found ':'
"""


def test_what_two_cythons_have_refused_is_certain_if_that_was_the_end() -> None:
    again = f"{REFUSED}wheelbuilder: Cython runs emulated: the native one did not do it\n{REFUSED}"
    assert is_certain(f"{again}Cython.Compiler.Errors.CompileError: part.pyx\n")
    assert not is_certain(REFUSED)
    assert not is_certain(REFUSED + REFUSED.replace(":11:", ":12:"))
    assert not is_certain(f"{again}part.c:5:2: error: 'y' undeclared\n")
    assert not is_certain(2 * "part.pyx:1:11: warning: too old\n")
