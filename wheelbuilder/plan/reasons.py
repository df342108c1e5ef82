"""Why upstream's files do not serve a target, in words for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from packaging.tags import Tag

from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile, accepts, parse_filename, source_version, unservable

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
    fitting = [file for file in wheels if accepts(target, file)]
    if fitting:
        unlisted = [file for file in fitting if unservable(file)]
        return why_passed_over(unlisted[0], files) if unlisted else "upstream has a wheel"
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


def why_passed_over(wheel: IndexFile, upstream: Sequence[IndexFile]) -> str:
    """Say why installers that could take this wheel compile all the same."""
    if wheel in upstream and (refused := unservable(wheel)):
        return f"{wheel.filename} cannot be listed: {refused}"
    if wheel.yanked is not None:
        return f"{wheel.filename} is yanked, and the sdist is not"
    return f"upstream has a higher version than {wheel.filename} that the pin accepts"


def why_not_built(target: Target, pin: Pin, sources: Sequence[IndexFile], files: Sequence[IndexFile]) -> str:
    """Say why a version is not built: from none of `sources`, or because none of `files` is one."""
    for file in sources:
        version = source_version(file.filename, pin.name)
        if version != pin.version:
            return f"installers take {file.filename} for {pin}, and it has no wheel: pin it as ==={version}"
    for file in sources:
        if refused := unservable(file):
            named = refused.removesuffix(" for it")
            return f"{named} for {file.filename}" if named != refused else f"{refused}: {file.filename}"
    if sources:
        return f"upstream has the source only as {sources[0].filename}, which is neither .tar.gz nor .zip"
    for file in files:
        if source_version(file.filename, pin.name) and file.requires_python:
            bounds = f"requires Python {file.requires_python}, the target has {target.full_version}"
            return f"{file.filename} {bounds}"
    return why_no_sdist(target, pin, files)


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


@cache
def _platforms(target: Target) -> frozenset[str]:
    return frozenset(tag.platform for tag in target.tags)


@cache
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
