"""Tries a wheel where its consumers are: pip installs it, and its modules are imported in the bare root.

The root's own pip installs where this machine runs it by itself. Under emulation its start alone would take
longer than the imports: this machine's pip chooses by the target's tags and unpacks.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import failures, logs, process
from wheelbuilder.build.bounds import Bounds
from wheelbuilder.build.bytecode import compile_tree
from wheelbuilder.build.containers import ContainerExit, Mount
from wheelbuilder.build.emulation import is_native
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.requirements import PIP, pip_options
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.inputs.targets import Target

INSIDE = Path(__file__).parent / "inside" / "trial.py"
CANDIDATES = "/build/candidates"
INSTALLED = "/build/installed"
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
    """The bare root that a trial runs in. spent: hears how the container ended."""

    engine: Engine
    image: str
    catalogue: Catalogue
    target: Target
    bounds: Bounds
    spent: Callable[[ContainerExit], None] = lambda _: None

    @property
    def is_emulated(self) -> bool:
        """Whether this machine does not run the root's programs by itself."""
        return not is_native(self.catalogue.architecture(self.target))


def candidates(trial: Trial, folder: Path) -> Path:
    """Lay the wheel and its dependencies out as the one folder that pip may look into."""
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in (trial.wheel, *trial.dependencies):
        shutil.copyfile(wheel, folder / wheel.name)
    return folder


def run(trial: Trial, consumer: Consumer, *, folder: Path, log: Path) -> None:
    """Install and import in the bare root, network off; StepFailedError IMPORT_FAILED, or what ended it."""
    arguments = ("--no-deps",) if trial.partial else ()
    wheels, words = candidates(trial, folder), (trial.requirement, *arguments)
    if consumer.is_emulated:
        given = Mount(source=_installed(words, wheels, consumer, log), target=INSTALLED)
        words = ()
    else:
        given = Mount(source=wheels, target=CANDIDATES)
    done = consumer.engine.run(
        consumer.image,
        (
            *(consumer.catalogue.interpreter(consumer.target).path, "/build/trial.py"),
            *(str(len(words)), *words, *trial.modules),
        ),
        mounts=(Mount(source=INSIDE, target="/build/trial.py"), given),
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


def _installed(words: tuple[str, ...], wheels: Path, consumer: Consumer, log: Path) -> Path:
    """Let this machine's pip install as the target's would; return the folder with what it has unpacked."""
    place, target = wheels / "installed", consumer.target
    argv = (
        *(sys.executable, "-m", PIP, "--isolated", "--disable-pip-version-check", "install", "--quiet"),
        *("--no-index", "--no-cache-dir", "--no-compile", "--root-user-action", "ignore"),
        *("--find-links", str(wheels), "--target", str(place), "--only-binary", ":all:"),
        *(*pip_options(target), *words),
    )
    done = process.run(
        argv,
        stdin=json.dumps(target.marker_environment()).encode(),
        env={"PIP_CONFIG_FILE": "/dev/null"},
        timeout=consumer.bounds.timeout,
        log=log,
    )
    if not done.ok:
        raise _not_installed(done.exit_code, failures.useful_lines(logs.tail(log)))
    place.mkdir(exist_ok=True)
    compile_tree(place, target.python, INSTALLED)
    return place


def _not_installed(status: int, lines: tuple[str, ...]) -> StepFailedError:
    return StepFailedError(
        FailureClass.IMPORT_FAILED,
        f"pip did not install the wheel, or importing it ended the interpreter (exit status {status})",
        lines=lines,
    )


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
    return bounds.passed(done, "the trial", lines) or _not_installed(done.exit_code, lines)
