"""A stand-in for images of the Python Packaging Authority, which cannot be pulled here: Debian, laid out so.

GCC, its headers and binutils lie where gcc-toolset-14 has them below /opt/rh, Python below /opt/python; the
image's own PATH and LD_LIBRARY_PATH lead there. What it is not: AlmaLinux, whose C library is older and whose
triplet is another.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

from builds import FOREIGN, HOST
from engines import engine, log_of

from wheelbuilder.build.process import check
from wheelbuilder.build.roots import ensure
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.tables import read_toml

FAMILY = "standin"
TARGET = f"cp313-manylinux_2_41_{FOREIGN.arch}"
TOOLSET = "/".join(("opt/rh/gcc-toolset-14", "root", "usr"))
PATH = f"/{TOOLSET}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIBRARIES = f"/{TOOLSET}/lib64:/{TOOLSET}/lib"
PYTHON = "/opt/python/cp313-cp313/bin/python"
OF_COMPILERS = re.compile(
    r"(?:[a-z0-9_]+-linux-gnu-)?(?:c89|c99|cc|c\+\+|cpp|gcc|g\+\+|gcov.*|lto-dump|ar|as|nm|ld|ld\.bfd|ranlib"
    r"|strip|objcopy|objdump|readelf|size|strings|addr2line|c\+\+filt|elfedit|gprof)"
    r"(?:-(?:ar|nm|ranlib|gcc))?(?:-[0-9]+)?"
)
ROW = """
[families.standin]
source = "registry"
policy = "manylinux_2_41"
distribution = "debian-13"
bare-hides = {hidden}
pythons.cp313 = {{ path = "{python}", version = "3.13.5" }}
images.{arch} = "{image}"
toolchain = {toolchain}
"""


def table(folder: Path, image: str, hidden: tuple[str, ...] = ()) -> Path:
    """Write the usual image table with the stand-in in the place of Debian 13's foreign roots."""
    text = default_path().read_text(encoding="utf-8")
    head, middle, rest = text.partition("[families.trixie]")
    rest = re.sub(r"\narchitectures = .*", f'\narchitectures = ["{HOST.arch}"]', rest, count=1)
    families = read_toml(default_path()).get("families", dict)
    tools = families["manylinux_2_28"]["toolchain"]
    words = ", ".join(f"{key} = {value!r}" for key, value in tools.items())
    row = ROW.format(
        hidden=list(hidden), python=PYTHON, arch=FOREIGN.arch, image=image, toolchain=f"{{ {words} }}"
    )
    path = folder / "images.toml"
    path.write_text(head + middle + rest + row, encoding="utf-8")
    return path


@cache
def digest() -> str:
    """Of what the stand-in is made from."""
    debian = Catalogue.read(default_path()).families["trixie"].roots[FOREIGN.arch, Role.BUILD]
    return hashlib.sha256(Path(__file__).read_bytes() + debian.digest.encode()).hexdigest()


def here(folder: Path) -> Path:
    """Make it, unless that was done before, and return a table by which it has been pulled already."""
    path = table(folder, f"registry.example.org/standin@sha256:{digest()}")
    family = Catalogue.read(path).families[FAMILY]
    build, bare = (family.roots[FOREIGN.arch, role] for role in (Role.BUILD, Role.BARE))
    if not engine().has(build.tag):
        debian = Catalogue.read(default_path()).families["trixie"].roots[FOREIGN.arch, Role.BUILD]
        _import(ensure(engine(), debian, log=log_of("standin")), build.arch.oci, build.tag)
    engine().call("tag", build.tag, bare.tag)
    return path


def _import(debian: str, oci: str, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="standin-") as folder:
        root, tar = Path(folder, "root"), Path(folder, "root.tar")
        with engine().mounted(debian) as tree:
            check(("cp", "--archive", f"{tree}/.", str(root)), timeout=300)
        relay(root)
        packing = ("tar", "--create", "--numeric-owner", "--file", str(tar), "--directory", str(root), ".")
        check(packing, timeout=300)
        changes = (f"ENV PATH={PATH}", f"ENV LD_LIBRARY_PATH={LIBRARIES}")
        options = [word for change in changes for word in ("--change", change)]
        engine().call("import", "--os", "linux", "--arch", oci, *options, str(tar), name)


def relay(root: Path) -> None:
    """Move what is GCC's, and make Python known under its other path."""
    (triplet,) = (path.name for path in (root / "usr/lib/gcc").iterdir())
    for place in ("lib/gcc", "libexec/gcc", "include/c++", f"include/{triplet}/c++"):
        _move(root / "usr" / place, root / TOOLSET / place)
    for path in tuple((root / "usr/bin").iterdir()):
        if OF_COMPILERS.fullmatch(path.name):
            _move(path, root / TOOLSET / "bin" / path.name)
    for path in (path for path in (root / TOOLSET / "lib/gcc").rglob("*") if path.is_symlink()):
        target = str(path.readlink())
        if target.startswith("../"):  # into the folder of libraries, which stays
            path.unlink()
            path.symlink_to(f"/usr/lib/{target.rpartition('../')[2]}")
    (root / TOOLSET / "lib64").mkdir()
    for name in ("libstdc++.so.6", "libz.so.1", "libc.so.6"):  # none of them for this machine's programs
        (root / TOOLSET / "lib64" / name).symlink_to(f"/usr/lib/{triplet}/{name}")
    python = root / PYTHON.removeprefix("/")
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3.13")


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)
