"""The exceptions that end a run: each has an exit code and a hint that says what to do next.

A package that cannot be built is not an exception but an outcome (`wheelbuilder.build.outcomes`).
"""

from __future__ import annotations

from wheelbuilder.shown import without_secrets


class WheelbuilderError(Exception):
    """Ends the run. `message` says what is wrong and where; `hint` what to do about it.

    Neither ever holds a secret out of an address that was given to us.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        return self.message


class ConfigurationError(WheelbuilderError):
    """A list, a recipe, the image table or the command line asks for something that cannot be."""

    exit_code = 2


class UnreachableError(WheelbuilderError):
    """The container engine, an index or the store does not answer. passing: it may, a moment later."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "", *, passing: bool = False) -> None:
        super().__init__(message, hint)
        self.passing = passing


class IntegrityError(WheelbuilderError):
    """Bytes are not what their digest or their index says: nothing was used or published."""

    exit_code = 4


class DeadlineError(WheelbuilderError):
    """The deadline came before everything was built; what was finished is published."""

    exit_code = 5


class InterruptedRunError(WheelbuilderError):
    """The user or the system asked the run to end; what was finished is kept."""

    exit_code = 130
