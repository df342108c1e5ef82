"""Makes a target's virtual environment on the host: a folder of files, no process of the target.

The layout is that of `venv` (PEP 405), so `.pth` files, scripts and sysconfig behave as everywhere.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.sources import WheelFile

from wheelbuilder.build.bytecode import compile_tree
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.twins import Twins, lay_out
from wheelbuilder.inputs.images import Interpreter
from wheelbuilder.inputs.targets import Target

UNREADABLE = (InstallerError, zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError)
PYTHON = re.compile(r"python(?:[0-9]+(?:\.[0-9]+)?t?)?")  # names that belong to the interpreter
SHA256 = re.compile(r"[0-9a-f]{64}")
LAYOUT = 3  # raised when what is written for the same wheels changes


def make(
    wheels: Sequence[Path],
    target: Target,
    interpreter: Interpreter,
    *,
    inside: str,
    cache: Path,
    beside: Twins | None = None,
) -> Path:
    """Return a folder that, mounted at `inside`, is a virtual environment with these wheels.

    beside: what of it runs natively. Environments of equal wheels are shared (they are mounted read-only)
    and kept in `cache`.
    """
    own = [str(LAYOUT), str(target), interpreter.path, interpreter.version, inside, *_identities(wheels)]
    theirs = ["beside", *beside.identity, *_identities(beside.wheels)] if beside else []
    key = "\n".join([*own, *theirs])
    place = cache / hashlib.sha256(key.encode()).hexdigest()
    if place.exists():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=cache, prefix=".partial-"))
    try:
        _write(partial, wheels, target, interpreter, inside, beside)
        return _appear(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _identities(wheels: Sequence[Path]) -> list[str]:
    """Name wheels by their content: fetched ones lie in a folder named so, those built here do not."""
    told = all(SHA256.fullmatch(wheel.parent.name) for wheel in wheels)
    return sorted(f"{wheel.parent.name if told else _digest(wheel)}/{wheel.name}" for wheel in wheels)


def _digest(wheel: Path) -> str:
    with wheel.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _appear(partial: Path, place: Path) -> Path:
    partial.chmod(0o755)  # mkdtemp makes it private; the build's user must read it
    try:
        partial.rename(place)
    except OSError:
        if not place.exists():  # else another worker was first, with the same content
            raise
    return place


def _write(
    folder: Path,
    wheels: Sequence[Path],
    target: Target,
    interpreter: Interpreter,
    inside: str,
    beside: Twins | None,
) -> None:
    version = f"python{target.python[0]}.{target.python[1]}"
    site = folder / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    for wheel in wheels:
        _install(wheel, folder, site, version, f"{inside}/bin/python")
        _refuse_interpreter(wheel, folder)
    if beside:
        lay_out(beside, folder, site, inside)
    # Links only now: they name a path of the root, and on the host a wheel could write through them.
    for name in ("python", "python3", version):
        (folder / "bin" / name).symlink_to(interpreter.path)
    home = os.path.dirname(interpreter.path)  # noqa: PTH120  (a path inside the root)
    (folder / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\nversion = {interpreter.version}\n"
    )
    compile_tree(site, target.python, f"{inside}/{site.relative_to(folder)}")


def _refuse_interpreter(wheel: Path, folder: Path) -> None:
    own = [f"bin/{path.name}" for path in (folder / "bin").iterdir() if PYTHON.fullmatch(path.name)]
    own += ["pyvenv.cfg"] if (folder / "pyvenv.cfg").exists() else []
    if own:
        raise StepFailedError(
            FailureClass.REQUIREMENTS, f"{wheel.name} would replace {own[0]} of the build's environment"
        )


def _install(wheel: Path, folder: Path, site: Path, version: str, python: str) -> None:
    try:
        with WheelFile.open(wheel) as source:
            scheme = {
                "purelib": str(site),
                "platlib": str(site),
                "scripts": str(folder / "bin"),
                "data": str(folder),
                "headers": str(folder / "include" / "site" / version / source.distribution),
            }
            install(
                source,
                SchemeDictionaryDestination(scheme, interpreter=python, script_kind="posix"),
                additional_metadata={},
            )
    except UNREADABLE as error:
        raise StepFailedError(
            FailureClass.REQUIREMENTS, f"{wheel.name} cannot be installed for the build: {error}"
        ) from None
