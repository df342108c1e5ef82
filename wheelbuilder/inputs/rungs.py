"""The ladder: in which ways wheels for an architecture are built, the fastest first."""

from __future__ import annotations

from enum import StrEnum


class Rung(StrEnum):
    """One way to build. On each of them the target's own Python runs the backend."""

    NATIVE = "native"  # the machine runs the architecture itself
    TOOLCHAIN = "native-toolchain"  # Python is emulated; compilers, shell and make are the machine's own
    EMULATED = "emulated"  # everything is
