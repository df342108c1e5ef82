"""Checks that a wheel is what it claims, before anybody believes it.

Exit status 0 proves nothing: backends have given wheels of another version, of another architecture,
and pure wheels where the compiler had failed.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from elftools.elf.enums import ENUM_E_MACHINE
from installer.exceptions import InstallerError
from installer.sources import WheelFile
from packaging.metadata import parse_email
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.wheelzip import oddities
from wheelbuilder.inputs.images import Architecture
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import parse_filename, requires_python_accepts

ELF_MAGIC = b"\x7fELF"
ELF_HEADER = 20  # bytes, up to and with e_machine
MACHINES = {value: name for name, value in ENUM_E_MACHINE.items() if isinstance(value, int)}
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, OSError, EOFError),
    UnicodeError,
)
EXTENSION = re.compile(r"\.(?P<abi>cpython-[0-9]+[a-z]*)-(?P<triplet>[^/]+)\.so$")


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelFacts:
    """What the check learned of a wheel and later steps need."""

    pure: bool  # holds no ELF object
    requires_python: str | None
    requires_dist: tuple[str, ...]
    top_level: tuple[str, ...]  # importable names at the root of site-packages
    grafted: tuple[str, ...]  # libraries that repair copied in
    unread: frozenset[str]  # fields of METADATA, in lower case, that are said more than once, or are none


def check(path: Path, pin: Pin, target: Target, arch: Architecture, *, repaired: bool) -> WheelFacts:
    """Return what a wheel holds, or raise StepFailedError WHEEL_CHECK with everything that is wrong.

    repaired: the platform tag must be one the target accepts; before repair `linux_<arch>` is expected.
    """
    if path.is_symlink() or not path.is_file():
        raise _failure([f"{path.name} is not a regular file"])
    try:
        # The structure first: what is wrong there makes the other questions meaningless.
        if problems := [*oddities(path)] or [*_record(path)]:
            raise _failure(problems)
        with zipfile.ZipFile(path) as archive:
            return _check_open(archive, path, pin, target, arch, repaired=repaired)
    except UNREADABLE as error:
        raise _failure([f"{path.name} is not a readable zip archive: {error}"]) from None


def requires_dist(path: Path) -> tuple[str, ...]:
    """Return a wheel's Requires-Dist lines, markers and all."""
    with zipfile.ZipFile(path) as archive:
        metadata, _ = parse_email(_dist_info(archive, "METADATA"))
    return tuple(metadata.get("requires_dist", ()))


def one_wheel(folder: Path, pin: Pin) -> Path:
    """Return the one wheel in a build's output folder: none, several and foreign ones are told apart."""
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise _failure(["the backend reported success and made no wheel"])
    if len(wheels) > 1:
        raise _failure([f"the backend made {len(wheels)} wheels: {', '.join(w.name for w in wheels)}"])
    parsed = parse_filename(wheels[0].name)
    if parsed is None:
        raise _failure([f"{wheels[0].name!r} is not the name of a wheel"])
    if parsed.project != pin.name:
        raise _failure([f"the backend made a wheel of another project: {wheels[0].name}"])
    return wheels[0]


def _check_open(
    archive: zipfile.ZipFile, path: Path, pin: Pin, target: Target, arch: Architecture, *, repaired: bool
) -> WheelFacts:
    elf = dict(elf_members(archive))
    metadata, unread = parse_email(_text(archive, "METADATA"))
    problems = [
        *_identity(path, metadata.get("name", ""), metadata.get("version", ""), pin),
        *_tags(path, _text(archive, "WHEEL"), target, repaired=repaired),
        *_platform(path, pure=not elf),
        *_objects(elf, target, arch),
        *_modules(path, elf, target),
        *_python(metadata.get("requires_python"), target),
    ]
    if problems:
        raise _failure(problems)
    names = archive.namelist()
    return WheelFacts(
        pure=not elf,
        requires_python=metadata.get("requires_python"),
        requires_dist=tuple(metadata.get("requires_dist", ())),
        top_level=_top_level(names),
        grafted=tuple(sorted(PurePosixPath(name).name for name in names if _is_grafted(name))),
        unread=frozenset(unread),
    )


def _failure(problems: list[str]) -> StepFailedError:
    return StepFailedError(
        FailureClass.WHEEL_CHECK,
        problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""),
        lines=tuple(problems[:20]),
    )


def _record(path: Path) -> Iterator[str]:
    try:
        with WheelFile.open(path) as wheel:
            wheel.validate_record(validate_contents=True)
    except (InstallerError, ValueError, KeyError, AssertionError) as error:
        yield f"RECORD, WHEEL or the name of its .dist-info folder is wrong: {error}"


def _dist_info(archive: zipfile.ZipFile, name: str) -> bytes:
    folders = {n.split("/", 1)[0] for n in archive.namelist() if n.split("/", 1)[0].endswith(".dist-info")}
    if len(folders) != 1:
        raise _failure([f"the wheel has {len(folders)} .dist-info folders, not one"])
    member = f"{folders.pop()}/{name}"
    if member not in archive.namelist():
        raise _failure([f"{member} is missing"])
    return archive.read(member)


def _text(archive: zipfile.ZipFile, name: str) -> str:
    try:
        return _dist_info(archive, name).decode()
    except UnicodeDecodeError as error:
        raise _failure([f"{name} is not UTF-8: {error}"]) from None


def _identity(path: Path, name: str, version: str, pin: Pin) -> Iterator[str]:
    parsed = parse_filename(path.name)
    if parsed is None:
        yield f"{path.name!r} is not the name of a wheel"
        return
    try:
        inner = Version(version)
    except InvalidVersion:
        yield f"METADATA has the version {version!r}, which is none"
        return
    if canonicalize_name(name) != pin.name or parsed.project != pin.name:
        yield f"it is a wheel of {name!r} (file {path.name}), not of {pin.name}"
    if inner != pin.version or parsed.version != pin.version:
        yield f"it is version {version} (file {path.name}), not {pin.version}"


def _tags(path: Path, wheel_file: str, target: Target, *, repaired: bool) -> Iterator[str]:
    parsed = parse_filename(path.name)
    if parsed is None:
        return
    lines = wheel_file.splitlines()
    written = [line.removeprefix("Tag:").strip() for line in lines if line.startswith("Tag:")]
    if {str(tag) for text in written for tag in _parsed_tag(text)} != {str(tag) for tag in parsed.tags}:
        yield "the tags in WHEEL are not those of the file name"
    if not any(line.startswith("Wheel-Version: 1.") for line in lines):
        yield "WHEEL has no Wheel-Version that installers know"
    platforms = {tag.platform for tag in parsed.tags}
    if repaired and any(platform.startswith("linux_") for platform in platforms):
        yield "its platform tag is a raw linux tag"
    known = {tag.platform for tag in target.tags} | (set() if repaired else {f"linux_{target.arch}"})
    if foreign := sorted(platforms - known):
        yield f"no consumer on {target} accepts its platform tag {foreign[0]}"
    accepted = {(tag.interpreter, tag.abi) for tag in target.tags}
    named = {(tag.interpreter, tag.abi) for tag in parsed.tags}
    if named.isdisjoint(accepted):
        yield f"no consumer on {target} accepts its tags ({path.stem.split('-', 2)[2]})"
    # Other interpreters too may take what needs no ABI; what is for another ABI was not built here.
    if others := sorted(f"{python}-{abi}" for python, abi in named - accepted if abi != "none"):
        yield f"its tag {others[0]} is for another interpreter than {target.interpreter}"


def _platform(path: Path, *, pure: bool) -> Iterator[str]:
    parsed = parse_filename(path.name)
    platforms = {tag.platform for tag in parsed.tags} if parsed else set()
    if "any" in platforms and not pure:
        yield "its platform tag is 'any', but it holds native code"
    if pure and platforms != {"any"}:
        yield "it has a platform tag, but holds no native code"


def _parsed_tag(text: str) -> frozenset[Tag]:
    try:
        return parse_tag(text)
    except ValueError:
        return frozenset()  # then the sets differ


def elf_members(archive: zipfile.ZipFile) -> Iterator[tuple[str, tuple[str, int, bool]]]:
    """Yield the names of ELF objects, each with e_machine, its class in bits, whether it is little-endian."""
    for info in archive.infolist():
        with archive.open(info) as member:
            header = member.read(ELF_HEADER)
        if header.startswith(ELF_MAGIC) and len(header) == ELF_HEADER:
            yield info.filename, _machine(header)


def _machine(header: bytes) -> tuple[str, int, bool]:
    """Read e_machine, the class in bits and whether it is little-endian from an ELF header (System V ABI)."""
    little_endian = header[5] != 2
    (number,) = struct.unpack_from("<H" if little_endian else ">H", header, 18)
    return MACHINES.get(number, f"machine {number}"), 64 if header[4] == 2 else 32, little_endian


def _objects(elf: dict[str, tuple[str, int, bool]], target: Target, arch: Architecture) -> Iterator[str]:
    expected = (arch.elf_machine, arch.elf_bits, arch.little_endian)
    for name, found in elf.items():
        if found != expected:
            yield f"{name} is code for {found[0]} ({found[1]} bit), not for {target.arch}"
        match = EXTENSION.search(name)
        if match and match["triplet"].split("-")[0] != arch.multiarch.split("-")[0]:
            yield f"{name} is named for {match['triplet']}, which {target.arch} does not look for"


def _modules(path: Path, elf: Iterable[str], target: Target) -> Iterator[str]:
    """Yield the extension modules that not every interpreter which the wheel names can import."""
    parsed = parse_filename(path.name)
    tags = parsed.tags if parsed else frozenset()
    for name in elf:
        match = EXTENSION.search(name)
        if match is None:
            continue
        if match["abi"] != target.soabi:
            yield f"{name} is a module for {match['abi']}, which {target.interpreter} cannot import"
        elif any(tag.abi == "abi3" for tag in tags):
            yield f"{name} is a module for {match['abi']} alone, and the wheel's tag promises the stable ABI"
        elif others := sorted({tag.interpreter for tag in tags} - {target.interpreter}):
            yield f"{name} is a module for {match['abi']}, which {others[0]} of its tags cannot import"


def _python(requires_python: str | None, target: Target) -> Iterator[str]:
    if not requires_python_accepts(requires_python, target):
        yield f"it requires Python {requires_python}, which {target.full_version} is not"


def _top_level(names: list[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for name in names:
        first, _, rest = name.partition("/")
        if first.endswith((".dist-info", ".data", ".libs")):
            continue
        module = first.split(".")[0]
        is_package = rest == "__init__.py"
        is_module = not rest and first.endswith((".py", ".so"))
        if (is_package or is_module) and module.isidentifier():
            found.add(module)
    return tuple(sorted(found))


def _is_grafted(name: str) -> bool:
    return name.partition("/")[0].endswith(".libs") and ".so" in name
