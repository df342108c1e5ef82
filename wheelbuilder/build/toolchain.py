"""Native toolchains: host-architecture programs that are mounted into a foreign build root.

The kernel runs them directly there and hands only foreign programs to the emulator. They come from the
same suite as the root; what ends in a wheel (start files, run-time libraries, headers) is the root's own.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wheelbuilder.build import clang_names, held, image_names, roots, rust, uname_library
from wheelbuilder.build.blueprints import Blueprint, blueprint, blueprints, toolchains
from wheelbuilder.build.cache import cache_home, locked
from wheelbuilder.build.containers import Mount
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.owners import our_mark
from wheelbuilder.build.toolchain_layout import INSIDE, interpreter_of, lay_out
from wheelbuilder.build.toolchain_names import make_names, read_make_host
from wheelbuilder.build.unpacking import Contents, discard, extract
from wheelbuilder.inputs.images import Architecture, Catalogue, Compiler, Role, Root
from wheelbuilder.inputs.targets import Target

NAMES = "names"  # the folder of each toolchain for what its roots call its programs
ABOUT = "about"  # the file of each toolchain with its name for people
SHELL = "usr/bin/dash"


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolchain:
    """A toolchain for one foreign root, with GCC or clang. folder: what is seen at INSIDE there.

    names: the links that come first in PATH, one for each program that root and toolchain both have.
    pythons: the paths inside of native interpreters, by tag. make_host: see make(1), MAKE_HOST.
    """

    compiler: Compiler
    folder: Path
    names: Path
    host: Architecture
    arch: Architecture
    digest: str
    pythons: Mapping[str, str]
    make_host: str

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What a container of the root is given: native programs find their libraries in the usual places."""
        libraries = f"usr/lib/{self.host.multiarch}"
        loader = interpreter_of(self.folder / SHELL)
        return (
            Mount(source=self.folder, target=INSIDE),
            Mount(source=self.names, target=self.path),
            Mount(source=self.folder / libraries, target=f"/{libraries}"),
            Mount(source=self.folder / libraries / Path(loader).name, target=loader),
            *((Mount(source=self.folder / SHELL, target=f"/{SHELL}"),) if self.has(Path(SHELL).name) else ()),
            *(rust.mounts(self.folder) if self.is_the_roots_file("cargo") else ()),
        )

    @property
    def path(self) -> str:
        """The folder inside that comes first in PATH, after that of the build's own environment."""
        return f"{INSIDE}/bin"

    def has(self, name: str) -> bool:
        """Say whether a program of this name is native in the root."""
        return (self.names / name).is_symlink()

    def is_the_roots_file(self, name: str) -> bool:
        """Say whether a native program has the name of the root's own file, and not that of a link to it."""
        return self.has(name) and (self.names / name).readlink().name == name

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make native programs answer as the root's own do."""
        return (self._pkg_config if self.has("pkg-config") else {}) | (
            {"MAKE_HOST": self.make_host} if self.make_host else {}
        )

    @property
    def _pkg_config(self) -> dict[str, str]:
        triplet = self.arch.multiarch
        places = (f"lib/{triplet}", "lib", "share")
        return {
            "PKG_CONFIG_LIBDIR": ":".join(
                f"{prefix}/{place}/pkgconfig" for prefix in ("/usr/local", "/usr") for place in places
            ),
            "PKG_CONFIG_SYSTEM_LIBRARY_PATH": f"/lib:/lib/{triplet}:/usr/lib:/usr/lib/{triplet}",
            "PKG_CONFIG_SYSTEM_INCLUDE_PATH": "/usr/include",
        }


def ensure(
    engine: Engine,
    catalogue: Catalogue,
    wanted: Target | Root,
    *,
    log: Path,
    report: Callable[[str], None] = lambda _: None,
    updates: bool = True,
) -> Toolchain | None:
    """Return the toolchain for the build root of a target, or for this very root, making what is missing.

    None where there is none: the root is not foreign to this machine, the image table names no packages
    for its family, or this machine cannot unpack them. updates: see `unpacking.extract`. Raises what
    making a root does.
    """
    root = wanted if isinstance(wanted, Root) else catalogue.root(wanted, Role.BUILD)
    plan = blueprint(catalogue, root)
    if plan is None or not _is_here(engine, plan, log, report, updates=updates):
        return None
    ensured = partial(roots.ensure, engine, root, log=log, report=report, updates=updates)
    names = _named(engine, plan, root, ensured)
    pythons = catalogue.families[plan.workshop.family].pythons
    return Toolchain(
        compiler=plan.compiler,
        folder=plan.folder,
        names=names / "bin",
        host=plan.host,
        arch=root.arch,
        digest=plan.digest,
        pythons={tag: f"{INSIDE}{python.path}" for tag, python in pythons.items()},
        make_host=read_make_host(names),
    )


def _named(engine: Engine, plan: Blueprint, root: Root, ensured: Callable[[], str]) -> Path:
    """Return the folder of names for a root, making it if it is missing. ensured: makes the root's image."""
    folder = plan.folder / NAMES
    clang = plan.compiler is Compiler.CLANG
    names = folder / (f"{root.digest}-{clang_names.identity()}" if clang else root.digest)
    if not names.exists():
        image = ensured()
        if clang:
            image_names.make_names(engine, image, plan, names)
        else:
            with engine.mounted(image) as tree:
                make_names(tree, plan.folder, plan.host, names)
    return names


def prepare(engine: Engine, catalogue: Catalogue, root: Root, *, log: Path) -> None:
    """Make the toolchain for a root, if it is missing, before the root: its Python
    byte-compiles what is in one.
    """
    plan = blueprint(catalogue, root)
    if plan:
        _is_here(engine, plan, log, lambda _: None)


def _is_here(
    engine: Engine, plan: Blueprint, log: Path, report: Callable[[str], None], *, updates: bool = True
) -> bool:
    """Make a toolchain if it is missing and can be made here; say whether it is here then, and stays."""
    while not held.hold(plan.folder):
        if not _can_unpack():
            return False
        with locked(f"toolchain-{plan.digest}"):
            if not plan.folder.is_dir():  # another process may have made it while we waited
                _make(engine, plan, log, report, updates=updates)
    return True


def _can_unpack() -> bool:
    return os.geteuid() == 0 and shutil.which("mmdebstrap") is not None


def _make(
    engine: Engine, plan: Blueprint, log: Path, report: Callable[[str], None], *, updates: bool
) -> None:
    started = time.monotonic()
    report(f"making the toolchain {plan.name}")
    log.parent.mkdir(parents=True, exist_ok=True)
    making = cache_home() / "making"
    for other in making.glob(f"toolchain-{plan.digest}-*"):
        discard(other)  # we hold the lock: what lies there is of a process that died
    folder = making / f"toolchain-{plan.digest}-{our_mark()}"
    (folder / "uname").mkdir(parents=True)
    try:
        native = roots.ensure(engine, plan.workshop, log=log, report=report, updates=updates)
        uname = uname_library.compiled(engine, native, plan.arch.name, folder / "uname")
        contents = Contents(
            name=f"The toolchain {plan.name}",
            suite=plan.workshop.suite,
            architecture=plan.host.debian,
            packages=plan.packages,
            sources=plan.workshop.apt_sources,
        )
        extract(contents, folder / "tree", log=log, updates=updates)
        if plan.compiler is Compiler.CLANG:
            clang_names.lay_out(folder / "tree", str(plan.arch.cross), uname)
        else:
            lay_out(folder / "tree", plan.host, uname)
        if plan.rust:
            rust.lay_out(folder / "tree", plan.arch, plan.host)
        (folder / "tree" / NAMES).mkdir()
        (folder / "tree" / ABOUT).write_text(plan.name, encoding="ascii")
        plan.folder.parent.mkdir(exist_ok=True)
        (folder / "tree").rename(plan.folder)
    finally:
        discard(folder)
    report(f"made the toolchain {plan.name} in {time.monotonic() - started:.0f} s")


def unused(catalogue: Catalogue) -> Iterator[tuple[str, Path]]:
    """Yield name and folder of each toolchain here that no row of the image table asks for."""
    kept = {plan.folder for _, plan in blueprints(catalogue)}
    for folder in sorted(toolchains().glob("[!.]*")):
        if folder not in kept:
            yield (folder / ABOUT).read_text(encoding="ascii"), folder
