"""Lets builds tell what their compilers have cost, each call measured by the kernel."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

from wheelbuilder.build import compilers, front
from wheelbuilder.build.compilers import Compilers, Tools
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.site import Site
from wheelbuilder.build.toolchain import Toolchain
from wheelbuilder.plan.decisions import Build

SOURCE = Path(__file__).parent / "compile_timer.c"
PLACE = "/build/times"  # compile_timer.c knows it too
NOTES = "times"


@dataclass
class Times:
    """What compilers have cost since the last time that it was asked. folder: of our program and notes."""

    folder: Path
    _fronts: dict[Path, Path] = field(default_factory=dict)

    def seconds(self) -> float:
        """Return the processor seconds."""
        notes = self.folder / "notes" / NOTES
        told = sum(map(int, notes.read_text().split())) / 1000 if notes.exists() else 0.0
        notes.unlink(missing_ok=True)
        return told

    def before(self, place: Path) -> Path:
        """Return a folder like that of the compile slots' program, with ours before it."""
        if place not in self._fronts:
            made = self._fronts[place] = self.folder / place.name
            (made / "bin").mkdir(parents=True)
            shutil.copy(place / front.PROGRAM, made)
            shutil.copy(self.folder / "timer", made)
            for path in (place / "bin").iterdir():
                (made / "bin" / path.name).symlink_to("../timer")
        return self._fronts[place]


@dataclass(frozen=True, kw_only=True)
class TimedCompilers(Compilers):
    """Compilers of a build, each call of which is noted."""

    times: Times

    @contextmanager
    def at_hand(self, toolchain: Toolchain | None) -> Iterator[Tools]:
        """Yield what one container needs to compile with."""
        mount = Mount(source=self.times.folder / "notes", target=PLACE, writable=True)
        with Compilers.at_hand(self, toolchain) as tools:
            yield replace(tools, mounts=(*tools.mounts, mount))


@contextmanager
def timed(folder: Path) -> Iterator[Times]:
    """Yield what builds in this process cost their compilers, as long as the context lasts."""
    (folder / "notes").mkdir()
    subprocess.run(["gcc", "-O2", "-static", "-o", folder / "timer", SOURCE], check=True)
    times, real = Times(folder), compilers.ready

    def ready(build: Build, site: Site, image: str, log: Path) -> Compilers:
        made = real(build, site, image, log)
        assert made.front, log.read_text()
        before = times.before(made.front)
        return TimedCompilers(front=before, slots=made.slots, cache=made.cache, times=times)

    with patch.object(compilers, "ready", ready):
        yield times
