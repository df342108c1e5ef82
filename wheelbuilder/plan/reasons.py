"""Why upstream's files do not serve a target, in words for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from packaging.tags import Tag

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile, parse_filename

LINUX = re.compile(r"(?P<libc>manylinux|musllinux|linux)[0-9_]*?_(?P<arch>[a-z].*)")
SYSTEMS = {"macosx": "macOS", "win": "Windows"}
SHOWN = 6  # a list longer than this is cut


def why_no_wheel(target: Target, files: Sequence[IndexFile]) -> str:
    """Say what wheels of a version upstream has, and why none fits the target.

    The nearest miss counts: Requires-Python, then the libc, then the interpreter, then the platform.
    """
    wheels = {file: parsed for file in files if file.is_wheel and (parsed := parse_filename(file.filename))}
    if not wheels:
        return "upstream has an sdist only"
    refused = [file for file, parsed in wheels.items() if not target.tags.isdisjoint(parsed.tags)]
    if refused:
        return f"upstream's wheels require Python {_some({str(file.requires_python) for file in refused})}"
    tags = frozenset[Tag]().union(*(parsed.tags for parsed in wheels.values()))
    here = {tag for tag in tags if tag.platform in _platforms(target)}
    same_python = {tag for tag in tags if (tag.interpreter, tag.abi) in _pythons(target)}
    near = {tag.platform for tag in same_python if _arch(tag.platform) == target.arch}
    if near:
        return _libc_reason(target, near)
    if here:
        return f"upstream has wheels for {_some(_interpreters(here))} only"
    if same_python:
        systems = {_system(tag.platform) for tag in same_python}
        return f"upstream has wheels for {_some(systems)} only, none for {target.arch}"
    pythons, systems = _interpreters(tags), {_system(tag.platform) for tag in tags}
    return f"upstream has wheels for {_some(pythons)} on {_some(systems)} only"


def why_no_sdist(target: Target, pin: Pin, files: Sequence[IndexFile]) -> str:
    """Say why there is nothing to build a version from."""
    if not files:
        return f"upstream has no files of version {pin.version_text}"
    if any(file.is_wheel for file in files):
        return f"{why_no_wheel(target, files)}, and no sdist"
    return f"upstream has {pin.version_text} only as {_some({_kind(file.filename) for file in files})}"


def _libc_reason(target: Target, platforms: set[str]) -> str:
    floors = {platform.removesuffix(f"_{target.arch}") for platform in platforms}
    above = sorted((floor for floor in floors if floor.startswith(f"{target.libc}_")), key=_numbers)
    if above:
        return f"upstream's wheels need {above[0]}, which is above {target.policy}"
    return f"upstream has wheels for {_some(floors)} only, none for {target.policy}"


def _platforms(target: Target) -> frozenset[str]:
    return frozenset(tag.platform for tag in target.tags)


def _pythons(target: Target) -> frozenset[tuple[str, str]]:
    return frozenset((tag.interpreter, tag.abi) for tag in target.tags)


def _interpreters(tags: Iterable[Tag]) -> set[str]:
    return {f"{tag.interpreter} (abi3)" if tag.abi == "abi3" else tag.interpreter for tag in tags}


def _arch(platform: str) -> str:
    match = LINUX.fullmatch(platform)
    return match["arch"] if match else ""


def _system(platform: str) -> str:
    for prefix, name in SYSTEMS.items():
        if platform.startswith(prefix):
            return name
    return _arch(platform) or platform


def _kind(filename: str) -> str:
    for suffix, kind in ((".egg", "eggs"), (".exe", "Windows installers"), (".msi", "Windows installers")):
        if filename.endswith(suffix):
            return kind
    return "archives that no installer reads"


def _some(words: set[str]) -> str:
    ordered = sorted(words, key=_numbers)
    rest = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + rest


def _numbers(text: str) -> list[tuple[int, str]]:
    """Order cp39 before cp311."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"([0-9]+)", text)]
