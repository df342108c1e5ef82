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
from wheelbuilder.inputs.images import Architecture, Catalogue, Compiler, Role, Root

# Raised when the way toolchains are made changes what is in them.
FORMATS = {Compiler.GCC: 2, Compiler.CLANG: 3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Blueprint:
    """A toolchain for one architecture, on this machine, made or not; families may share it.

    packages: of the workshop's suite. workshop: this machine's own build root of that suite. rust: with Rust.
    """

    compiler: Compiler
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
        """Its name for people: `bookworm-aarch64-toolchain`, `trixie-aarch64-clang`."""
        kind = {Compiler.GCC: "rust-toolchain" if self.rust else "toolchain", Compiler.CLANG: "clang"}
        return f"{self.workshop.family}-{self.arch.name}-{kind[self.compiler]}"

    @property
    def digest(self) -> str:
        """Of all that decides its content."""
        archive = self.workshop.archive
        contents = (
            FORMATS[self.compiler],
            archive,
            self.host.debian,
            self.arch.debian,
            sorted(self.packages),
        )
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
    tools = catalogue.families[root.family].toolchain
    if tools is None or is_native(root.arch) or root.arch.cross is None:
        return None
    workshop = catalogue.families[tools.family].roots.get((MACHINE, Role.BUILD))
    if workshop is None:
        return None
    has_rust = bool(tools.rust) and rust.is_for(root, workshop)
    packages = (*tools.packages, *(tools.rust if has_rust else ()))
    return Blueprint(
        compiler=tools.compiler,
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
