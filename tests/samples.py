"""Short ways to the values that planning works on."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

from packaging.utils import canonicalize_name

from wheelbuilder.inputs.pins import Pin, parse_constraints
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile
from wheelbuilder.plan.past import PastFailure, PastFall

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


def build(name: str, target: Target = X86, size: int | None = 0, **values: Any) -> Build:
    known: dict[str, Any] = {
        "pin": pin(f"{name}===1.0"),
        "target": target,
        "sdist": file(f"{name}-1.0.tar.gz", size=size),
        "recipe": Recipe(project=canonicalize_name(name)),
        "reason": "upstream has an sdist only",
        "key": f"{name} {target}",
    }
    return Build(**(known | values))


def past(name: str, key: str = "", day: int = 20, **values: Any) -> PastFailure:
    """A failure in November 2026 that expires in December."""
    known: dict[str, Any] = {
        "project": canonicalize_name(name),
        "version": "1.0",
        "target": str(X86),
        "key": key or f"{name} {X86}",
        "failure": "compiler",
        "summary": "the compiler failed",
        "first": date(2026, 11, day),
        "last": date(2026, 11, day),
        "tries": 1,
        "expires": date(2026, 12, day),
    }
    return PastFailure(**(known | values))


def fell(name: str, **values: Any) -> PastFall:
    """A fall on the 20th of November 2026 that is forgotten in December."""
    known: dict[str, Any] = {
        "project": canonicalize_name(name),
        "version": "1.0",
        "target": str(ARM),
        "key": "k",
        "rung": Rung.TOOLCHAIN,
        "failure": "compiler",
        "summary": "the compiler failed",
        "toolchain": "t1",
        "first": date(2026, 11, 20),
        "last": date(2026, 11, 20),
        "times": 1,
        "expires": date(2026, 12, 20),
    }
    return PastFall(**(known | values))
