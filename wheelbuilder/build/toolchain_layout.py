"""Turns unpacked packages into a toolchain: programs stay, what would end in a wheel becomes the root's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from wheelbuilder.build import process, uname_library
from wheelbuilder.build.emulation import header
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Architecture

INSIDE = "/opt/wheelbuilder/native"  # where a toolchain is seen in a foreign build root
# What native programs that ask the kernel for its machine are given first: it names that of the root.
UNAME = f"{INSIDE}/lib/uname.so"
ASK_THE_KERNEL = ("cmake",)
NOBODY = 65534
COMPILE_TIMEOUT = 600.0  # seconds
CROSS = "usr/lib/gcc-cross"
PLUGIN = "liblto_plugin.so"
UNUSED = ("doc", "info", "locale", "man", "lintian", "bash-completion", "common-licenses", "pkgconfig")


def lay_out(folder: Path, host: Architecture, uname: Path) -> None:
    """Make a toolchain with GCC, to be seen at INSIDE, of the packages that were unpacked here. Needs root.

    uname: the library for programs that ask the kernel which machine it is.
    """
    lay_out_programs(folder, uname)
    _take_the_roots_own(folder, host)
    _let_binutils_read_lto_objects(folder)
    for name in ASK_THE_KERNEL:
        uname_library.give(folder / "usr/bin" / name, UNAME)


def lay_out_programs(folder: Path, uname: Path) -> None:
    """Keep of unpacked packages what runs, and add the library. Needs root."""
    _compile_modules(folder)
    _remove_unused(folder)
    (folder / "bin").mkdir()  # the names of a root are mounted there
    library = folder / Path(UNAME).relative_to(INSIDE)
    library.parent.mkdir()
    shutil.copyfile(uname, library)


def is_program_of(path: Path, host: Architecture) -> bool:
    """Say whether a file, followed through links, is a program or a library of the host's architecture."""
    try:
        with path.open("rb") as file:
            start = file.read(20)
    except OSError:
        return False
    expected = header(host)
    return start[:6] == expected[:6] and start[18:] == expected[18:]


def interpreter_of(program: Path) -> str:
    """Return what a dynamically linked program names as its loader (PT_INTERP)."""
    with program.open("rb") as file:
        names = [part for part in ELFFile(file).iter_segments() if isinstance(part, InterpSegment)]
        return str(names[0].get_interp_name())


def started_outside(program: Path) -> tuple[str, ...]:
    """Return what starts a toolchain's program on this machine itself, by its own loader."""
    libraries = program.parent.parent / "lib"
    loader = next(libraries.glob(f"*/{Path(interpreter_of(program)).name}"))
    return (str(loader), "--library-path", str(loader.parent), str(program))


def _take_the_roots_own(folder: Path, host: Architecture) -> None:
    """Replace what the cross compiler brings for its target by links to where the root has the same.

    Links and not paths of the root: GCC writes the shorter, real name of a system header into what it makes.
    """
    for place in sorted((folder / CROSS).glob("*/*")):
        triplet, major = place.parent.name, place.name
        for path in sorted(place.iterdir()):
            if not is_program_of(path, host):
                _link(path, f"/usr/lib/gcc/{triplet}/{major}/{path.name}")
        target = folder / "usr" / triplet
        headers = target / f"include/c++/{major}"
        names = sorted(path.name for path in headers.iterdir() if path.name != triplet)
        for part in target.iterdir():
            if part.name != "bin":
                _remove(part)
        headers.mkdir(parents=True)
        for name in names:
            _link(headers / name, f"/usr/include/c++/{major}/{name}")
        _link(headers / triplet, f"/usr/include/{triplet}/c++/{major}")


def _let_binutils_read_lto_objects(folder: Path) -> None:
    """Put GCC's plugin where plain ar, nm and ranlib look for it, as the native compiler's package does."""
    plugins = folder / "usr/lib/bfd-plugins"
    plugins.mkdir(exist_ok=True)
    for plugin in sorted(folder.glob(f"usr/lib*/gcc-cross/*/*/{PLUGIN}")):
        _link(plugins / PLUGIN, f"{INSIDE}/{plugin.relative_to(folder)}")


def _link(path: Path, target: str) -> None:
    _remove(path)
    path.symlink_to(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_unused(folder: Path) -> None:
    """Remove what no program needs, and host headers that a search for the root's might find."""
    for path in folder.iterdir():
        if path.name != "usr":
            _remove(path)
    for name in ("include", "lib/pkgconfig", *(f"share/{name}" for name in UNUSED)):
        shutil.rmtree(folder / "usr" / name, ignore_errors=True)


def _compile_modules(folder: Path) -> None:
    """Byte-compile the toolchain's Python with itself, as nobody; it is mounted read-only."""
    trees = tuple(path for path in (folder / "usr/lib").glob("python3*") if path.is_dir())
    _give(trees, NOBODY)
    for program in sorted(folder.glob("usr/bin/python3.*")):
        if program.name.removeprefix("python3.").isdigit():
            argv = (
                *("chroot", f"--userspec={NOBODY}:{NOBODY}", str(folder), f"/usr/bin/{program.name}"),
                *("-I", "-m", "compileall", "-q", "-q", "--invalidation-mode", "unchecked-hash"),
                *("-s", "/", "-p", INSIDE, *(f"/{tree.relative_to(folder)}" for tree in trees)),
            )
            done = process.run(argv, timeout=COMPILE_TIMEOUT)
            if not next((folder / "usr/lib" / program.name).glob("__pycache__/os.*.pyc"), None):
                raise UnreachableError(f"{program} does not run here: {done.stderr.strip()[-200:]}")
    _give(trees, 0)


def _give(trees: tuple[Path, ...], owner: int) -> None:
    for tree in trees:
        for path in (tree, *tree.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)
