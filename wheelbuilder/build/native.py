"""Native sources in, native code out: backends report success after the compiler has failed."""

from __future__ import annotations

import zipfile
from pathlib import Path

from wheelbuilder.build import failures, logs
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.wheelcheck import UNREADABLE, elf_members

SOURCES = frozenset(
    (".c", ".cc", ".cpp", ".cxx", ".pyx", ".f", ".f90", ".f95", ".for", ".rs", ".cu", ".m", ".s")
)
# Folders whose sources are not the project's own product.
NOT_PRODUCT = frozenset(
    ("test", "tests", "testing", "testdata", "fixtures", "doc", "docs", "example", "examples")
) | frozenset(("demo", "demos", "sample", "samples", "bench", "benchmark", "benchmarks", "contrib"))


def native_sources(source: Path, most: int = 5) -> tuple[str, ...]:
    """Return some of the files of an unpacked sdist that a compiler would have to see; () for a pure one."""
    found: list[str] = []
    for place in sorted(source.rglob("*")):
        parts = place.relative_to(source).parts
        if place.suffix.lower() in SOURCES and not NOT_PRODUCT & {part.lower() for part in parts[:-1]}:
            found.append("/".join(parts))
            if len(found) == most:
                break
    return tuple(found)


def refuse_lost(wheel: Path, sources: tuple[str, ...], log: Path | None) -> None:
    """Raise StepFailedError NATIVE_LOST for a wheel without native code, with what the log has to say.

    sources: the native ones of its sdist, of which at least one must have been compiled.
    """
    if not sources or _has_code(wheel):
        return
    text = logs.tail(log) if log else ""
    found = failures.classify(text)
    raise StepFailedError(
        FailureClass.NATIVE_LOST,
        f"the sdist has native sources ({sources[0]}) and the wheel has no native code"
        + (f": {found.summary}" if found else ""),
        (f"{found.hint} " if found else "The log has no complaint: a build requirement may be missing. ")
        + 'If the code is optional, set native = "optional" in the recipe.',
        failures.useful_lines(text) if found else sources,
        found.missing if found else (),
    )


def _has_code(wheel: Path) -> bool:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return any(True for _ in elf_members(archive))
    except UNREADABLE:
        return True  # the wheel check says what is wrong with it
