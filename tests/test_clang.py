"""Builds in pulled images with clang: it does what the image's GCC does, or leaves the call to that."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import odd_sdists as odd
import pytest
import standin
from builds import FOREIGN
from engines import engine, log_of
from sdists import Ended, FileIndex, Sdist, Workplace, in_tree
from test_ladder import contents

from wheelbuilder.build.clang_names import defaults, program, refuse_another_abi
from wheelbuilder.build.image_compilers import Gcc, read
from wheelbuilder.build.toolchain import Toolchain, ensure
from wheelbuilder.build.toolchain_layout import INSIDE
from wheelbuilder.build.toolchain_proof import prove
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Catalogue, Role, Root

HOME = "/opt/gcc/lib/gcc/s390x-vendor-linux/14"
# As GCC words its answers; no such image was seen.
ANSWERS = {
    "triplet": "s390x-vendor-linux\n",
    "version": "14\n",
    "libgcc": "/opt/gcc/bin/../lib/gcc/s390x-vendor-linux/14/libgcc.a\n",
    "command": """Using built-in specs.
 /opt/gcc/libexec/cc1 -quiet /dev/null "-march=z13" -mzarch -mtune=z14 -O2 -o /tmp/x.s
 as -m64 -o /tmp/x.o /tmp/x.s
 /opt/gcc/libexec/collect2 -plugin "x" --build-id --hash-style=gnu -z now -z nonsense /lib64/crt1.o -z relro
""",
    "macros": "#define __CHAR_UNSIGNED__ 1\n#define __SSP_STRONG__ 3\n#define __ARCH__ 11\n",
    "C++ macros": "#define __cplusplus 201703L\n",
    "C": f"""#include "..." search starts here:
#include <...> search starts here:
 {HOME}/include
 /opt/gcc/include
 /usr/include
End of search list.
""",
    "C++": f"""#include "..." search starts here:
#include <...> search starts here:
 {HOME}/../../../../include/c++/14
 {HOME}/include
 /opt/gcc/include
 /usr/include
End of search list.
""",
}


def gcc() -> Gcc:
    return read(ANSWERS)


def test_what_a_gcc_does_by_itself_is_read_from_its_own_words() -> None:
    own = gcc()
    assert (own.triplet, own.version, own.home) == ("s390x-vendor-linux", "14", HOME)
    assert own.machine == ("-march=z13",) and own.macros["__ARCH__"] == "11"
    assert own.linking == ("--build-id", "--hash-style=gnu", "-z", "now")
    assert own.headers == (f"{HOME}/include", "/opt/gcc/include", "/usr/include")
    assert own.cxx_headers == ("/opt/gcc/include/c++/14",)
    assert own.cxx_macros == {"__cplusplus": "201703L"}
    without = read({**ANSWERS, "C++": "sh: g++: not found\n", "C++ macros": ""})
    assert (without.cxx_headers, without.cxx_macros) == ((), {})


@pytest.mark.parametrize(
    "name", ["cc", "gcc", "g++-14", "s390x-vendor-linux-c++", "s390x-vendor-linux-gcc-14", "cpp"]
)
def test_names_of_the_images_compilers_lead_to_clang(name: str) -> None:
    assert program(gcc(), "s390x-linux-gnu", name) == f"{INSIDE}/bin/.compiler"


@pytest.mark.parametrize(
    "name", ["ar", "s390x-vendor-linux-ar", "gcc-ar", "gcc-ar-14", "s390x-vendor-linux-gcc-ar"]
)
def test_names_of_binutils_lead_to_those_for_the_architecture(name: str) -> None:
    assert program(gcc(), "s390x-linux-gnu", name) == f"{INSIDE}/usr/bin/s390x-linux-gnu-ar"


def test_linkers_stay_the_images_own_and_of_others_nothing_is_said() -> None:
    names = ("ld", "ld.bfd", "s390x-vendor-linux-ld", "ld.gold", "gold", "clang", "ld.lld", "llvm-ar-19")
    assert {program(gcc(), "x", name) for name in names} == {""}
    others = ("make", "sed", "gcc-13", "other-linux-gcc", "gfortran", "c99", "fold", "scold")
    assert {program(gcc(), "x", name) for name in others} == {None}


def test_what_a_gcc_was_configured_to_do_is_asked_of_clang() -> None:
    own = gcc()
    usual = ("-march=z13", "-fno-builtin-bcmp")
    assert tuple(defaults(own)) == (*usual, "-fno-pie", "-no-pie", "-fstack-protector-strong")
    other = replace(own, macros={"__PIE__": "2", "__LONG_DOUBLE_IEEE128__": "1"})
    assert tuple(defaults(other)) == (*usual, "-mabi=ieeelongdouble")


def test_a_compiler_for_another_abi_is_refused() -> None:
    wanted = {
        "__SIZE_TYPE__": "long unsigned int",
        "__ARM_ARCH": "8",
        "__INT_TYPE__": "int",
        "__VERSION__": "14",
    }
    refuse_another_abi(wanted, {"__SIZE_TYPE__": "unsigned long", "__ARM_ARCH": "8", "__VERSION__": "19"})
    with pytest.raises(UnreachableError, match="__ARM_ARCH as 9, where the image's GCC has it as 8"):
        refuse_another_abi(wanted, {**wanted, "__ARM_ARCH": "9"})
    with pytest.raises(
        UnreachableError, match="__CHAR_UNSIGNED__ as undefined, where the image's GCC has it as 1"
    ):
        refuse_another_abi(gcc().macros, {"__ARCH__": "11"})


def build_root(folder: Path) -> tuple[Catalogue, Root]:
    catalogue = Catalogue.read(standin.here(folder))
    return catalogue, catalogue.families[standin.FAMILY].roots[FOREIGN.arch, Role.BUILD]


def toolchain(folder: Path) -> tuple[Root, Toolchain]:
    catalogue, root = build_root(folder)
    made = ensure(engine(), catalogue, root, log=log_of("tests"))
    assert made
    return root, made


SCRIPT = r"""
made_by() { readelf -p .comment $1 | sed -n 's/.*clang.*/clang/p; s/.*GCC: .*/gcc/p'; }
echo 'int f(void) { return 1; }' >f.c; echo 'int f(void); int main(void) { return f() - 1; }' >m.c
echo "+ one $(gcc -O2 -Werror -fno-tree-vectorize -Wno-such-warning -c f.c -o c.o && made_by c.o)"
for word in -march=native -fopenmp --coverage; do
    gcc $word -c f.c -o own.o; echo "+ $word $(made_by own.o)"
done
echo -march=native >words; gcc -c f.c @words -o own.o; echo "+ @ $(made_by own.o)"
gcc -fno-such-flag -c f.c 2>no || echo "+ unknown $(sed -n 's/.*unknown argument.*/refused/p' no)"
gcc -flto -c f.c -o l.o; ar rcs l.a l.o; gcc -flto m.c l.a -o lto; ./lto
echo "+ lto $? $(nm -s l.a | grep -c 'f in l.o')"
printf '.globl g\n.type g, %%function\ng: ret\n' >g.s; gcc -c g.s -v 2>log
echo "+ as $(grep -c '/gnu-as/as"' log)"
echo 'int same(char *a, char *b, int n) { return !__builtin_memcmp(a, b, n); }' >e.c
gcc -O2 -c e.c -o e.o; echo "+ asks $(nm -u e.o | sed 's/ *U //')"
echo 'int sum(int a) { __asm__("add %w0, %w0, #1" : "+r"(a)); return a; }' >i.c
gcc -c i.c && echo "+ assembly $?"
mkdir L; echo 'X { global: f; absent; local: *; };' >map
gcc -shared -fPIC -Wa,--noexecstack -Wl,--version-script=map f.c -o L/libf.so
LIBRARY_PATH=$PWD/L gcc m.c -lf -o linked; echo "+ linked $(readelf -d linked | grep -c 'NEEDED.*libf.so')"
echo "+ version $(cc --version | head -n 1 | grep -o clang)"
echo "+ told $(gcc -dumpmachine) $(gcc -print-multiarch) $(uname -m)"
echo "+ runtime $(gcc -print-file-name=libstdc++.so | grep -c ^/opt/rh)"
dirs() { sed -n '/^#include </,/^End/s/^ //p' | grep -v '/lib/gcc/\|/clang/'; }
g++ -v -E -x c++ /dev/null 2>&1 | dirs >ours; PATH=$OWN_PATH g++ -v -E -x c++ /dev/null 2>&1 | dirs >theirs
cmp ours theirs && echo "+ headers $(wc -l <ours)"
echo "+ guise $(LD_PRELOAD=/opt/wheelbuilder/native/lib/uname.so /opt/wheelbuilder/native/usr/bin/uname -m)"
for name in gcc ld make; do echo "+ $name $(command -v $name)"; done
"""
SAID = {
    "one": "clang",
    "-march=native": "gcc",
    "-fopenmp": "gcc",
    "--coverage": "gcc",
    "@": "gcc",
    "unknown": "refused",
    "lto": "0 1",
    "as": "1",
    "asks": "memcmp",
    "assembly": "0",
    "linked": "1",
    "version": "clang",
    "told": f"{FOREIGN.arch}-linux-gnu {FOREIGN.arch}-linux-gnu {FOREIGN.arch}",
    "runtime": "1",
    "headers": "5",
    "guise": FOREIGN.arch,
    "gcc": f"{INSIDE}/bin/gcc",
    "ld": f"/{standin.TOOLSET}/bin/ld",
    "make": f"{INSIDE}/bin/make",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the script is told in the image, under its own PATH and LD_LIBRARY_PATH."""
    root, tools = toolchain(tmp_path_factory.mktemp("said"))
    own = engine().path(root.tag)
    done = engine().run(
        root.tag,
        ("/bin/sh", "-c", SCRIPT),
        mounts=tools.mounts,
        env={"PATH": f"{tools.path}:{own}", "OWN_PATH": own, "LC_ALL": "C.UTF-8", **tools.environment},
        workdir="/tmp",
        timeout=300,
    )
    lines = (line[2:].partition(" ") for line in done.stdout.splitlines() if line.startswith("+ "))
    return {name: words for name, _, words in lines} | {"stderr": done.stderr}


@pytest.mark.engine
class TestImage:
    @pytest.mark.parametrize("name", SAID)
    def test_clang_keeps_to_the_images_gcc_or_leaves_the_call_to_it(
        self, said: dict[str, str], name: str
    ) -> None:
        assert said.get(name) == SAID[name], said["stderr"]

    def test_programs_of_each_language_are_proven(self, tmp_path: Path) -> None:
        root, tools = toolchain(tmp_path)
        assert prove(engine(), root.tag, tools) == "compiles, links and runs C, C++ with clang"
        lying = replace(tools, arch=replace(tools.arch, elf_machine="EM_S390"))
        with pytest.raises(UnreachableError, match="The C program is not for"):
            prove(engine(), root.tag, lying)


def in_cxx() -> Sdist:
    """It throws through the image's C++ run-time library, and needs a library that the repair adds to it."""
    body = """
subprocess.run(["g++", "-O2", "-fPIC", "-c", "text.cc", "-o", "/tmp/text.o"], check=True)
return native(folder, "incxx.c", "/tmp/text.o", "-lstdc++", "-l:liblzma.so.5")
"""
    text = """
#include <stdexcept>
#include <string>
#include <vector>
extern "C" const char *text(void) {
    static std::string told;
    try { (void) std::vector<int>().at(1); } catch (const std::out_of_range &) { told = "caught"; }
    return told.c_str();
}
"""
    before = "extern const char *text(void), *lzma_version_string(void);\n"
    told = "*text() == 'c' && *lzma_version_string() == '5' ? TARGET : \"not caught\""
    own = odd.module("incxx", before, told)
    return in_tree("incxx", body, files={"text.cc": text, "incxx.c": own})


def by_path() -> Sdist:
    """It calls the image's compiler by its path: that is the emulated one, which works as well."""
    gcc = f"/{standin.TOOLSET}/bin/gcc"
    body = f"""
subprocess.run([{gcc!r}, "-flto", "-O2", "-fPIC", "-c", "own.c", "-o", "/tmp/own.o"], check=True)
link = ["-flto", "-r", "-flinker-output=nolto-rel"]
subprocess.run([{gcc!r}, *link, "/tmp/own.o", "-o", "/tmp/r.o"], check=True)
return native(folder, "bypath.c", "/tmp/r.o")
"""
    files = {"own.c": "int own(void) { return 42; }\n"}
    source = odd.module("bypath", "extern int own(void);\n", 'own() == 42 ? TARGET : "wrong"')
    return in_tree("bypath", body, files={**files, "bypath.c": source})


BUILT = (odd.march_native(), in_cxx(), by_path())
NOT_FOR_CLANG = in_tree(
    "nested",
    "return native(folder)",
    files={
        "nested.c": odd.module(
            "nested",
            "static int twice(int a) { int add(int b) { return a + b; } return add(a); }\n",
            'twice(21) == 42 ? TARGET : "wrong"',
        )
    },
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workplace, Ended]]:
    folder = tmp_path_factory.mktemp("clang")
    table = standin.here(folder)
    with FileIndex() as index:
        index.offer(*BUILT, NOT_FOR_CLANG)
        work = Workplace(folder=folder, index=index, targets=(standin.TARGET,))
        work.write((*BUILT, NOT_FOR_CLANG))
        yield work, work.run("--images", str(table), timeout=900)


@pytest.mark.engine
class TestBuilds:
    @pytest.mark.parametrize("name", [made.name for made in BUILT])
    def test_wheels_are_built_with_clang_and_import_in_the_image(
        self, work: tuple[Workplace, Ended], name: str
    ) -> None:
        place, ended = work
        row = ended.outcomes[name]
        assert (row["outcome"], row["rung"]) == ("built", "native-toolchain"), ended.stderr
        assert row["rung_reason"] == "the fastest here, with clang in the place of the image's GCC"
        assert len(row["toolchain"]) == 64 and row["fell"] is None
        (path,) = place.store.glob(f"files/*/{name}-*.whl")
        with zipfile.ZipFile(path) as wheel:
            grafted = [member for member in wheel.namelist() if "/liblzma" in member]
        assert len(grafted) == (name == "incxx")
        assert FOREIGN.arch.encode() + b"\0" in contents(place, name)

    def test_what_only_gcc_takes_is_emulated_and_the_record_says_why(
        self, work: tuple[Workplace, Ended]
    ) -> None:
        place, ended = work
        row = ended.outcomes["nested"]
        assert (row["outcome"], row["rung"]) == ("built", "emulated"), ended.stderr
        assert row["rung_reason"].startswith("native-toolchain failed with compiler: ")
        assert FOREIGN.arch.encode() + b"\0" in contents(place, "nested")
