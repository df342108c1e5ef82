from __future__ import annotations

import pytest
from builds import build, failed

from wheelbuilder.build.outcomes import FailureClass, Fall
from wheelbuilder.build.tasks import PAUSE, Attempt, next_attempt
from wheelbuilder.inputs.rungs import Rung

FALL = Fall(rung=Rung.TOOLCHAIN, failure=FailureClass.COMPILER, summary="it broke", toolchain="t")
THRIFTY = Attempt(number=2, tries=2, thrift=2)


@pytest.mark.parametrize(
    ("failure", "values", "attempt", "again"),
    [
        (FailureClass.HANG, {}, Attempt(), Attempt(number=2, tries=2)),
        (FailureClass.KILLED, {}, Attempt(), Attempt(number=2, tries=2)),
        (FailureClass.OUT_OF_MEMORY, {}, Attempt(), THRIFTY),
        (FailureClass.OUT_OF_MEMORY, {}, THRIFTY, None),
        (FailureClass.NO_SOURCE, {"passing": True}, Attempt(), Attempt(number=2, tries=2, pause=PAUSE)),
        (FailureClass.NO_SOURCE, {}, Attempt(), None),
        (FailureClass.COMPILER, {}, Attempt(), None),
        (FailureClass.COMPILER, {"fall": FALL}, Attempt(), Attempt(number=2, fall=FALL)),
        (FailureClass.COMPILER, {"fall": FALL}, THRIFTY, Attempt(number=3, thrift=2, fall=FALL)),
        (FailureClass.COMPILER, {}, Attempt(number=2, fall=FALL), None),
        (FailureClass.HANG, {}, Attempt(number=2, fall=FALL), Attempt(number=3, tries=2, fall=FALL)),
        (FailureClass.HANG, {}, Attempt(number=3, tries=2, fall=FALL), None),
        (FailureClass.COMPILER, {"fall": FALL, "remembered": True}, Attempt(), None),
    ],
)
def test_what_can_heal_is_tried_again_and_what_may_be_the_rungs_fault_on_the_next(
    failure: FailureClass, values: dict[str, object], attempt: Attempt, again: Attempt | None
) -> None:
    assert next_attempt(failed(build(), failure, **values), attempt) == again
