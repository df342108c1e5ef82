"""What stands between a build and the compilers of its root: compile slots, and the compiler cache.

One static program (inside/compiler.c) has the names of all compilers that are there and comes before them in
PATH. It is at the compiler and not in make: no -jN opts out, and whatever starts compilers comes past it.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from wheelbuilder.build import ccache, front, object_cache, programs, slots, untrusted
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.outcomes import Compiled
from wheelbuilder.build.site import Site
from wheelbuilder.build.toolchain import Toolchain
from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.inputs.images import Catalogue
from wheelbuilder.plan.decisions import Build

INSIDE = "/opt/wheelbuilder/compilers"
NAMES = f"{INSIDE}/bin"  # goes into PATH
OBJECTS = "/build/ccache"
MOST_STATISTICS = 64 << 20  # bytes
HITS, MISS = ("direct_cache_hit", "preprocessed_cache_hit"), "cache_miss"


@dataclass(frozen=True, kw_only=True, slots=True)
class CompilerCache:
    """The compiler cache of one build. program: the folder of ccache.

    identity: whom its objects belong to; words: the same for people. limit: bytes of all caches together.
    """

    program: Path
    identity: tuple[str, ...]
    words: str
    limit: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What a container gets. compiled: says afterwards what the compiler cache had and lacked."""

    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    compiled: Callable[[], Compiled | None] = lambda: None


@dataclass(frozen=True, kw_only=True, slots=True)
class Compilers:
    """What one build compiles with. front: the folder with our program and its names; None without it."""

    front: Path | None
    slots: Path
    cache: CompilerCache | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The folders inside that come before those of other programs."""
        return (NAMES,) if self.front else ()

    @contextmanager
    def at_hand(self, toolchain: Toolchain | None) -> Iterator[Tools]:
        """Yield what one container needs to compile with. toolchain: None for the root's own compilers."""
        if self.front is None:
            yield Tools()
            return
        mounts = (
            Mount(source=self.front, target=INSIDE),
            Mount(source=self.slots, target=slots.INSIDE),
            *(_over_the_roots_own(self.front, toolchain) if toolchain else ()),
        )
        if self.cache is None:
            yield Tools(mounts=mounts)
            return
        with _borrowed(self.cache, toolchain.digest if toolchain else "") as tools:
            yield replace(tools, mounts=(*mounts, *tools.mounts))


def _over_the_roots_own(place: Path, toolchain: Toolchain) -> Iterator[Mount]:
    """Yield what leads from the paths of a root's compilers to native ones: emulated ones do not get along
    with the native linker.
    """
    for name in sorted(path.name for path in (place / "bin").iterdir()):
        if toolchain.is_the_roots_file(name):
            yield Mount(source=place / front.PROGRAM, target=f"/usr/bin/{name}")


@contextmanager
def _borrowed(cache: CompilerCache, toolchain: str) -> Iterator[Tools]:
    statistics = f"statistics-{secrets.token_hex(8)}"
    identity = (*cache.identity, toolchain)
    with object_cache.borrowed(identity, cache.words, cache.limit) as objects:
        try:
            yield Tools(
                mounts=(
                    Mount(source=cache.program, target=ccache.INSIDE),
                    Mount(source=objects, target=OBJECTS, writable=True),
                ),
                environment=_environment(cache, statistics),
                compiled=partial(_counted, objects / statistics),
            )
        finally:
            (objects / statistics).unlink(missing_ok=True)


def ready(build: Build, site: Site, image: str, log: Path) -> Compilers:
    """Return what a build compiles with in an image, making what is missing.

    Where something cannot be made the build goes on without it, and the log says so.
    """
    make_front = partial(front.ensure, site.engine, site.catalogue, build.target, image, log=log)
    before = _made(make_front, "compile slots", site, log)
    cache = None
    if before and site.compiler_cache:
        program = _made(partial(ccache.ensure, site.catalogue, log), "the compiler cache", site, log)
        cache = program and CompilerCache(
            program=program,
            identity=(build.sdist.sha256, site.engine.identity(image)),
            words=f"{build.pin} {build.target}",
            limit=site.compiler_cache,
        )
    return Compilers(front=before, slots=slots.ready(site.jobs + 1), cache=cache or None)


def unused_programs(catalogue: Catalogue) -> Iterator[Path]:
    """Yield the folders of programs that builds with this image table do not use."""
    yield from programs.others((front.name(), ccache.name(catalogue)))


def _made(make: Callable[[], Path | None], what: str, site: Site, log: Path) -> Path | None:
    if what in site.without:
        return None
    why = "it cannot be made on this machine"
    try:
        if made := make():
            return made
    except WheelbuilderError as error:
        if not site.engine.answers():
            raise
        why = error.message
    site.without.add(what)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"wheelbuilder: this run goes on without {what}: {why}\n")
    return None


def _environment(cache: CompilerCache, statistics: str) -> dict[str, str]:
    """Return how ccache is called and what it may do.

    What it answers depends on what the preprocessor says now: its direct mode would not notice a header that
    is new in an earlier folder. No CCACHE_BASEDIR: it changes what __FILE__ is, and paths are fixed anyway.
    """
    return {
        "WHEELBUILDER_COMPILER_CACHE": ccache.command(cache.program),
        "CCACHE_DIR": OBJECTS,
        "CCACHE_CONFIGPATH": "/dev/null",  # never one that a build has left in the folder
        "CCACHE_COMPILERCHECK": "content",
        "CCACHE_NODIRECT": "1",
        "CCACHE_NOINODECACHE": "1",
        "CCACHE_MAXSIZE": f"{cache.limit >> 10}Ki",
        "CCACHE_STATSLOG": f"{OBJECTS}/{statistics}",
    }


def _counted(statistics: Path) -> Compiled | None:
    data = untrusted.read(statistics, MOST_STATISTICS)
    if data is None:
        return None
    lines = Counter(data.decode(errors="replace").split())
    return Compiled(hits=sum(lines[word] for word in HITS), misses=lines[MISS])
