"""Proves a toolchain in its root: what it compiles is for the root's machine, links there and runs."""

from __future__ import annotations

from wheelbuilder.build import rust, untrusted
from wheelbuilder.build.containers import Mount, folders
from wheelbuilder.build.emulation import header
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.toolchain import Toolchain
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Compiler

TIMEOUT = 300.0  # seconds
OUT = "/build/out"
LARGEST = 64 << 20  # bytes of a program
# For each language the compiler, the source's name and its text; a program ends with status 0 if all is well.
LANGUAGES = {
    "C": ("cc", "c.c", '#include <stdio.h>\nint main(void) { return printf("") != 0; }'),
    "C++": ("c++", "cxx.cc", "#include <vector>\nint main() { return std::vector<int>(3).size() != 3; }"),
    "Fortran": (
        *("gfortran", "fortran.f90"),
        "program p\nreal :: a(3) = 1\nif (sum(a) /= 3) stop 1\nend program",
    ),
    "Rust": ("rustc", "rust.sh", rust.PROOF),
}
RUN = {"Rust": "sh -e rust.sh"}


def prove(engine: Engine, image: str, toolchain: Toolchain) -> str:
    """Compile, link, run and identify a program in each language that root and toolchain have.

    Returns in words which those are; an UnreachableError says what went wrong.
    """
    known = tuple(name for name, (compiler, *_) in LANGUAGES.items() if toolchain.has(compiler))
    with folders() as (_, out):
        done = engine.run(
            image,
            ("/bin/sh", "-ec", "\n".join(_commands(name) for name in known)),
            mounts=(*toolchain.mounts, Mount(source=out, target=OUT, writable=True)),
            env={"PATH": f"{toolchain.path}:/usr/bin:/bin", **toolchain.environment},
            workdir=OUT,
            timeout=TIMEOUT,
            name="proof",
        )
        if not done.ok:
            words = done.stderr.strip().splitlines() or [f"it ended with status {done.exit_code}"]
            raise UnreachableError(f"A program cannot be compiled and run natively: {words[-1]}")
        for name in known:
            _identify(name, untrusted.read(out / _program(name), LARGEST) or b"", toolchain)
    other = "" if toolchain.compiler is Compiler.GCC else f" with {toolchain.compiler}"
    return f"compiles, links and runs {', '.join(known)}{other}"


def _program(language: str) -> str:
    return LANGUAGES[language][1].partition(".")[0]


def _commands(language: str) -> str:
    compiler, source, text = LANGUAGES[language]
    program = _program(language)
    made = RUN.get(language, f"{compiler} {source} -o {program}")
    return f"cat >{source} <<'END'\n{text}\nEND\n{made}\n./{program}"


def _identify(language: str, program: bytes, toolchain: Toolchain) -> None:
    expected = header(toolchain.arch)
    if program[:6] != expected[:6] or program[18:20] != expected[18:]:
        raise UnreachableError(f"The {language} program is not for {toolchain.arch.name}.")
