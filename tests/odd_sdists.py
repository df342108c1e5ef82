"""Real sdists whose builds ask for the machine, each in another way, or need that it is the target's.

Each gives an extension module whose name is its own, with what it was told in `TOLD`.
"""

from __future__ import annotations

from sdists import Sdist, in_tree, sdist

MODULE = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
{before}
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "{name}", NULL, -1, NULL}};
PyMODINIT_FUNC PyInit_{name}(void) {{
    PyObject *made = PyModule_Create(&module);
    if (made && PyModule_AddStringConstant(made, "TOLD", {told}) < 0) return NULL;
    return made;
}}
"""
# What the compiler itself says of its target, against what a build has found out by other means.
TARGET = """
#if defined(__x86_64__)
#define TARGET "x86_64"
#elif defined(__aarch64__)
#define TARGET "aarch64"
#endif
"""


def module(name: str, before: str = "", told: str = "TARGET") -> str:
    return MODULE.format(name=name, before=TARGET + before, told=told)


def march_native() -> Sdist:
    """Its flags are for the machine that builds: no cross compiler knows what that is."""
    return in_tree(
        "marchnative",
        'return native(folder, "marchnative.c", "-O2", "-march=native")',
        files={"marchnative.c": module("marchnative")},
    )


def runs_what_it_compiled() -> Sdist:
    """It compiles a generator, runs it, and compiles what that has written."""
    body = """
subprocess.run(["cc", "generator.c", "-o", "/tmp/generator"], check=True)
with open("table.h", "wb") as table:
    subprocess.run(["/tmp/generator"], check=True, stdout=table)
return native(folder)
"""
    generator = f"""#include <stdio.h>
{TARGET}
int main(void) {{
    printf("#define TABLE \\"%s %d\\"\\n", TARGET, (int) sizeof(void *));
    return 0;
}}
"""
    own = module("runsown", '#include "table.h"\n', "TABLE")
    return in_tree("runsown", body, files={"generator.c": generator, "runsown.c": own})


def asks_uname() -> Sdist:
    """It asks `uname -m` through the shell, and stops where the compiler is for another machine."""
    body = """
told = {
    subprocess.run("uname -m", shell=True, check=True, capture_output=True, text=True).stdout.strip(),
    os.popen("uname -m | sed -n 1p").read().strip(),
    subprocess.run(["/bin/sh", "-c", "echo $(uname -m)"], check=True, capture_output=True, text=True)
    .stdout.strip(),
}
assert len(told) == 1, told
(machine,) = told
return native(folder, "unames.c", f'-DMACHINE="{machine}"', f"-DIS_{machine}")
"""
    check = """
#if !(defined(__x86_64__) && defined(IS_x86_64)) && !(defined(__aarch64__) && defined(IS_aarch64))
#error uname and the compiler disagree about the machine
#endif
"""
    return in_tree("unames", body, files={"unames.c": module("unames", check, "MACHINE")})


def inline_assembly() -> Sdist:
    """It has assembly of each target, and none for others."""
    add = """
static int add(int a, int b) {
    int sum;
#if defined(__x86_64__)
    __asm__("leal (%1,%2), %0" : "=r"(sum) : "r"((long) a), "r"((long) b));
#elif defined(__aarch64__)
    __asm__("add %w0, %w1, %w2" : "=r"(sum) : "r"(a), "r"(b));
#else
#error no assembly for this machine
#endif
    return sum;
}
"""
    source = module("assembly", add, 'add(40, 2) == 42 ? TARGET : "wrong"')
    return in_tree("assembly", "return native(folder)", files={"assembly.c": source})


def hard_codes() -> Sdist:
    """It calls the compiler by its path, once under its own name and without any environment."""
    body = """
include = sysconfig.get_paths()["include"]
machine, suffix = os.uname().machine, sysconfig.get_config_var("EXT_SUFFIX")
own = os.path.realpath("/usr/bin/cc")
assert os.path.basename(own).startswith(machine), own
flags = ["-O2", "-fPIC", "-flto", "-I" + include]
subprocess.run([own, *flags, "-c", "hardcodes.c", "-o", "/tmp/hardcodes.o"], env={}, check=True)
subprocess.run(["/usr/bin/gcc", "-shared", *flags, "/tmp/hardcodes.o", "-o", "/tmp/hardcodes.so"], check=True)
with open("/tmp/hardcodes.so", "rb") as file:
    return pack(folder, {"hardcodes" + suffix: file.read()}, tag=f"{PYTHON}-{PYTHON}-linux_{machine}")
"""
    return in_tree("hardcodes", body, files={"hardcodes.c": module("hardcodes")})


def configures() -> Sdist:
    """Its configure script holds `uname -m` against `gcc -dumpmachine`, and writes a Makefile for make."""
    configure = r"""#!/bin/sh
set -e
machine=$(uname -m)
triplet=$(gcc -dumpmachine)
case $triplet in
    "$machine"-*) echo "checking build system type... $triplet" ;;
    *) echo "configure: error: the compiler makes $triplet, this is $machine" >&2; exit 1 ;;
esac
echo 'int main(void) { return 0; }' >conftest.c
gcc conftest.c -o conftest
./conftest || { echo "configure: error: cannot run C compiled programs" >&2; exit 1; }
sed -e "s/@machine@/$machine/g" Makefile.in >Makefile
"""
    makefile = """machine := $(shell uname -m)
configures.so: configures.c
\t@test "$(machine)" = "@machine@" && test "$(firstword $(subst -, ,$(MAKE_HOST)))" = "@machine@"
\tgcc -shared -fPIC -I$(INCLUDE) -DMACHINE='"@machine@"' $< -o $@
"""
    body = """
subprocess.run(["sh", "configure"], check=True)
subprocess.run(["make", "INCLUDE=" + sysconfig.get_paths()["include"]], check=True)
machine = sysconfig.get_platform().replace("-", "_")
with open("configures.so", "rb") as file:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return pack(folder, {"configures" + suffix: file.read()}, tag=f"{PYTHON}-{PYTHON}-{machine}")
"""
    files = {
        "configure": configure,
        "Makefile.in": makefile,
        "configures.c": module("configures", "", "MACHINE"),
    }
    return in_tree("configures", body, files=files)


def picks_sources() -> Sdist:
    """Its setup.py chooses between sources by platform.machine(), and each is for one machine only."""
    setup = """
import os, platform, struct
from setuptools import Extension, setup
machine = platform.machine()
assert machine == os.uname().machine and platform.architecture()[0] == f"{8 * struct.calcsize('P')}bit"
setup(name="picks", version="1.0", ext_modules=[Extension("picks", [f"src/{machine}.c"])])
"""
    only = "#ifndef __{0}__\n#error this source is for {0}\n#endif\n"
    sources = {f"src/{machine}.c": module("picks", only.format(machine)) for machine in ("x86_64", "aarch64")}
    pyproject = '[build-system]\nrequires = ["setuptools"]\n'
    return sdist("picks", {"pyproject.toml": pyproject, "setup.py": setup, **sources})


def reads_the_shell() -> Sdist:
    """It takes the machine from the ELF header of /bin/sh, as some do; a native one misleads it."""
    body = """
with open("/bin/sh", "rb") as file:
    machine = {62: "x86_64", 183: "aarch64"}[int.from_bytes(file.read(20)[18:], sys.byteorder)]
return native(folder, f"{machine}.c")
"""
    only = "#ifndef __{0}__\n#error this source is for {0}\n#endif\n"
    files = {f"{name}.c": module("shells", only.format(name)) for name in ("x86_64", "aarch64")}
    return in_tree("shells", body, files=files)


def shrugs() -> Sdist:
    """Its speed-ups are optional: it gives a pure wheel where the compiler stops."""
    body = """
try:
    return native(folder, "shrugs.c", "-march=native")
except subprocess.CalledProcessError:
    return pure(folder)
"""
    return in_tree("shrugs", body, files={"shrugs.c": module("shrugs")})


def takes_its_time() -> Sdist:
    """It computes for longer than a limit that is meant for native builds."""
    return in_tree("slow", "import time\ntime.sleep(6)\nreturn pure(folder)")


def lacks_a_header() -> Sdist:
    """What it needs is in no root."""
    return in_tree("lacking", "return native(folder)", files={"lacking.c": "#include <nowhere/to/be.h>\n"})


def broken() -> Sdist:
    """No compiler takes it."""
    return in_tree("broken", "return native(folder)", files={"broken.c": "int main( {\n"})


ALL = (
    march_native(),
    runs_what_it_compiled(),
    asks_uname(),
    inline_assembly(),
    hard_codes(),
    configures(),
    picks_sources(),
    reads_the_shell(),
    shrugs(),
    takes_its_time(),
    lacks_a_header(),
    broken(),
)
