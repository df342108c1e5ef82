"""What a step may take at most, and what to say where it took more or something outside ended it."""

from __future__ import annotations

from dataclasses import dataclass

from wheelbuilder.build.containers import ContainerExit
from wheelbuilder.build.outcomes import FailureClass, StepFailedError


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """timeout: seconds. silence: seconds without a word and without computing. memory: bytes.

    slack: how many times the limit of a native build `timeout` is.
    """

    timeout: float
    silence: float
    memory: int
    slack: int = 1

    def passed(self, done: ContainerExit, doing: str, lines: tuple[str, ...]) -> StepFailedError | None:
        """Return the failure of a container that did not end by itself, or was in want of memory; else None.

        doing: what it did, such as "building the wheel". lines: the useful ones of its log.
        """
        if done.timed_out:
            return StepFailedError(
                FailureClass.TIME_OUT,
                f"{doing} took longer than {self.timeout:.0f} s{self._longer}",
                "Raise limits.timeout of the recipe if it needs longer.",
                lines,
            )
        if done.hung:
            return StepFailedError(
                FailureClass.HANG,
                f"{doing} printed nothing and computed nothing for {self.silence:.0f} s",
                "See the log for what it waits for; if it has to wait, raise limits.silence of the recipe.",
                lines,
            )
        if done.out_of_memory:
            return StepFailedError(
                FailureClass.OUT_OF_MEMORY,
                f"{doing} needed more than {self.memory >> 20} MiB",
                "Raise limits.memory of the recipe, or lower limits.jobs.",
                lines,
            )
        if done.killed:
            return StepFailedError(
                FailureClass.KILLED,
                f"{doing} was ended by something outside of its container (exit status {done.exit_code})",
                "See who ends containers or processes here, such as the kernel in want of memory.",
                lines,
                passing=True,
            )
        return None

    @property
    def _longer(self) -> str:
        return "" if self.slack == 1 else f", {self.slack} times its limit because it is emulated"
