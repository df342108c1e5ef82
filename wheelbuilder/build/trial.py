"""Tries a wheel where its consumers are: the bare root's own pip installs it and its modules are imported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import failures, logs
from wheelbuilder.build.bounds import Bounds
from wheelbuilder.build.containers import ContainerExit, Mount
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.outcomes import FailureClass, StepFailedError

INSIDE = Path(__file__).parent / "inside" / "trial.py"
CANDIDATES = "/build/candidates"
ANSWER = "wheelbuilder-trial: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One wheel to try. partial: run-time dependencies have no wheel yet, so their modules may be missing.

    outside: sonames that the recipe leaves to the bare root.
    """

    wheel: Path
    dependencies: tuple[Path, ...]
    requirement: str  # name==version, as pip is asked
    modules: tuple[str, ...]
    partial: bool
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Consumer:
    """The bare root that a trial runs in. python: its path inside.

    spent: hears how the container ended.
    """

    engine: Engine
    image: str
    python: str
    bounds: Bounds
    spent: Callable[[ContainerExit], None] = lambda _: None


def candidates(trial: Trial, folder: Path) -> Path:
    """Lay the wheel and its dependencies out as the one folder that pip may look into."""
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in (trial.wheel, *trial.dependencies):
        shutil.copyfile(wheel, folder / wheel.name)
    return folder


def run(trial: Trial, consumer: Consumer, *, folder: Path, log: Path) -> None:
    """Install and import in the bare root, network off; StepFailedError IMPORT_FAILED, or what ended it."""
    arguments = ("--no-deps",) if trial.partial else ()
    done = consumer.engine.run(
        consumer.image,
        (consumer.python, "/build/trial.py", trial.requirement, *arguments, *trial.modules),
        mounts=(
            Mount(source=INSIDE, target="/build/trial.py"),
            Mount(source=candidates(trial, folder), target=CANDIDATES),
        ),
        workdir="/tmp",  # noqa: S108  (inside the container)
        env={"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=consumer.bounds.timeout,
        silence=consumer.bounds.silence,
        memory=consumer.bounds.memory,
        log=log,
    )
    consumer.spent(done)
    lines = logs.tail(log).splitlines()
    answers = [line.removeprefix(ANSWER) for line in lines if line.startswith(ANSWER)]
    text = "\n".join(line for line in lines if not line.startswith(ANSWER))
    if not done.ok or not answers:
        raise _unfinished(done, text, consumer.bounds)
    broken = _broken(answers[-1])
    own = {module.partition(".")[0] for module in trial.modules}
    blamed = {name: told for name, told in broken.items() if not _excused(told, own, partial=trial.partial)}
    if blamed:
        name, told = next(iter(blamed.items()))
        summary = f"importing {name} in the bare root failed: {told['error']}"
        hint = _advice(str(told["error"]), trial.outside)
        raise StepFailedError(FailureClass.IMPORT_FAILED, summary, hint, failures.useful_lines(text))


def _advice(error: str, outside: Sequence[str]) -> str:
    for library in outside:
        if f"{library}: cannot open shared object file" in error:
            return f"The recipe excludes {library}: name the package that has it in runtime-packages."
    return "If the module is not meant to be imported so, name others in `imports` of the recipe."


def _broken(answer: str) -> dict[str, dict[str, str | None]]:
    """Read the answer; a module that printed one of its own at exit gets what it asked for."""
    try:
        read: dict[str, dict[str, str | None]] = json.loads(answer)
        return {name: {"error": told["error"], "missing": told["missing"]} for name, told in read.items()}
    except (ValueError, AttributeError, KeyError, TypeError):
        raise StepFailedError(
            FailureClass.IMPORT_FAILED, f"the trial's answer cannot be read: {answer[:200]}"
        ) from None


def _excused(told: dict[str, str | None], own: set[str], *, partial: bool) -> bool:
    """Say whether an import failed only for want of a dependency that has no wheel yet."""
    missing = told["missing"]
    return partial and missing is not None and missing.partition(".")[0] not in own


def _unfinished(done: ContainerExit, text: str, bounds: Bounds) -> StepFailedError:
    lines = failures.useful_lines(text)
    return bounds.passed(done, "the trial", lines) or StepFailedError(
        FailureClass.IMPORT_FAILED,
        "pip in the bare root did not install the wheel, or importing it ended the interpreter "
        f"(exit status {done.exit_code})",
        lines=lines,
    )
