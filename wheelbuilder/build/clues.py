"""What build systems print when they fail: the table from patterns to classes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wheelbuilder.build.missing import Kind
from wheelbuilder.build.outcomes import FailureClass


@dataclass(frozen=True, kw_only=True, slots=True)
class Clue:
    """A pattern in a log, the class it stands for, and what to do; `{0}` is the first group that matched.

    kind: what the group names, where that can be looked up in a package index.
    """

    pattern: re.Pattern[str]
    failure: FailureClass
    summary: str
    hint: str = ""
    kind: Kind | None = None


def _clue(
    failure: FailureClass, summary: str, *patterns: str, hint: str = "", kind: Kind | None = None
) -> Clue:
    pattern = re.compile("|".join(patterns), re.MULTILINE)
    return Clue(pattern=pattern, failure=failure, summary=summary, hint=hint, kind=kind)


PACKAGE = "Add the package that provides it to system-packages of the recipe."
PROGRAM = "Add the package that provides it to system-packages of the recipe, or to build-requires."
MEMORY = "Raise limits.memory of the recipe, or lower limits.jobs."
TOOL = "Name a newer one in build-requires or system-packages of the recipe, or choose a family that has it."
COMPILER = (
    "Choose a family with a newer compiler, or add one to system-packages and name it in environment.CC."
)
PYTHON = "This release was made for another Python: pin a newer release, patch it, or record a known-failure."
SETUPTOOLS = "Bound setuptools in build-constraints of the list, or in build-requires of the recipe."
# A message of the compiler, but not about the little programs with which a build asks what there is.
PROBES = r"\S*(?:conftest|_configtest|CheckFunctionExists|testfile|CMakeScratch|CMakeTmp)\b"
AT = rf"^[ \t]*(?!{PROBES})\S+:\d+(?::\d+)?: "
# How Python and setuptools begin the line that says why they stop.
SAYS = r"^(?:[\w.]*(?:Error|Exception|SystemExit)|ERROR|[Ee]rror)\b[^\n]{0,100}?\b"
REMOVED = (
    r"(?:imp|asyncore|asynchat|smtpd|distutils(?:\.\w+)*|lib2to3(?:\.\w+)*|cgi|cgitb|crypt|pipes|telnetlib"
    r"|nntplib|imghdr|sndhdr|audioop|uu|xdrlib|spwd|nis|binhex|formatter|parser|symbol|macpath)"
)

# Ordered: what explains the others comes first, what a build may get over comes last. Every pattern
# is linear in the length of a line.
CLUES = (
    _clue(
        FailureClass.OUT_OF_MEMORY,
        "the build ran out of memory",
        r"virtual memory exhausted|Cannot allocate memory|fatal error: Killed signal terminated",
        r"internal compiler error: Killed|^MemoryError$|\(signal: 9, SIGKILL: kill\)",
        hint=MEMORY,
    ),
    _clue(
        FailureClass.TOOLCHAIN,
        "the C code does not fit this Python: {0}",
        AT + r"(?:fatal )?error: (longintrepr\.h): No such file",
        AT + r"(?:fatal )?error: ([^\n]*\b_?Py[A-Z]\w*[^\n]* has no member named[^\n]*)",
        AT + r"(?:fatal )?error: ([^\n]*(?:incomplete typedef|undeclared)[^\n]*\b_?Py[A-Z]\w*[^\n]*)",
        AT + r"(?:fatal )?error: ([^\n]*\b_?Py[A-Z]\w*[^\n]* (?:undeclared|was not declared)[^\n]*)",
        AT + r"(?:fatal )?error: (implicit declaration of function \W_?Py[A-Z]\w*[^\n]*)",
        AT + r"(?:fatal )?error: (too (?:few|many) arguments to function \W_?Py[A-Z]\w*[^\n]*)",
        AT + r"error: lvalue required as left operand of assignment\n[^\n]*\b(Py_(?:TYPE|SIZE|REFCNT))\b",
        hint=PYTHON,
    ),
    _clue(
        FailureClass.MISSING_HEADER,
        "the header {0} is missing",
        AT + r"fatal error: '?([^\s':]+\.(?:h|hh|hpp|hxx|inc|pxd)|[\w/]+)'?"
        r"(?:: No such file or directory| file not found)",
        r"ERROR: C(?:\+\+)? header '([^']+)' not found",
        r"^configure: error: [^\n]{0,80}?([\w./-]+\.h)\b[^\n]*(?:not found|missing|required|find)",
        r"^configure: error: [^\n]*(?:not found|missing|requires?|find)[^\n]{0,80}?\b([\w./-]+\.h)\b",
        hint=PACKAGE,
        kind=Kind.HEADER,
    ),
    _clue(
        FailureClass.MISSING_LIBRARY,
        "the library {0} is missing",
        r"(?:cannot find -l|library not found for -l|unable to find library -l)([\w.+-]+)",
        r"ERROR: C(?:\+\+)? (?:shared or static )?library '([^']+)' not found",
        r"^configure: error: [^\n]{0,80}?\blib([\w+-]+) (?:\w+ )?(?:not found|is missing|is required)",
        r"^configure: error: [^\n]{0,40}?(?:[Cc]annot|[Cc]ould not|[Uu]nable to) find lib([\w+-]+)",
        r"Unable to find lib(clang)\b|error: could not find native static library `([\w.+-]+)`",
        r"\blib([\w+-]+)\.so[.\d]*: cannot open shared object file",
        r"(?:[Cc]an(?: ?not|'t)|[Cc]ould not|[Uu]nable to) (?:locate|find|load) lib([\w+-]+)\.so\b",
        hint=PACKAGE,
        kind=Kind.LIBRARY,
    ),
    _clue(
        FailureClass.MISSING_LIBRARY,
        "the pkg-config module {0} is missing",
        r"ERROR: Dependency (?:lookup for )?\"?([\w.+-]+)\"? (?:not found|with method .* failed)",
        r"The system library `([\w.+-]+)` required by crate",
        r"Could not find (openssl|OpenSSL) (?:installation|via pkg-config)",
        r"Could not find directory of (OpenSSL) installation",
        r"The following required packages were not found:\s+- ([\w.+-]+)",
        # in the words of its author
        r"(?:make sure|[Ii]nstall|[Nn]eed|[Rr]equire)[^\n]{0,40}? (\w[\w.+-]*)(?: and (\w[\w.+-]*))?"
        r" (?:development|devel|dev) (?:package|header|file|librar)",
        hint=PACKAGE,
        kind=Kind.PKG_CONFIG,
    ),
    _clue(
        FailureClass.MISSING_LIBRARY,
        "CMake does not find {0}",
        r"CMake Error at [^\n]*\n+\s*(?:Could NOT find (\w+)|By not providing \"Find(\w+)\.cmake\""
        r"|Could not find a package configuration file provided by\s+\"(\w+)\")",
        hint=PACKAGE,
        kind=Kind.CMAKE,
    ),
    _clue(
        FailureClass.MISSING_PROGRAM,
        "the program {0} is missing",
        r"command '?([\w.+-]+)'? failed: No such file|unable to execute '([\w.+-]+)': No such file",
        r"make(?:\[\d+\])?: ([\w.+/-]+): (?:Command not found|No such file or directory)",
        r"/env: \W?([\w.+-]+)\W?: No such file or directory",
        r"raise child_exception_type\([^\n]*\n(?:\s*\^+\n)?FileNotFoundError: [^\n']*'([\w.+/-]+)'",
        r"\[Errno 2\] No such file or directory: b?'([\w+-]+[-_]config)'",
        r"FileNotFoundError: \[Errno 2\] No such file or directory: '([a-z][a-z0-9_+-]*)'$",
        r"(?<![\w-])(\w{1,40}[-_]config) (?:executable )?not found",
        r"ERROR: Program '?([\w.+-]+)'? not found|error: linker `([\w.+-]+)` not found",
        r"No (CMAKE_\w+_COMPILER) could be found|(CMAKE_MAKE_PROGRAM) is not set",
        r"([Cc]argo|rustc), the [Rr]ust [\w ]{1,30}, is not installed",
        r"can't find (Rust compiler)|Do you have `?([Cc]argo)`? in your PATH",
        r"is `([\w.+-]+)` not installed\?|Could not find `([\w.+-]+)`(?: installation| executable|[.:,])",
        r"ERROR: Unknown compiler\(s\): \[\['([\w.+-]+)'|ERROR: Unknown (compiler)\(s\)",
        r"has Fortran sources but no (Fortran compiler) found",
        hint=PROGRAM,
        kind=Kind.PROGRAM,
    ),
    _clue(
        FailureClass.TOOLCHAIN,
        "the Rust toolchain is too old: {0}",
        r"(package `[^`\n]+` cannot be built because it requires rustc [\d.]+ or newer)",
        r"(rustc [\d.]+\S* is not supported by the following packages?)",
        r"(feature `edition\d+` is required)|(this version of Cargo is older than the `\d+` edition)",
        r"(lock ?file version `?\d+`? (?:requires|was found)[^\n]*)",
        r"(requires rustc (?:>=? ?|version )?\d[^\n]*)|(Rust \d[\d.]* (?:or \w+ )?is required)",
        r"^error\[E0(?:658|554)\]: ([^\n]+)",
        hint=TOOL,
    ),
    _clue(
        FailureClass.TOOLCHAIN,
        "a build tool is too old or too new: {0}",
        r"(CMake \d[\d.]* or higher is required)|(Compatibility with CMake < [\d.]+ has been removed)",
        r"(Meson version is \S+ but project requires [^\n]+)",
        r"(ninja version \S+ [^\n]*(?:required|incompatible|too old)[^\n]*)",
        r"^ninja: [^\n]*(required ninja_version [^\n]*|ninja_required_version[^\n]*)",
        SAYS + r"((?:setuptools|Cython|cython|numpy|NumPy|SWIG|swig|pybind11)(?: version)? ?"
        r"(?:[<>]=? ?)?\d[\w.]*[^\n]{0,30}(?:is |are )?(?:required|needed)[^\n]*)",
        SAYS
        + r"(requires? (?:at least )?(?:setuptools|Cython|cython|numpy|SWIG|swig|pybind11)(?: version)? ?"
        r"(?:[<>]=? ?)?\d[^\n]*)",
        r"^[^\n]*(undeclared name not builtin: (?:long|unicode|basestring|xrange|unichr))",
        hint=TOOL,
    ),
    _clue(
        FailureClass.TOOLCHAIN,
        "the compiler does not know what the code asks for: {0}",
        r"unrecognized command[- ]line option \W?(-std=[\w+]+)",
        r"error: invalid value '([\w+]+)' in '-std=",
        r"None of values (\[[^\]\n]*\]) are supported by the C(?:PP|\+\+)? compiler",
        r"((?:compiler|Compiler)[^\n]{0,60}does not support [^\n]{0,20}(?:C\+\+|-std=|C)\s?\d\d[^\n]*)",
        r"error: #error ([^\n]*(?:C\+\+ ?\d|C99|C11|C17|GCC|gcc|clang|compiler)[^\n]*)",
        r"ERROR: Problem encountered: ([^\n]*requires? (?:GCC|gcc|Clang|clang|a C\+\+\d\d)[^\n]*)",
        hint=COMPILER,
    ),
    _clue(
        FailureClass.TOOLCHAIN,
        "it is not for this Python: {0}",
        r"(the configured Python interpreter version \S+ is (?:newer|older|lower)[^\n]*)",
        r"(requires a different Python: [^\n]+)",
        SAYS + r"(Python (?:version )?(?:[<>]=? ?)?\d[\w.]*[^\n]{0,40} (?:is )?(?:required|needed)[^\n]*)",
        SAYS
        + r"(Python (?:version )?\d[\w.]*[^\n]{0,20} (?:not supported|unsupported|too old|too new)[^\n]*)",
        SAYS + r"((?:requires?|needs?) (?:at least )?Python ?(?:version )?(?:[<>]=? ?)?\d[^\n]*)",
        SAYS
        + r"(Cannot install on Python version [^\n]+)|"
        + SAYS
        + r"([Uu]nsupported Python version[^\n]*)",
        rf"^ModuleNotFoundError: (No module named '{REMOVED}')",
        r"^AttributeError: (module 'pkgutil' has no attribute 'ImpImporter')",
        r"^AttributeError: (module '(?:inspect|ast|collections|asyncio|time|platform|configparser|unittest)'"
        r" has no attribute '\w+'[^\n]*)",
        r"^AttributeError: ('(?:RawConfigParser|ConfigParser|Thread|Element)' object has no attribute[^\n]*)",
        r"^ImportError: (cannot import name '\w+' from '(?:collections|inspect|typing|asyncio)'[^\n]*)",
        hint=PYTHON,
    ),
    _clue(
        FailureClass.TOOLCHAIN,
        "setuptools is too old or too new for it: {0}",
        r"^error in [^\n]{1,100} setup command: (use_2to3 is invalid)",
        r"^ModuleNotFoundError: (No module named '(?:pkg_resources|setuptools\.[\w.]+)')",
        r"^ImportError: (cannot import name '\w+' from 'setuptools[^\n]*)",
        r"^AttributeError: (module 'setuptools[\w.]*' has no attribute '\w+'|install_layout)",
        r"invalid pyproject\.toml config: (`?project\.(?:license|license-files)\b[^\n]*)",
        hint=SETUPTOOLS,
    ),
    _clue(
        FailureClass.COMPILER,
        "the compiler stopped: {0}",
        AT + r"(?:fatal )?error: (.+)|^error\[E\d+\]: (.+)|^\S+\.(?:pyx|pxd|pxi):\d+:\d+: (?!warning)(.+)",
        r"^ *rustc: error: (.+)",
    ),
    _clue(
        FailureClass.COMPILER,
        "the linker does not find {0}",
        r"undefined reference to [`']([^`'\n]+)'",
    ),
    _clue(
        FailureClass.COMPILER,
        "the compiler failed",
        r"error: command '[^']*(?:gcc|g\+\+|cc|c\+\+|clang)' failed|error: could not compile `",
        r"error: linking with `[\w.+-]+` failed",
    ),
    _clue(
        FailureClass.MISSING_LIBRARY,
        "the pkg-config module {0} is missing",
        r"No package '([^']+)' found|Package '?([\w.+-]+)'?, required by .* not found",
        r"Package (\S+) was not found in the pkg-config search path",
        r"Command '(?:pkg-config|pkgconf) (?:--\S+ )*([\w.+-]+)[^'\n]*' returned non-zero",
        hint=PACKAGE,
        kind=Kind.PKG_CONFIG,
    ),
    _clue(
        FailureClass.MISSING_PROGRAM,
        "the program {0} is missing",
        r"(?<![\w.+-])[\w-]*sh: (?:(?:line )?\d+: )?([\w.+/-]+): (?:command )?not found",
        r"^\S*configure: line \d+: ([\w.+/-]+): command not found",
        hint=PROGRAM,
        kind=Kind.PROGRAM,
    ),
    _clue(
        FailureClass.REQUIREMENTS,
        "the Python module {0} is missing",
        r"^ModuleNotFoundError: No module named '([\w.]+)'",
        hint="Add the project that provides it to build-requires of the recipe.",
    ),
    _clue(
        FailureClass.COMPILER,
        "the compiler stopped: {0}",  # at no line of the code: at its arguments, which builds try out
        r"^(?:cc1(?:plus)?|[\w.+-]*(?:gcc|g\+\+|cc|c\+\+|clang)(?:-\d+)?): error: (.+)",
    ),
)
