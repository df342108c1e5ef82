"""The names of a pulled image's compilers lead to clang, which is told what the image's GCC does by itself.

Clang compiles and lld links; headers, start files, libgcc and libstdc++ are those of the image's GCC, which
still compiles what only it can (inside/compiler.sh). Archives and objects are GNU binutils' business.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from wheelbuilder.build import image_compilers, process
from wheelbuilder.build.image_compilers import MACRO, Gcc
from wheelbuilder.build.toolchain_layout import INSIDE, lay_out_programs, started_outside
from wheelbuilder.errors import UnreachableError

FRONT = Path(__file__).parent / "inside" / "compiler.sh"
SOURCES = (FRONT, Path(__file__), Path(image_compilers.__file__))  # what decides what is written for an image
PROGRAM, CONFIGURATION = ".compiler", ".clang.cfg"
ASSEMBLER = "usr/lib/gnu-as"  # a folder with nothing but `as`
COMPILERS = r"cc|gcc|c\+\+|g\+\+|cpp"
BINUTILS = re.compile(
    r"(?:gcc-)?(?:ar|nm|ranlib)|as|strip|objcopy|objdump|readelf|size|strings|addr2line|c\+\+filt|elfedit"
)
# An image's linkers know where its libraries are; the rest would be for this machine, or another compiler's.
OWN = re.compile(r"(?:.*-)?(?:ld|gold|gprof)(?:[.-].*)?|gp-.*|.*(?:clang|llvm|lld).*")
CHOSEN = {
    "__SSP__": "-fstack-protector",
    "__SSP_STRONG__": "-fstack-protector-strong",
    "__SSP_ALL__": "-fstack-protector-all",
    "__LONG_DOUBLE_IEEE128__": "-mabi=ieeelongdouble",
}
LLVM = "usr/lib/llvm-*"
# For lld: version scripts may name what is not there, and constants lie beside code as patchelf expects it.
LIKE_GNU = ("--undefined-version", "--no-rosegment")
TIMEOUT = 60.0  # seconds
# What objects must agree about that are linked with those of the image's GCC, or run where they do.
ABI = re.compile(
    r"__SIZEOF_(?!INT128|FLOAT\d|I(?:BM|EEE)128)\w+__|__(?:WCHAR|WINT|SIZE|PTRDIFF|INTMAX)_TYPE__|__CHAR_UNSIGNED__"
    r"|__LDBL_MANT_DIG__|__BYTE_ORDER__|_LP64|__USER_LABEL_PREFIX__|__P(?:IC|IE)__|__CET__|__SSE\d?__|__AVX\d?__"
    r"|__ARM_(?:ARCH|PCS_VFP|NEON|FEATURE_(?:ATOMICS|SVE|BTI_DEFAULT|PAC_DEFAULT))|__SOFTFP__|__thumb__"
    r"|__riscv_(?:xlen|flen|compressed|atomic|float_abi_\w+)|__ARCH__|__VX__|_CALL_ELF|_ARCH_PWR\d+|__VSX__"
    r"|__LONG_DOUBLE_\w+__|__STDC_VERSION__|__cplusplus"
)


def identity() -> str:
    """Return what tells names apart that are made of the same image."""
    return hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()[:16]


def lay_out(folder: Path, cross: str, uname: Path) -> None:
    """Make a toolchain with clang, to be seen at INSIDE, of the packages that were unpacked here. Needs root.

    cross: what Debian's binutils for the architecture are called. uname: as for one with GCC.
    """
    lay_out_programs(folder, uname)
    for place in (*folder.glob("usr/lib/gcc*"), *folder.glob(f"{LLVM}/lib/clang/*/lib")):
        shutil.rmtree(place)  # what this machine's own programs would be linked with
    for pattern in ("*.a", "*.o"):
        for path in folder.glob(f"usr/lib/*-linux-*/{pattern}"):
            path.unlink()
    (folder / ASSEMBLER).mkdir()
    (folder / ASSEMBLER / "as").symlink_to(f"../../bin/{cross}-as")


def program(gcc: Gcc, cross: str, name: str) -> str | None:
    """Return where a name of an image's program leads inside.

    "" where the image keeps its own, and None where this does not say.
    """
    major = gcc.version.partition(".")[0]
    plain = name.removeprefix(f"{gcc.triplet}-").removesuffix(f"-{major}")
    if re.fullmatch(COMPILERS, plain):
        return f"{INSIDE}/bin/{PROGRAM}"
    if BINUTILS.fullmatch(plain):
        return f"{INSIDE}/usr/bin/{cross}-{plain.removeprefix('gcc-')}"
    return "" if OWN.fullmatch(name) else None


def write(gcc: Gcc, toolchain: Path, path: str, folder: Path) -> None:
    """Write what the names of compilers lead to into a folder, to be seen at INSIDE/bin.

    path: the image's PATH. Raises UnreachableError where clang would make something else than the GCC does.
    """
    (llvm,) = toolchain.glob(LLVM)
    inside = f"{INSIDE}/{llvm.relative_to(toolchain)}"
    (resources,) = (f"{inside}/{place.relative_to(llvm)}" for place in llvm.glob("lib/clang/*/include"))
    clang = toolchain / "usr/bin" / llvm.name.replace("llvm", "clang")
    for language, wanted in (("c", gcc.macros), ("c++", gcc.cxx_macros)):
        if wanted:
            refuse_another_abi(wanted, _macros(gcc, clang, language))
    options = (*_places(gcc, inside), *_headers(gcc, resources), *defaults(gcc), *_linking(gcc))
    (folder / CONFIGURATION).write_text("".join(f"{option}\n" for option in options), encoding="utf-8")
    (folder / PROGRAM).write_text(_front(gcc, f"{inside}/bin/clang", path), encoding="utf-8")
    (folder / PROGRAM).chmod(0o755)


def refuse_another_abi(wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise UnreachableError if what two compilers predefine says that their objects are not alike."""
    for name in sorted(filter(ABI.fullmatch, wanted.keys() | found.keys())):
        ours, theirs = (_meaning(it[name]) if name in it else "undefined" for it in (found, wanted))
        if ours != theirs:
            raise UnreachableError(f"clang has {name} as {ours}, where the image's GCC has it as {theirs}")


def _meaning(value: str) -> str:
    """Return a macro's value without what compilers spell as they like: `long unsigned int`."""
    words = sorted(value.split())
    return " ".join(word for word in words if word != "int" or len(words) == 1)


def _macros(gcc: Gcc, clang: Path, language: str) -> dict[str, str]:
    argv = (*started_outside(clang), f"--target={gcc.triplet}", *defaults(gcc))
    output = process.check((*argv, "-O2", "-dM", "-E", "-x", language, "/dev/null"), timeout=TIMEOUT)
    return dict(MACRO.findall(output))


def _places(gcc: Gcc, llvm: str) -> Iterator[str]:
    yield from (f"--target={gcc.triplet}", f"--gcc-install-dir={gcc.home}", f"-B{INSIDE}/{ASSEMBLER}")
    yield from (f"--ld-path={llvm}/bin/ld.lld", "--rtlib=libgcc", "--unwindlib=libgcc", "-stdlib=libstdc++")
    yield "-Wno-unknown-warning-option"


def _headers(gcc: Gcc, resources: str) -> Iterator[str]:
    """Yield the folders that the GCC searches, with clang's own headers in the place of the GCC's own."""
    yield "-nostdinc"
    for folder in gcc.cxx_headers:
        yield from ("-stdlib++-isystem", folder)
    for folder in gcc.headers:
        own = folder == f"{gcc.home}/include"
        kind = "-internal-isystem" if own else "-internal-externc-isystem"
        if own or not folder.startswith(f"{gcc.home}/"):
            yield from ("-Xclang", kind, "-Xclang", resources if own else folder)


def defaults(gcc: Gcc) -> Iterator[str]:
    """Yield what makes objects alike: they ask the C library for nothing that those of GCC do not."""
    yield from gcc.machine
    yield "-fno-builtin-bcmp"
    if "__PIE__" not in gcc.macros:
        yield from ("-fno-pie", "-no-pie")
    yield from (option for macro, option in CHOSEN.items() if macro in gcc.macros)


def _linking(gcc: Gcc) -> Iterator[str]:
    yield f"-Wl,{','.join((*LIKE_GNU, *gcc.linking))}"


def _front(gcc: Gcc, clang: str, path: str) -> str:
    fortify = gcc.macros.get("_FORTIFY_SOURCE")
    values = {
        "native": INSIDE,
        "path": shlex.quote(path),
        "triplet": shlex.quote(gcc.triplet),
        "fortify": f"-D_FORTIFY_SOURCE={fortify}" if fortify else "''",
        "clang": clang,
        "config": f"{INSIDE}/bin/{CONFIGURATION}",
        "libraries": shlex.join(f"-L{folder}" for folder in gcc.libraries),
    }
    return re.sub(r"@([a-z]+)@", lambda found: values[found[1]], FRONT.read_text(encoding="utf-8"))
