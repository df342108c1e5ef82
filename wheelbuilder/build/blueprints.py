"""What a native toolchain consists of, and the name that this gives it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wheelbuilder.build import rust
from wheelbuilder.build.cache import cache_home
from wheelbuilder.build.emulation import MACHINE, is_native
from wheelbuilder.inputs.images import Architecture, Catalogue, Role, Root, Source

FORMAT = 2  # raised when the way toolchains are made changes what is in them


@dataclass(frozen=True, kw_only=True, slots=True)
class Blueprint:
    """A toolchain of a family for one architecture, on this machine, made or not.

    packages: of the suite. workshop: the family's build root for this machine itself. rust: with Rust.
    """

    family: str
    suite: str
    workshop: Root
    arch: Architecture
    packages: tuple[str, ...]
    rust: bool = False

    @property
    def host(self) -> Architecture:
        """This machine's architecture."""
        return self.workshop.arch

    @property
    def name(self) -> str:
        """Its name for people: `bookworm-aarch64-toolchain`."""
        return f"{self.family}-{self.arch.name}-{'rust-' if self.rust else ''}toolchain"

    @property
    def digest(self) -> str:
        """Of all that decides its content."""
        archive = self.workshop.archive
        contents = (FORMAT, archive, self.host.debian, self.arch.debian, sorted(self.packages))
        more = rust.identity(self.arch, self.host) if self.rust else ()
        return hashlib.sha256(json.dumps((*contents, *more)).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Where it lies once it is made."""
        return toolchains() / self.digest


def toolchains() -> Path:
    """Return the folder for all of them."""
    return cache_home() / "toolchains"


def blueprint(catalogue: Catalogue, root: Root) -> Blueprint | None:
    """Return the blueprint of the toolchain for a root, None where the machine or the table has none."""
    family = catalogue.families[root.family]
    workshop = family.roots.get((MACHINE, Role.BUILD))
    if root.source is not Source.ARCHIVE or not family.toolchain:
        return None
    if workshop is None or is_native(root.arch) or root.arch.cross is None:
        return None
    has_rust = bool(family.rust) and rust.is_for(root, workshop)
    packages = (*family.toolchain, *(family.rust if has_rust else ()))
    return Blueprint(
        family=root.family,
        suite=root.suite,
        workshop=workshop,
        arch=root.arch,
        packages=tuple(package.format(cross=root.arch.cross) for package in packages),
        rust=has_rust,
    )


def blueprints(catalogue: Catalogue) -> Iterator[tuple[Root, Blueprint]]:
    """Yield each build root that takes a toolchain here, and that root with Rust, which takes another."""
    for root in catalogue.roots():
        for wanted in (root, root.adding(rust.PACKAGES)):
            plan = blueprint(catalogue, wanted) if root.role is Role.BUILD else None
            if plan and plan.rust is (wanted is not root):
                yield wanted, plan
