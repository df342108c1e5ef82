"""Lets parts of a foreign build environment run natively: with the wheels of this machine, of equal versions.

A Cython that is translated by a native interpreter, and programs such as cmake that are no Python.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from wheelbuilder.build import prerequisites
from wheelbuilder.build.emulation import MACHINE
from wheelbuilder.build.outcomes import StepFailedError
from wheelbuilder.build.requirements import NoWheelError
from wheelbuilder.build.site import Site
from wheelbuilder.build.toolchain import Toolchain
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile, parse_filename

SCRIPTS = Path(__file__).parent / "inside"
START, TRANSLATE = "_wheelbuilder_native", "_wheelbuilder_cython"
SOURCES = {START: SCRIPTS / "native_start.py", TRANSLATE: SCRIPTS / "native_cython.py"}
CYTHON = canonicalize_name("cython")
TWINNED = (CYTHON,)
PROGRAMS = ("cython", "cythonize")
WRAPPER = """#!/bin/sh
{python} -S {module} {machine} {program} "$@" && exit
exec {environment}/bin/python {emulated} "$@"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Twins:
    """What of an environment runs natively. wheels: this machine's own, of versions that the target has too.

    python: the path inside of a native interpreter of the target's version. machine: the target's.
    """

    wheels: tuple[Path, ...]
    python: str
    machine: str

    @property
    def identity(self) -> tuple[str, ...]:
        """All that decides what they make of an environment, the wheels apart."""
        texts = (path.read_bytes() for path in SOURCES.values())
        return (self.python, self.machine, *(hashlib.sha256(text).hexdigest() for text in texts), WRAPPER)


def find(files: Iterable[IndexFile], target: Target, site: Site, toolchain: Toolchain | None) -> Twins | None:
    """Return the twins of the wheels of an environment; None where there are none, or nothing to run them."""
    if toolchain is None:
        return None
    parsed = [name for file in files if (name := parse_filename(file.filename))]
    wanted = [f"{it.project}=={it.version}" for it in parsed if it.project in TWINNED]
    try:
        found = site.resolver(replace(target, arch=MACHINE)).resolve(wanted, dependencies=False)
        wheels = prerequisites.wheels(found, site)
    except (NoWheelError, StepFailedError):
        return None  # what runs emulated needs none
    return Twins(wheels=wheels, python=toolchain.python, machine=target.arch) if wheels else None


def lay_out(twins: Twins, folder: Path, site: Path, inside: str) -> None:
    """Add them to an environment. site: its site-packages. inside: where the build sees it."""
    for wheel in twins.wheels:
        with zipfile.ZipFile(wheel) as archive:
            if _is_equal(archive, site):
                _add_libraries(archive, site)
                _add_programs(twins, folder, site, inside)


def _is_equal(archive: zipfile.ZipFile, site: Path) -> bool:
    """Say whether the environment has the same sources: then a translation is the same too."""
    return all(
        (path := site / name).is_file() and path.read_bytes() == archive.read(name)
        for name in archive.namelist()
        if not name.endswith((".so", "/")) and ".dist-info/" not in name
    )


def _add_libraries(archive: zipfile.ZipFile, site: Path) -> None:
    """Put compiled modules beside the target's, which are called otherwise: each Python finds its own."""
    for name in archive.namelist():
        if name.endswith(".so") and not (site / name).exists():
            (site / name).write_bytes(archive.read(name))
            (site / name).chmod(0o755)


def _add_programs(twins: Twins, folder: Path, site: Path, inside: str) -> None:
    for name, source in SOURCES.items():
        (site / f"{name}.py").write_bytes(source.read_bytes())
    call = f"import {START}; {START}.start({twins.python!r}, {twins.machine!r})\n"
    (site / f"{START}.pth").write_text(call)
    for name in PROGRAMS:
        program = folder / "bin" / name
        if program.is_file():
            emulated = program.rename(folder / "bin" / f".emulated-{name}")
            text = WRAPPER.format(
                python=twins.python,
                module=f"{inside}/{site.relative_to(folder)}/{TRANSLATE}.py",
                machine=twins.machine,
                program=f"{inside}/bin/{name}",
                environment=inside,
                emulated=f"{inside}/bin/{emulated.name}",
            )
            program.write_text(text)
            program.chmod(0o755)
