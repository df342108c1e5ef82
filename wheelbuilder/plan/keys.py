"""Build keys: SHA-256 over everything a build depends on, able to say which input changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from wheelbuilder.inputs.images import Catalogue, Role
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.decisions import Build
from wheelbuilder.plan.files import IndexFile

SCHEMA = 1  # raised when builds are made in another way, so that old outcomes do not count

MOST_DESCRIBED = 200  # characters of an input that are remembered as they are, not by digest
NOTHING = "nothing"

Describe = Callable[[Build], "BuildInputs"]  # what a build is made from
KeyOf = Callable[[Pin, IndexFile, Recipe, Target, int | None], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildInputs:
    """Everything a build depends on, as values that JSON holds."""

    project: str
    version: str
    sdist: str  # its SHA-256
    recipe: dict[str, Any]
    target: str
    python: str  # the full version of the root's Python
    root: str  # the digest of the build root
    build_constraints: tuple[str, ...]
    build_tag: int | None
    schema: int = SCHEMA

    @property
    def key(self) -> str:
        """The build key: SHA-256 of the canonical JSON (sorted keys, no spaces, UTF-8)."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def untagged(self) -> str:
        """The key of the same build without a build tag: a rebuild has the same inputs otherwise."""
        return replace(self, build_tag=None).key

    @property
    def described(self) -> dict[str, str]:
        """The inputs by name, as JSON texts; what is not set is left out, and a long one is its digest."""
        values = asdict(self)
        recipe = {f"recipe.{name}": value for name, value in values.pop("recipe").items() if value}
        return {name: _described(value) for name, value in (values | recipe).items() if value is not None}


def build_inputs(
    pin: Pin,
    sdist: IndexFile,
    recipe: Recipe,
    target: Target,
    *,
    root_digest: str,
    build_constraints: tuple[str, ...] = (),
    build_tag: int | None = None,
) -> BuildInputs:
    """Collect what a build depends on.

    Of the recipe its known failure is left out, which is about planning, and a rung that is not pinned:
    which one the machine takes makes no difference to the wheel.
    """
    described = asdict(recipe)
    del described["known_failure"]
    if recipe.rung is None:
        del described["rung"]
    return BuildInputs(
        project=pin.name,
        version=str(pin.version),
        sdist=sdist.sha256,
        recipe=described,
        target=str(target),
        python=target.full_version,
        root=root_digest,
        build_constraints=tuple(sorted(build_constraints)),
        build_tag=build_tag,
    )


def key_of(catalogue: Catalogue, build_constraints: tuple[str, ...]) -> KeyOf:
    """Return the function that computes keys under an image table and a list's build constraints."""

    def key(pin: Pin, sdist: IndexFile, recipe: Recipe, target: Target, build_tag: int | None) -> str:
        return build_inputs(
            pin,
            sdist,
            recipe,
            target,
            root_digest=catalogue.root(target, Role.BUILD).digest,
            build_constraints=build_constraints,
            build_tag=build_tag,
        ).key

    return key


def inputs_of(build: Build, catalogue: Catalogue, build_constraints: tuple[str, ...]) -> BuildInputs:
    """Collect what a build that was decided depends on: what its key is the digest of."""
    return build_inputs(
        build.pin,
        build.sdist,
        build.recipe,
        build.target,
        root_digest=catalogue.root(build.target, Role.BUILD).digest,
        build_constraints=build_constraints,
        build_tag=build.build_tag,
    )


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Say which described inputs changed, one sentence each: `recipe.jobs: nothing -> 1`."""
    return tuple(
        f"{name}: {old.get(name, NOTHING)} -> {new.get(name, NOTHING)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _described(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if len(text) <= MOST_DESCRIBED:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
