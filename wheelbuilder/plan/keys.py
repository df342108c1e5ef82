"""Build keys: SHA-256 over everything a build depends on, able to say which input changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from wheelbuilder.inputs.images import Catalogue, Role
from wheelbuilder.inputs.pins import Pin
from wheelbuilder.inputs.recipes import Recipe
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.files import IndexFile

SCHEMA = 1  # raised when builds are made in another way, so that old outcomes do not count

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
    """Collect what a build depends on; a recipe's known failure is about planning, so it is left out."""
    described = asdict(recipe)
    del described["known_failure"]
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


def differences(old: BuildInputs, new: BuildInputs) -> tuple[str, ...]:
    """Say which inputs changed, one sentence each: `recipe.environment: {} -> {'CFLAGS': '-O1'}`."""
    before, after = _flat(old), _flat(new)
    return tuple(
        f"{name}: {before.get(name)!r} -> {after.get(name)!r}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def _flat(inputs: BuildInputs) -> dict[str, Any]:
    values = asdict(inputs)
    recipe = values.pop("recipe")
    return values | {f"recipe.{name}": value for name, value in recipe.items()}
