from __future__ import annotations

import pytest

from wheelbuilder.inputs.quantities import seconds, size


def test_durations_and_sizes() -> None:
    assert (seconds("90s"), seconds("20m"), seconds("2h")) == (90.0, 1200.0, 7200.0)
    assert (size("512M"), size("4G")) == (512 * 2**20, 4 * 2**30)


@pytest.mark.parametrize("text", ["", "20", "0m", "-1m", "1.5h", "20 m", "20M"])
def test_a_bad_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 90s, 20m or 2h"):
        seconds(text)
