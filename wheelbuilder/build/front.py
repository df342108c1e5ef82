"""Makes what stands before a root's compilers: our program, once a machine, and its names, once a root."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from wheelbuilder.build import held, programs, roots
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.emulation import MACHINE
from wheelbuilder.build.engine import Engine
from wheelbuilder.inputs.images import Catalogue, Role, Root, Source
from wheelbuilder.inputs.targets import Target

SOURCE = Path(__file__).parent / "inside" / "compiler.c"
PROGRAM = "slot"
# cc, x86_64-linux-gnu-g++-12, c99-gcc; but neither gcc-ar nor cpp.
COMPILER = re.compile(r"(?:[\w.]+-)*(?:cc|c\+\+|gcc|g\+\+|clang|clang\+\+|gfortran|rustc)(?:-[0-9][0-9.]*)?")
PLACES = ("/usr/local/bin", "/usr/bin")
COMPILE = ("gcc", "-O2", "-static", "-s", "-o", f"/out/{PROGRAM}", f"/source/{SOURCE.name}")
TIME = 300.0  # seconds


def ensure(engine: Engine, catalogue: Catalogue, target: Target, image: str, *, log: Path) -> Path | None:
    """Return the folder to mount for builds in an image; None where our program cannot be compiled.

    image: the build root, as it is here. A toolchain has no names of compilers that the root has not.
    """
    program = _program(engine, catalogue, target, log)
    if program is None:
        return None
    key = hashlib.sha256(f"{engine.identity(image)} {program.parent.name}".encode()).hexdigest()
    place = cache_home() / "compilers" / key
    made = held.ensure(place, lambda folder: _lay_out(folder, program, frozenset(_names(engine, image))))
    return place if made else None


def name() -> str:
    """Return what the folder of our program is called."""
    return f"compiler-{MACHINE}-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"


def _names(engine: Engine, image: str) -> Iterator[str]:
    own = (place for place in engine.path(image).split(":") if place.startswith("/"))
    places = dict.fromkeys((*own, *PLACES))
    done = engine.run(image, ("ls", "-1", *places), timeout=TIME)
    yield from filter(COMPILER.fullmatch, done.stdout.split())


def _lay_out(folder: Path, program: Path, names: Iterable[str]) -> bool:
    (folder / "bin").mkdir(parents=True)
    os.link(program, folder / PROGRAM)
    for name in names:
        (folder / "bin" / name).symlink_to(f"../{PROGRAM}")
    return True


def _program(engine: Engine, catalogue: Catalogue, target: Target, log: Path) -> Path | None:
    """Return our program for this machine's architecture, compiled in the first root that can."""
    natives = _natives(catalogue, target)
    place = programs.ensure(name(), lambda folder: _compile(engine, natives, folder, log))
    return place and place / PROGRAM


def _natives(catalogue: Catalogue, target: Target) -> Sequence[Root]:
    """Return the build roots of this machine's architecture: the target's own family first, then archives."""
    own = catalogue.family(target)
    others = sorted(catalogue.families.values(), key=lambda it: it.source is not Source.ARCHIVE)
    found = (family.roots.get((MACHINE, Role.BUILD)) for family in (own, *others))
    return tuple(dict.fromkeys(root for root in found if root))[:2]


def _compile(engine: Engine, natives: Sequence[Root], made: Path, log: Path) -> bool:
    for root in natives:
        with tempfile.TemporaryDirectory(prefix="wheelbuilder-") as folder:
            out = Path(folder, "out")
            out.mkdir()
            engine.run(
                roots.ensure(engine, root, log=log),
                COMPILE,
                mounts=(
                    Mount(source=SOURCE, target=f"/source/{SOURCE.name}"),
                    Mount(source=out, target="/out", writable=True),
                ),
                timeout=TIME,
                log=log,
            )
            if (out / PROGRAM).exists():
                made.mkdir()
                shutil.copy(out / PROGRAM, made)
                return True
    return False
