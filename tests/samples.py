"""Short ways to the values that planning works on."""

from __future__ import annotations

import hashlib
from typing import Any

from wheelbuilder.inputs.pins import Pin, parse_constraints
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile

X86 = Target.parse("cp311-manylinux_2_36_x86_64", "3.11.2")
ARM = Target.parse("cp311-manylinux_2_36_aarch64", "3.11.2")


def pin(line: str) -> Pin:
    return parse_constraints(line, "main").pins[0]


def file(filename: str, **values: Any) -> IndexFile:
    digest = hashlib.sha256(filename.encode()).hexdigest()
    url = f"https://files.example.org/{filename}"
    return IndexFile(**({"filename": filename, "url": url, "sha256": digest} | values))


def files(*filenames: str) -> tuple[IndexFile, ...]:
    return tuple(map(file, filenames))


def simple_key(pin: Pin, sdist: IndexFile, recipe: Recipe, target: Target, build_tag: int | None) -> str:
    return f"{pin.name} {sdist.filename} {target} {build_tag}"
