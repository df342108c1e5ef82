from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from samples import ARM, X86, file, pin

from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.inputs.recipes import KnownFailure, Limits, Patch, Recipe
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.keys import BuildInputs, build_inputs, differences, key_of

A = pin("a===1.0")
SDIST = file("a-1.0.tar.gz")
RECIPE = Recipe(project=A.name, deb=("libfoo-dev",), environment={"B": "2", "A": "1"})


def inputs(**changes: Any) -> BuildInputs:
    values: dict[str, Any] = {
        "pin": A,
        "sdist": SDIST,
        "recipe": RECIPE,
        "target": X86,
        "root_digest": "root",
    } | changes
    pin_, sdist, recipe, target = (values.pop(name) for name in ("pin", "sdist", "recipe", "target"))
    return build_inputs(pin_, sdist, recipe, target, **values)


def test_a_key_is_a_digest_and_stays_the_same() -> None:
    key = inputs().key
    assert len(key) == 64
    assert int(key, 16)
    same = replace(RECIPE, environment={"A": "1", "B": "2"})
    assert inputs(recipe=same, build_constraints=()).key == key


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"sdist": file("a-1.0.zip")}, "sdist"),
        ({"pin": pin("a===1.1")}, "version"),
        ({"target": ARM}, "target"),
        ({"target": Target.parse(str(X86), "3.11.9")}, "python"),
        ({"root_digest": "other"}, "root"),
        ({"build_constraints": ("setuptools<80",)}, "build_constraints"),
        ({"build_tag": 1}, "build_tag"),
        ({"recipe": replace(RECIPE, environment={})}, "recipe.environment"),
        ({"recipe": replace(RECIPE, limits=Limits(jobs=1))}, "recipe.limits"),
        ({"recipe": replace(RECIPE, deb=())}, "recipe.deb"),
        ({"recipe": replace(RECIPE, rung=Rung.EMULATED)}, "recipe.rung"),
    ],
)
def test_every_input_changes_the_key_and_is_named(changes: dict[str, Any], changed: str) -> None:
    other = inputs(**changes)
    assert other.key != inputs().key
    assert [line.partition(":")[0] for line in differences(inputs().described, other.described)] == [changed]


def test_the_schema_changes_the_key() -> None:
    assert replace(inputs(), schema=2).key != inputs().key
    assert differences(inputs().described, replace(inputs(), schema=2).described) == ("schema: 1 -> 2",)


def test_a_known_failure_does_not_change_the_key() -> None:
    failing = replace(RECIPE, known_failure=KnownFailure(reason="x", expires=date(2027, 1, 1)))
    assert inputs(recipe=failing).key == inputs().key


def test_a_rung_that_is_not_pinned_is_no_input() -> None:
    assert "rung" not in inputs().recipe


def test_the_order_of_build_constraints_does_not_count() -> None:
    assert inputs(build_constraints=("a<1", "b<2")).key == inputs(build_constraints=("b<2", "a<1")).key


def test_keys_under_the_image_table() -> None:
    catalogue = Catalogue.read(default_path())
    key = key_of(catalogue, ("setuptools<80",))(A, SDIST, RECIPE, X86, None)
    digest = catalogue.root(X86, Role.BUILD).digest
    assert key == inputs(root_digest=digest, build_constraints=("setuptools<80",)).key


def test_a_change_is_said_as_short_as_it_can_be() -> None:
    patched = replace(RECIPE, patches=(Patch(name="x.patch", text="-\n+\n" * 99, status="sent"),), deb=())
    (deb, patches) = differences(inputs().described, inputs(recipe=patched).described)
    assert deb == 'recipe.deb: ["libfoo-dev"] -> nothing'
    assert patches.startswith("recipe.patches: nothing -> sha256:") and len(patches) < 120
