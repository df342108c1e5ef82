from __future__ import annotations

import platform

import pytest
from builds import FOREIGN, HOST, build, built, pure

from wheelbuilder.build.outcomes import StepFailedError
from wheelbuilder.build.siblings import Reach, precedence, reach, refuse_namesake, serves, waits_for
from wheelbuilder.inputs.targets import Target

HERE = platform.machine()
NEWER = Target.parse(f"cp313-manylinux_2_41_{HERE}")
FOREIGN_NEWER = Target.parse(f"cp313-manylinux_2_41_{FOREIGN.arch}")
ALL = [FOREIGN_NEWER, NEWER, FOREIGN, HOST]


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("foo-1.0-py3-none-any.whl", Reach.ANY),
        ("foo-1.0-py2.py3-none-any.whl", Reach.ANY),
        ("foo-1.0-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", Reach.PLATFORM),
        ("foo-1.0-py3-none-manylinux_2_17_x86_64.whl", Reach.PLATFORM),
        ("foo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", Reach.NONE),
        ("nonsense", Reach.ANY),
    ],
)
def test_a_name_tells_whom_a_wheel_may_serve(filename: str, expected: Reach) -> None:
    assert reach(filename) is expected


def test_the_oldest_of_this_machine_comes_first() -> None:
    assert sorted(ALL, key=precedence) == [HOST, NEWER, FOREIGN, FOREIGN_NEWER]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (None, {HOST: (), NEWER: (HOST,), FOREIGN: (HOST,), FOREIGN_NEWER: (HOST, FOREIGN)}),
        (
            "foo-1.0-py3-none-any.whl",
            {HOST: (), NEWER: (HOST,), FOREIGN: (HOST,), FOREIGN_NEWER: (HOST, FOREIGN)},
        ),
        (
            "foo-1.0-cp311-abi3-manylinux_2_17_x86_64.whl",
            {HOST: (), NEWER: (HOST,), FOREIGN: (), FOREIGN_NEWER: (FOREIGN,)},
        ),
        ("foo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", dict.fromkeys(ALL, ())),
    ],
)
def test_whom_a_target_waits_for(known: str | None, expected: dict[Target, tuple[Target, ...]]) -> None:
    assert {target: waits_for(target, ALL, known) for target in ALL} == expected


def test_a_pure_wheel_serves_every_target_and_a_native_one_its_own() -> None:
    assert serves(build(target=FOREIGN), pure(build()))
    assert not serves(build(target=FOREIGN), built(build()))


def test_a_wheel_is_not_published_beside_another_of_its_name() -> None:
    refuse_namesake("foo-1.0-py3-none-any.whl", "")
    refuse_namesake("foo-1.0-cp313-cp313-linux_x86_64.whl", "foo-1.0-py3-none-any.whl")
    with pytest.raises(StepFailedError, match="has the same name"):
        refuse_namesake("Foo-1.0-py3-none-any.whl", "foo-1.0.0-py3-none-any.whl")
