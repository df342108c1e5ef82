"""Making sure that a root is here as a local image: whole or not at all, once for all processes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.archive_image import import_archive
from wheelbuilder.build.bootstrap import unpack
from wheelbuilder.build.cache import cache_home, locked
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.engine_probe import PROBE_IMAGE
from wheelbuilder.build.owners import our_mark
from wheelbuilder.build.smoke import smoke
from wheelbuilder.build.unpacking import discard
from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.inputs.images import Root, Source

Report = Callable[[str], None]
BUILD_TIMEOUT = 3600.0  # seconds
PREFIX = "localhost/wheelbuilder/"
UNTESTED = "-untested"  # what an image is called until its smoke test has passed


def ensure(
    engine: Engine, root: Root, *, log: Path, report: Report = lambda _: None, updates: bool = True
) -> str:
    """Return the local image reference of a root, making it if it is missing.

    log: receives what the tools print. report: is told in a few words what is going on. updates: see
    `unpacking.extract`.
    Raises UnreachableError (archive, registry, emulator), IntegrityError (not what the digest or the
    image table says) or ConfigurationError (no such package).
    """
    if not engine.has(root.tag):
        with locked(f"root-{root.digest}"):
            if not engine.has(root.tag):  # another process may have made it while we waited
                _make(engine, root, log, report, updates=updates)
    return root.tag


def _make(engine: Engine, root: Root, log: Path, report: Report, *, updates: bool) -> None:
    started = time.monotonic()
    report(f"making the root {root.name}")
    log.parent.mkdir(parents=True, exist_ok=True)
    untested = root.tag + UNTESTED
    # The name that counts is given last: an interrupted or failed making leaves nothing that has it.
    try:
        if root.source is Source.ARCHIVE:
            _from_archive(engine, root, untested, log, updates=updates)
        else:
            _from_registry(engine, root, untested, log)
        smoke(engine, root, untested)
        engine.call("tag", untested, root.tag)
    finally:
        process.run((engine.name, "rmi", untested), timeout=120, tidying=True)
    report(f"made the root {root.name} in {time.monotonic() - started:.0f} s")


def _from_archive(engine: Engine, root: Root, image: str, log: Path, *, updates: bool) -> None:
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        raise UnreachableError(
            f"The root {root.name} cannot be made here: it takes root and the program mmdebstrap.",
            "As root on Debian or Ubuntu: `make setup`. Elsewhere use a family whose images are pulled.",
        )
    making = cache_home() / "making"
    for other in making.glob(f"{root.digest}-*"):
        discard(other)  # we hold the lock: what lies there is of a process that died
    # A name of our own: what such a process had started may still be ending, and writing.
    folder = making / f"{root.digest}-{our_mark()}"
    folder.mkdir(parents=True)
    try:
        unpack(root, folder / "root", log=log, updates=updates)
        tar = ("tar", "--create", "--numeric-owner", "--xattrs", "--file", str(folder / "root.tar"))
        process.check((*tar, "--directory", str(folder / "root"), "."), timeout=600)
        import_archive(engine, folder / "root.tar", image, root.arch.oci)
    finally:
        discard(folder)


def _from_registry(engine: Engine, root: Root, image: str, log: Path) -> None:
    done = engine.transfer("pull", root.image, "--quiet", "--platform", f"linux/{root.arch.oci}")
    if not done.ok:
        raise _pull_complaint(root, done.stderr)
    found = engine.architecture(root.image)
    if found != root.arch.oci:
        raise IntegrityError(
            f"{root.image} is an image for {found}, not for {root.arch.oci} as the image table says.",
            f"Correct the row of {root.family} in images.toml.",
        )
    if root.hidden:
        _without(engine, root, image, log)
    else:
        engine.call("tag", root.image, image)


def _pull_complaint(root: Root, output: str) -> IntegrityError | UnreachableError | ConfigurationError:
    words = (output.strip().splitlines() or ["the engine printed nothing"])[-1]
    if "manifest unknown" in output or "does not match" in output or "unexpected digest" in output:
        return IntegrityError(
            f"The registry has no image {root.image}.",
            "Correct the digest in images.toml, or push the image there.",
        )
    return UnreachableError(
        f"{root.image} cannot be pulled: {words}", "Check the registry, the proxy and the login."
    )


def _without(engine: Engine, root: Root, image: str, log: Path) -> None:
    """Make an image that lacks the folders that a bare root must not show."""
    build_image(engine, root, (f"FROM {root.image}", f"RUN rm -rf {' '.join(root.hidden)}"), image, log)


def build_image(
    engine: Engine, root: Root, lines: tuple[str, ...], image: str, log: Path, *, network: bool = False
) -> None:
    """Build an image from the lines of a Containerfile; an UnreachableError points to the log."""
    isolated = engine.kind.isolated_build if engine.arguments else ()
    limits = tuple(
        word
        for flag, value in zip(engine.arguments, engine.arguments[1:], strict=False)
        if flag == "--ulimit"
        for word in (flag, value)
    )
    # Isolation by chroot, which hosts need whose limits may not be set, knows no network of its own.
    where = ("--platform", f"linux/{root.arch.oci}", "--network", "host" if network or isolated else "none")
    command = (engine.name, "build", *where, *isolated, *limits, "--tag", image, "-")
    stdin = "\n".join(lines).encode()
    done = process.run(command, log=log, timeout=BUILD_TIMEOUT, network=network, stdin=stdin)
    if not done.ok:
        raise UnreachableError(
            f"The image {image} cannot be built from {root.image}.", f"See the end of {log}."
        )


def local_roots(engine: Engine) -> frozenset[str]:
    """Return the names of the root images that are here, those with a recipe's packages among them."""
    ours = (line for line in engine.images() if line.startswith(PREFIX))
    return frozenset(line for line in ours if not line.endswith(UNTESTED) and line != PROBE_IMAGE)


def remove(engine: Engine, image: str) -> None:
    """Remove a root image, once the containers of it that have ended are gone."""
    engine.settle()
    engine.call("rmi", image)
