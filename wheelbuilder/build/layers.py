"""System packages of a recipe as a cached image, so that the build itself runs with the network off."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from wheelbuilder.build.cache import locked
from wheelbuilder.build.engine import Engine
from wheelbuilder.build.roots import build_image, ensure
from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.images import Root, Source
from wheelbuilder.inputs.recipes import PACKAGE_NAME

# The first package manager that the image has.
INSTALL = (
    "RUN if command -v dnf; then dnf --assumeyes install {names};"
    " elif command -v apk; then apk add --no-cache {names};"
    " else apt-get update && apt-get install --yes --no-install-recommends {names}; fi"
)
NO_PACKAGE = re.compile(
    r"(?:No match for argument: |Unable to locate package |^  )(\S+?)(?: \(no such package\):.*)?$",
    re.MULTILINE,
)


def with_packages(
    engine: Engine,
    root: Root,
    packages: tuple[str, ...],
    *,
    log: Path,
    report: Callable[[str], None] = lambda _: None,
) -> str:
    """Return the local image of a root with more system packages, making it if it is missing.

    Archive roots are unpacked anew with all packages: no maintainer script runs, and the archive's own
    resolver picks the set. Pulled roots get a layer from their own package manager. Raises
    ConfigurationError for a name that is none, or that the distribution does not have.
    """
    for name in packages:
        if not PACKAGE_NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is not the name of a system package.", "Correct the recipe.")
    wider = root.adding(packages)
    if wider == root or root.source is Source.ARCHIVE:
        return ensure(engine, wider, log=log, report=report)
    base = ensure(engine, root, log=log, report=report)
    if not engine.has(wider.tag):
        with locked(f"root-{wider.digest}"):
            if not engine.has(wider.tag):
                report(f"installing {', '.join(packages)} into {root.name}")
                _layer(engine, replace(wider, image=base), wider.tag, log)
    return wider.tag


def _layer(engine: Engine, root: Root, image: str, log: Path) -> None:
    before = log.stat().st_size if log.exists() else 0
    lines = (f"FROM {root.image}", "USER 0", INSTALL.format(names=" ".join(root.packages)))
    try:
        build_image(engine, root, lines, image, log, network=True)
    except UnreachableError:
        output = log.read_bytes()[before:].decode(errors="replace")
        missing = [name for name in NO_PACKAGE.findall(output) if name in root.packages]
        if missing:
            raise ConfigurationError(
                f"The image of {root.family} has no package {' and no package '.join(missing)}.",
                "Correct the recipe.",
            ) from None
        raise
