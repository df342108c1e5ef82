"""Excerpts of what real build systems print, and what each is taken for."""

from __future__ import annotations

import pytest

from wheelbuilder.build.failures import Finding, classify
from wheelbuilder.build.missing import Kind, Missing
from wheelbuilder.build.outcomes import FailureClass as F


def found(log: str) -> Finding:
    finding = classify(log)
    assert finding is not None, log
    return finding


SEVERAL_HEADERS = """
src/a.c:3:10: fatal error: lber.h: No such file or directory
    3 | #include <lber.h>
compilation terminated.
src/b.c:9:10: fatal error: sasl/sasl.h: No such file or directory
compilation terminated.
src/c.c:1:10: fatal error: lber.h: No such file or directory
"""
AUTOCONF_PKG = """
checking for GLIB... no
configure: error: Package requirements (glib-2.0 >= 2.50 gio-2.0) were not met:

No package 'glib-2.0' found
No package 'gio-2.0' found

Consider adjusting the PKG_CONFIG_PATH environment variable if you
installed software in a non-standard prefix.
"""
AUTOCONF_HEADER = """
checking for pcap.h... no
configure: error: cannot find pcap.h, install the development files of libpcap
"""
AUTOCONF_LIBRARY = """
checking for BZ2_bzopen in -lbz2... no
configure: error: libbz2 is required to build this
"""
MESON_PROGRAM = """
Program gtkdoc-scan found: NO

../docs/meson.build:12:2: ERROR: Program 'gtkdoc-scan' not found or not executable
"""
MESON_COMPILER = """
../meson.build:1:0: ERROR: Unknown compiler(s): [['gfortran'], ['flang'], ['nvfortran'], ['ifort']]
The following exception(s) were encountered:
Running `gfortran --version` gave "[Errno 2] No such file or directory: 'gfortran'"
"""
CMAKE_CONFIG = """
CMake Error at CMakeLists.txt:11 (find_package):
  By not providing "Findfmt.cmake" in CMAKE_MODULE_PATH this project has
  asked CMake to find a package configuration file provided by "fmt", but
  CMake did not find one.
"""
CMAKE_PKG = """
-- Checking for module 'libsecret-1>=0.18'
--   No package 'libsecret-1' found
CMake Error at /usr/share/cmake-3.25/Modules/FindPkgConfig.cmake:607 (message):
  The following required packages were not found:

   - libsecret-1>=0.18

Call Stack (most recent call first):
"""
CMAKE_COMPILER = """
CMake Error at CMakeLists.txt:2 (project):
  No CMAKE_Fortran_COMPILER could be found.
"""
OPENSSL_SYS = """
error: failed to run custom build command for `openssl-sys v0.9.103`
  --- stderr
  Could not find openssl via pkg-config:
  The system library `openssl` required by crate `openssl-sys` was not found.
  The file `openssl.pc` needs to be installed and the PKG_CONFIG_PATH environment variable must contain its parent directory.
"""  # noqa: E501
BINDGEN = """
  thread 'main' panicked at bindgen-0.69.4/lib.rs:622:31:
  Unable to find libclang: "couldn't find any valid shared libraries matching: ['libclang.so']"
"""
RUST_LINKER = """
error: linking with `cc` failed: exit status: 1
  = note: /usr/bin/ld: cannot find -lpq: No such file or directory
          collect2: error: ld returned 1 exit status
error: could not compile `pq-sys` (lib) due to 1 previous error
"""
CURL_CONFIG = """
  File "/build/src/setup.py", line 211, in configure_unix
    raise ConfigurationError(msg)
__main__.ConfigurationError: Could not run curl-config: [Errno 2] No such file or directory: 'curl-config'
"""
MYSQLCLIENT = """
Trying pkg-config --exists mysqlclient
Command 'pkg-config --exists mysqlclient' returned non-zero exit status 1.
Trying pkg-config --exists mariadb
Command 'pkg-config --exists mariadb' returned non-zero exit status 1.
Exception: Can not find valid pkg-config name.
"""
FORTRAN = "error: extension 'qp' has Fortran sources but no Fortran compiler found"
PROTOC = 'Error: Custom { kind: NotFound, error: "Could not find `protoc` installation and this build crate"'
CMAKE_CRATE = (
    "  failed to execute command: No such file or directory (os error 2)\n  is `cmake` not installed?"
)
MATURIN = "Caused by: rustc, the rust compiler, is not installed or not in PATH."
ERASURE = """
**************************************************************
***
*** Can not locate liberasurecode.so.1
***   Debian/Ubuntu variants: liberasurecode-dev
"""
LXML = "Error: Please make sure the libxml2 and libxslt development packages are installed."
LOADER = (
    "moc: error while loading shared libraries: libQt5Core.so.5: cannot open shared object file: No such file"
)
SPAWNED = """
  File "/usr/lib/python3.11/subprocess.py", line 1901, in _execute_child
    raise child_exception_type(errno_num, err_msg, err_filename)
FileNotFoundError: [Errno 2] No such file or directory: 'R.sh'
"""


@pytest.mark.parametrize(
    ("log", "kind", "names"),
    [
        (SEVERAL_HEADERS, Kind.HEADER, ["lber.h", "sasl/sasl.h"]),
        (AUTOCONF_HEADER, Kind.HEADER, ["pcap.h"]),
        (AUTOCONF_LIBRARY, Kind.LIBRARY, ["bz2"]),
        (RUST_LINKER, Kind.LIBRARY, ["pq"]),
        (BINDGEN, Kind.LIBRARY, ["clang"]),
        (ERASURE, Kind.LIBRARY, ["erasurecode"]),
        (LOADER, Kind.LIBRARY, ["Qt5Core"]),
        (LXML, Kind.PKG_CONFIG, ["libxml2", "libxslt"]),
        ("You need to install the openssl development headers", Kind.PKG_CONFIG, ["openssl"]),
        ("ld.lld: error: unable to find library -lsodium", Kind.LIBRARY, ["sodium"]),
        (AUTOCONF_PKG, Kind.PKG_CONFIG, ["glib-2.0", "gio-2.0"]),
        (CMAKE_PKG, Kind.PKG_CONFIG, ["libsecret-1"]),
        (OPENSSL_SYS, Kind.PKG_CONFIG, ["openssl"]),
        (MYSQLCLIENT, Kind.PKG_CONFIG, ["mysqlclient", "mariadb"]),
        (CMAKE_CONFIG, Kind.CMAKE, ["fmt"]),
        (CMAKE_COMPILER, Kind.PROGRAM, ["gfortran"]),
        (MESON_PROGRAM, Kind.PROGRAM, ["gtkdoc-scan"]),
        (MESON_COMPILER, Kind.PROGRAM, ["gfortran"]),
        (FORTRAN, Kind.PROGRAM, ["gfortran"]),
        (CURL_CONFIG, Kind.PROGRAM, ["curl-config"]),
        (PROTOC, Kind.PROGRAM, ["protoc"]),
        (CMAKE_CRATE, Kind.PROGRAM, ["cmake"]),
        (MATURIN, Kind.PROGRAM, ["rustc"]),
        (SPAWNED, Kind.PROGRAM, ["R.sh"]),
        ("error: can't find Rust compiler", Kind.PROGRAM, ["rustc"]),
        ("error: command 'cc' failed: No such file or directory", Kind.PROGRAM, ["gcc"]),
        ("./configure: line 12: krb5-config: command not found", Kind.PROGRAM, ["krb5-config"]),
    ],
)
def test_what_is_missing_has_a_kind_and_a_name(log: str, kind: Kind, names: list[str]) -> None:
    assert found(log).missing == tuple(Missing(kind=kind, name=name) for name in names)


OLD_CYTHON = """
src/x.c: In function '__Pyx_PyInt_As_int':
src/x.c:2210:40: error: 'PyLongObject' {aka 'struct _longobject'} has no member named 'ob_digit'
"""
OLD_FRAME = "src/g.c:12:5: error: invalid use of incomplete typedef ‘PyFrameObject’ {aka ‘struct _frame’}"  # noqa: RUF001
UNAVAILABLE_API = (
    "src/m.c:40:9: error: implicit declaration of function 'PyEval_CallObject'; did you mean 'x'?"
)
EDITION = """
  feature `edition2024` is required

  The package requires the Cargo feature called `edition2024`, but that feature is not stabilized in this version of Cargo
"""  # noqa: E501
RUSTC = "error: package `time v0.3.36` cannot be built because it requires rustc 1.67.1 or newer"
RUSTC_LIST = (
    "error: rustc 1.63.0 is not supported by the following packages:\n  base64ct@1.7.3 requires rustc 1.85"
)
LOCK = "error: failed to parse lock file at: Cargo.lock\n\nCaused by:\n  lock file version `4` was found"
UNSTABLE = "error[E0658]: use of unstable library feature 'is_some_and'"
PYO3 = (
    "error: the configured Python interpreter version (3.13) is newer than PyO3's maximum supported version"
)
CPP = "cc1plus: error: unrecognized command-line option '-std=c++23'; did you mean '-std=c++2b'?"
CPP_ERROR = (
    "/usr/include/c++/9/x.h:32:2: error: #error This file requires compiler and library support for C++ 2011"
)
MESON_CPP = "../meson.build:1:0: ERROR: None of values ['c++23'] are supported by the CPP compiler."
NUMPY_GCC = "../meson.build:28:4: ERROR: Problem encountered: NumPy requires GCC >= 9.3"
MESON_OLD = "meson.build:1:0: ERROR: Meson version is 0.61.2 but project requires >= 0.64.0"
CMAKE_OLD = (
    "CMake Error at CMakeLists.txt:1 (cmake_minimum_required):\n  CMake 3.28 or higher is required.  You are"
)
CMAKE_NEW = (
    "CMake Error at CMakeLists.txt:1 (x):\n  Compatibility with CMake < 3.5 has been removed from CMake."
)
NUMBA = "RuntimeError: Cannot install on Python version 3.11.2; only versions >=3.7,<3.11 are supported."
SCIPY = "RuntimeError: Python version >= 3.9 required."
SETUPTOOLS_MIN = "Exception: setuptools version 58.0 or newer is required"
PEP440 = "ERROR: Package 'x' requires a different Python: 3.11.2 not in '>=3.12'"
MAPPING = "AttributeError: module 'collections' has no attribute 'MutableMapping'"
IMP_IMPORTER = "AttributeError: module 'pkgutil' has no attribute 'ImpImporter'. Did you mean: 'zipimporter'?"
READFP = "AttributeError: 'ConfigParser' object has no attribute 'readfp'. Did you mean: 'read'?"
USE_2TO3 = "error in suds-jurko setup command: use_2to3 is invalid."
IN_CPP = "x.h:571:5: error: '_PyFloat_Pack4' was not declared in this scope; did you mean 'PyFloat_Pack4'?"
CYTHON_3 = "gevent/x.pyx:10:4: undeclared name not builtin: long"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (OLD_CYTHON, "has no member named 'ob_digit'"),
        (OLD_FRAME, "PyFrameObject"),
        (UNAVAILABLE_API, "PyEval_CallObject"),
        ("x.c:1:10: fatal error: longintrepr.h: No such file or directory", "longintrepr.h"),
        (IN_CPP, "_PyFloat_Pack4"),
        (EDITION, "edition2024"),
        (RUSTC, "requires rustc 1.67.1"),
        (RUSTC_LIST, "rustc 1.63.0 is not supported"),
        (LOCK, "lock file version `4`"),
        (UNSTABLE, "unstable library feature"),
        (PYO3, "newer than PyO3's maximum"),
        (CPP, "-std=c++23"),
        (CPP_ERROR, "compiler and library support"),
        (MESON_CPP, "['c++23']"),
        (NUMPY_GCC, "NumPy requires GCC >= 9.3"),
        (MESON_OLD, "project requires >= 0.64.0"),
        (CMAKE_OLD, "CMake 3.28 or higher"),
        (CMAKE_NEW, "CMake < 3.5 has been removed"),
        (NUMBA, "Python version 3.11.2"),
        (SCIPY, "Python version >= 3.9 required"),
        (SETUPTOOLS_MIN, "setuptools version 58.0"),
        (PEP440, "3.11.2 not in '>=3.12'"),
        (MAPPING, "MutableMapping"),
        (IMP_IMPORTER, "ImpImporter"),
        (READFP, "readfp"),
        ("ModuleNotFoundError: No module named 'imp'", "'imp'"),
        ("ModuleNotFoundError: No module named 'pkg_resources'", "setuptools is too old or too new"),
        (USE_2TO3, "use_2to3"),
        (CYTHON_3, "long"),
    ],
)
def test_a_tool_or_a_python_of_another_age_is_a_class_of_its_own(log: str, words: str) -> None:
    finding = found(log)
    assert (finding.failure, finding.missing) == (F.TOOLCHAIN, ())
    assert words in finding.summary and finding.hint


NO_SUCH_MARCH = "cc1: error: unknown value ‘native’ for ‘-march’\ncc1: note: valid arguments are: armv8-a"  # noqa: RUF001


@pytest.mark.parametrize(
    ("log", "failure"),
    [
        # what a build got over does not hide what it failed of
        ("/bin/sh: 1: git: not found\nsrc/a.c:2:1: error: unknown type name 'strnig'", F.COMPILER),
        ("No package 'libfoo' found\nsrc/a.c:2:1: error: unknown type name 'strnig'", F.COMPILER),
        ("sh: 1: swig: not found\na.c:1:9: fatal error: k.h: No such file or directory", F.MISSING_HEADER),
        ("rustc: error: (signal: 9, SIGKILL: kill)\nerror: could not compile `x`", F.OUT_OF_MEMORY),
        # of the compiler's arguments, which builds try out
        (NO_SUCH_MARCH, F.COMPILER),
        ("aarch64-linux-gnu-gcc-12: error: unrecognized command-line option '-mavx2'", F.COMPILER),
        ("cc: error: unrecognized command-line option '-q'\nsh: 1: swig: not found", F.MISSING_PROGRAM),
        # of another project's, or another's module of the same beginning
        ("ModuleNotFoundError: No module named 'impala'", F.REQUIREMENTS),
        ("ModuleNotFoundError: No module named 'setuptools_scm'", F.REQUIREMENTS),
        ("x.c:3:1: error: 'struct sockaddr' has no member named 'sa_len'", F.COMPILER),
    ],
)  # fmt: skip
def test_the_reason_comes_before_the_circumstances(log: str, failure: F) -> None:
    assert found(log).failure is failure


def test_names_that_no_file_has_are_not_looked_up() -> None:
    assert found("make: ../../x: Command not found").missing == ()
    assert found("../meson.build:9:0: ERROR: C header '\x1b[31m;.h' not found").missing == ()
