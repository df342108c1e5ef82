"""The names under which a root's builds find a toolchain's programs: those that the root has itself."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    with whole(place) as partial:
        for name, program in names(root, "/usr/bin", toolchain, host):
            (partial / "bin" / name).symlink_to(program)
        (partial / "make-host").write_text(make_host(root), encoding="ascii")


@contextmanager
def whole(place: Path) -> Iterator[Path]:
    """Give a folder to make names in, and move it to its place when all are made."""
    partial = Path(tempfile.mkdtemp(dir=place.parent, prefix=".partial-"))
    try:
        (partial / "bin").mkdir()
        yield partial
        partial.chmod(0o755)  # mkdtemp makes it private; the build's user must read it
        partial.rename(place)
    except OSError:
        if not place.exists():  # else another worker was first, with the same names
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_make_host(place: Path) -> str:
    """Return what is kept of that with the names."""
    return (place / "make-host").read_text(encoding="ascii")


def names(root: Path, folder: str, toolchain: Path, host: Architecture) -> Iterator[tuple[str, str]]:
    """Yield the names in a folder of a root that a toolchain has too, and where they lead inside."""
    programs = (toolchain / "usr/bin").resolve()  # the cache may lie behind a link
    fronts = rust.fronts(root, programs.parents[1])
    for path in in_folder(root, folder):
        own = _followed(root, path).name
        program = (programs / own).resolve()
        known = not TELLING.fullmatch(path.name) and not TELLING.fullmatch(own)
        ours = is_program_of(program, host) or program.name in fronts
        if known and program.is_relative_to(programs) and ours:
            yield path.name, f"{INSIDE}/usr/bin/{program.name}"


def in_folder(root: Path, folder: str) -> list[Path]:
    """Return what a folder of a root holds, by name; nothing where it is not there."""
    place = root
    for part in Path(folder).parts[1:]:
        place = _followed(root, place / part)
    return sorted(place.iterdir()) if place.is_dir() else []


def _followed(root: Path, path: Path) -> Path:
    """Return what a link leads to inside of a root."""
    for _ in range(LINKS):
        if not path.is_symlink():
            break
        target = path.readlink()
        path = root / target.relative_to("/") if target.is_absolute() else path.parent / target
    return path


def make_host(root: Path) -> str:
    """Return what a root's make was built for, "" if it has none."""
    program = root / "usr/bin/make"
    found = BUILT_FOR.search(program.read_bytes()) if program.is_file() else None
    return found[1].decode("ascii") if found else ""
