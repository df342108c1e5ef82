"""Builds and their outcomes as values, for tests of what happens around the building."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from samples import ARM, X86, file, pin

from wheelbuilder.build.outcomes import Built, BuiltWheel, Covered, Failed, FailureClass, Needs, Step, Way
from wheelbuilder.inputs.recipes import Limits, Recipe
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build

WAY = Way(rung=Rung.NATIVE, reason="this machine runs it itself")
HOST, FOREIGN = (X86, ARM) if platform.machine() == "x86_64" else (ARM, X86)


def build(name: str = "foo", target: Target = HOST, **limits: Any) -> Build:
    wanted = pin(f"{name}===1.0")
    return Build(
        pin=wanted,
        target=target,
        sdist=file(f"{name}-1.0.tar.gz"),
        recipe=Recipe(project=wanted.name, limits=Limits(**limits)),
        reason="",
        key=f"{name} {target}",
    )


def built(build: Build, tag: str = "") -> Built:
    """The outcome of a build whose wheel has a tag; else one that serves this target only."""
    tag = tag or f"{build.target.interpreter}-{build.target.interpreter}-manylinux_2_17_{build.target.arch}"
    wheel = BuiltWheel(
        path=Path(f"{build.pin.name}-1.0-{tag}.whl"), sha256="a" * 64, size=1, requires_python=None
    )
    return Built(build=build, wheel=wheel, sdist=Path("x"), way=WAY, steps=())


def pure(build: Build) -> Built:
    return built(build, "py3-none-any")


def covered(build: Build, by: Build) -> Covered:
    return Covered(build=build, by=by.target, filename=pure(by).wheel.filename)


def failed(build: Build, failure: FailureClass = FailureClass.COMPILER, **values: Any) -> Failed:
    return Failed(build=build, failure=failure, step=Step.BUILD, **({"summary": "it broke"} | values))


def needs(build: Build, *builds: Build) -> Needs:
    return Needs(build=build, builds=builds)
