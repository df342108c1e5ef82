"""Rust in native toolchains: this machine's rustc and cargo, which make what the root's would.

rustc reads the standard library of the root, so root and toolchain must have the same release of it. What
stands for both programs is inside/rust_front.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from wheelbuilder.build.containers import Mount
from wheelbuilder.build.inside import rust_front
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Architecture, Root

PACKAGES = ("cargo", "rustc")  # in a root for which a toolchain has Rust; of the same names are the programs
FRONT = Path(rust_front.__file__)
SETTINGS = "settings.json"
PYTHON = f"{rust_front.NATIVE}/usr/bin/python3"
PLACE = str(Path(rust_front.REAL).relative_to(rust_front.NATIVE))
# A small library of each standard library, and the words with which rustc's libraries begin.
LIBRARY = "usr/lib/rustlib/{}/lib/librustc_std_workspace_core-*.rlib"
RELEASE = re.compile(rb"rust\0\0\0[\s\S]{2,20}?(rustc \d[ -~]*)")


def is_for(root: Root, workshop: Root) -> bool:
    """Say whether a toolchain for a root has Rust. workshop: a root of this machine's own architecture."""
    triples = (root.arch.rust, workshop.arch.rust)
    return None not in triples and not set(PACKAGES).isdisjoint(root.packages)


def identity(arch: Architecture, host: Architecture) -> tuple[str, ...]:
    """Return all that decides what is added to a toolchain, its packages apart."""
    front = hashlib.sha256(FRONT.read_bytes()).hexdigest()
    return (str(arch.rust), str(host.rust), front, *programs(arch, host))


def programs(arch: Architecture, host: Architecture) -> tuple[str, ...]:
    """Return the programs that are native. cargo names what it makes by hashes of its machine's numbers."""
    like = (arch.elf_bits, arch.little_endian) == (host.elf_bits, host.little_endian)
    return ("rustc", "cargo") if like else ("rustc",)


def lay_out(folder: Path, arch: Architecture, host: Architecture) -> None:
    """Put our front in the place of the Rust programs of a toolchain's unpacked packages.

    What is not native is taken out: the root's own is emulated, and rustdoc would load this machine's macros.
    """
    place = folder / PLACE
    place.mkdir(parents=True)
    text = f"#!{PYTHON} -IS\n{FRONT.read_text(encoding='utf-8')}"
    native = programs(arch, host)
    for name in (*PACKAGES, "rustdoc"):
        program = folder / "usr/bin" / name
        if name in native:
            program.resolve().rename(place / name)
        program.unlink(missing_ok=True)
        if name in native:
            program.write_text(text, encoding="utf-8")
            program.chmod(0o755)
    (place / "ld").symlink_to(f"{rust_front.NATIVE}/usr/bin/{host.multiarch}-ld")
    settings = {
        "host": host.rust,
        "target": arch.rust,
        "programs": native,
        "linker": f"{rust_front.NATIVE}/usr/bin/{_linker(folder, host)}",
    }
    (place / SETTINGS).write_text(json.dumps(settings), encoding="ascii")


def _linker(folder: Path, host: Architecture) -> str:
    compilers = sorted((folder / "usr/bin").glob(f"{host.multiarch}-gcc-[0-9]*"))
    if not compilers:
        raise UnreachableError("The packages of the toolchain have no compiler that links for this machine.")
    return compilers[0].name


def fronts(root: Path, toolchain: Path) -> tuple[str, ...]:
    """Return the names of the fronts that a toolchain has for a root.

    Its rustc reads the standard library of the root only if that is of its own release.
    """
    settings = toolchain / PLACE / SETTINGS
    if not settings.is_file():
        return ()
    known = json.loads(settings.read_text(encoding="ascii"))
    release = _release(root, known["target"])
    return tuple(known["programs"]) if release and release == _release(toolchain, known["host"]) else ()


def mounts(toolchain: Path) -> Iterator[Mount]:
    """Yield what covers a root's own cargo: one that is called by its path is native, and so finds itself."""
    yield Mount(source=toolchain / PLACE / "cargo", target=rust_front.CARGO)


def _release(tree: Path, triple: str) -> bytes | None:
    for library in tree.glob(LIBRARY.format(triple)):
        if found := RELEASE.search(library.read_bytes()):
            return found[1]
    return None


# A program of a library, a procedural macro that is made of the same library, and both.
PROOF = """
cat >shared.rs <<'RS'
pub fn text() -> &'static str { "7" }
RS
cat >macros.rs <<'RS'
use proc_macro::TokenStream;
#[proc_macro] pub fn seven(_: TokenStream) -> TokenStream { shared::text().parse().unwrap() }
RS
cat >main.rs <<'RS'
fn main() { assert_eq!(shared::text(), macros::seven!().to_string()); }
RS
set -- --edition=2018 --out-dir . --extern proc_macro
rustc "$@" --crate-name shared --crate-type lib -C extra-filename=-1 shared.rs
set -- "$@" --extern shared=libshared-1.rlib
rustc "$@" --crate-name macros --crate-type proc-macro macros.rs
rustc "$@" --crate-name rust --extern macros=libmacros.so main.rs
"""
