"""The names under which a root's builds find a toolchain's programs: those that the root has itself."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wheelbuilder.build import rust
from wheelbuilder.build.toolchain_layout import INSIDE, is_program_of
from wheelbuilder.inputs.images import Architecture

# Programs that tell what machine they are for, or hand their own kind of library on to others.
TELLING = re.compile(
    r"uname|arch|bash|getconf|ldd|ischroot|stdbuf|update-alternatives|(dpkg|perl|python|pydoc|pdb).*"
)
BUILT_FOR = re.compile(rb"\0([a-z0-9_]+-[a-z0-9_]+-linux-gnu[a-z0-9_]*)\0")
LINKS = 40  # at most, one after another, as in the kernel


def make_names(root: Path, toolchain: Path, host: Architecture, place: Path) -> None:
    """Make the folder of names for a root whose file system is at `root`; whole, or not at all."""
    partial = Path(tempfile.mkdtemp(dir=place.parent, prefix=".partial-"))
    try:
        (partial / "bin").mkdir()
        for name, program in _names(root, toolchain, host):
            (partial / "bin" / name).symlink_to(f"{INSIDE}/usr/bin/{program}")
        (partial / "make-host").write_text(_make_host(root), encoding="ascii")
        partial.chmod(0o755)  # mkdtemp makes it private; the build's user must read it
        partial.rename(place)
    except OSError:
        if not place.exists():  # else another worker was first, with the same names
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_make_host(place: Path) -> str:
    """Return what the root's own make says it was built for, "" if it has none."""
    return (place / "make-host").read_text(encoding="ascii")


def _names(root: Path, toolchain: Path, host: Architecture) -> Iterator[tuple[str, str]]:
    """Yield names, and the file names of the programs that they lead to."""
    programs = (toolchain / "usr/bin").resolve()  # the cache may lie behind a link
    fronts = rust.fronts(root, programs.parents[1])
    for path in sorted((root / "usr/bin").iterdir()):
        own = _followed(root, path)
        program = (programs / own).resolve()
        known = not TELLING.fullmatch(path.name) and not TELLING.fullmatch(own)
        ours = is_program_of(program, host) or program.name in fronts
        if known and program.is_relative_to(programs) and ours:
            yield path.name, program.name


def _followed(root: Path, path: Path) -> str:
    """Return the name of the file that a link leads to inside of a root."""
    for _ in range(LINKS):
        if not path.is_symlink():
            break
        target = path.readlink()
        path = root / target.relative_to("/") if target.is_absolute() else path.parent / target
    return path.name


def _make_host(root: Path) -> str:
    program = root / "usr/bin/make"
    found = BUILT_FOR.search(program.read_bytes()) if program.is_file() else None
    return found[1].decode("ascii") if found else ""
