"""The image table (`containers/images.toml`): which root serves a target, and what an architecture is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.inputs.near import did_you_mean
from wheelbuilder.inputs.tables import Table, read_toml
from wheelbuilder.inputs.targets import Target

ROOT_FORMAT = 1  # raised when the way roots are made changes what is in them
POLICY = re.compile(r"(manylinux|musllinux)_[0-9]+_[0-9]+")
PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")
DISTRIBUTION = re.compile(r"[a-z]+(?:-[0-9]+(?:\.[0-9]+)*)?")
INTERPRETER = re.compile(r"cp3[0-9]+")
APT_SOURCE = re.compile(r"deb (?:\[[^\]\n]+\] )?[a-z]+:\S+ \S+(?: \S+)+")  # sources.list(5), one line
PACKAGE = re.compile(r"(?:[a-z0-9]|\{cross\})(?:[a-z0-9+.:-]|\{cross\})*")
TRIPLE = re.compile(r"[a-z0-9_]+(?:-[a-z0-9_]+)+")


class Role(StrEnum):
    """What a root is for: building wheels, or trying them where nothing but Python is installed."""

    BUILD = "build"
    BARE = "bare"


class Source(StrEnum):
    """Where the roots of a family come from."""

    ARCHIVE = "archive"  # made here from a Debian archive
    REGISTRY = "registry"  # pulled by digest


class Compiler(StrEnum):
    """Which compiler a native toolchain has."""

    GCC = "gcc"  # the archive's own, for another architecture
    CLANG = "clang"  # which uses what an image's GCC has


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One row of `[architectures]`. `name` is the machine as in platform tags."""

    name: str
    debian: str  # the Debian architecture
    oci: str  # the architecture in `--platform linux/…`
    multiarch: str  # the Debian multiarch triplet
    elf_machine: str  # e_machine as pyelftools names it: EM_AARCH64
    elf_bits: int
    little_endian: bool
    uv: (
        str | None
    )  # what uv calls it in --python-platform, with {major} and {minor} of the glibc, if it knows it
    cross: str | None  # what Debian's cross compilers for it are called: gcc-{cross}
    rust: str | None  # the target triple of Rust


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A CPython inside a family's roots."""

    path: str
    version: str  # the full version: markers and Requires-Python of its targets use it


@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """A root file system: of one family, for one architecture, in one role.

    digest: of everything that says what is in it; for an image taken as it is, its own. distribution: as in
    `debian-12`, of which bindep files speak; "" where the table does not say.
    """

    family: str
    source: Source
    arch: Architecture
    role: Role
    digest: str
    distribution: str = ""
    suite: str = ""  # archive families: the suite and the packages to install
    packages: tuple[str, ...] = ()
    apt_sources: tuple[str, ...] = ()  # archive families: where from, in place of the archive's usual places
    image: str = ""  # registry families: the pinned reference
    hidden: tuple[str, ...] = ()  # registry families: folders that a bare root must not show

    @property
    def name(self) -> str:
        """Its name for people: `bookworm-aarch64-build`."""
        return f"{self.family}-{self.arch.name}-{self.role}"

    @property
    def tag(self) -> str:
        """The local image name that this root is cached under."""
        return f"localhost/wheelbuilder/{self.family}-{self.role}:{self.arch.name}-{self.digest[:16]}"

    @property
    def archive(self) -> str:
        """The suite, with a mark of the places that it is taken from where the table names them."""
        mark = hashlib.sha256(json.dumps(self.apt_sources).encode()).hexdigest()[:16]
        return f"{self.suite}-{mark}" if self.apt_sources else self.suite

    def adding(self, packages: Iterable[str]) -> Root:
        """Return this root with more system packages in it; itself where they bring nothing new."""
        more = tuple(sorted(set(packages) - set(self.packages)))
        return _with_digest(replace(self, packages=(*self.packages, *more))) if more else self


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeTools:
    """What the native toolchains of a family are made of.

    family: the archive family whose suite has the packages; packages: with {cross} of the architecture that
    they are for. rust: what is added to them for roots that have Rust.
    """

    compiler: Compiler
    family: str
    packages: tuple[str, ...]
    rust: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Roots of one libc policy for several architectures and Pythons. toolchain: None for none."""

    name: str
    source: Source
    policy: str
    pythons: dict[str, Interpreter]  # by interpreter tag
    roots: dict[tuple[str, Role], Root]  # by architecture name and role
    toolchain: NativeTools | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target this family serves."""
        return tuple(
            Target.parse(f"{python}-{self.policy}_{arch}", interpreter.version)
            for arch in dict.fromkeys(arch for arch, _ in self.roots)
            for python, interpreter in self.pythons.items()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """The whole image table."""

    architectures: dict[str, Architecture]
    families: dict[str, Family]

    @classmethod
    def read(cls, path: Path) -> Catalogue:
        """Read `images.toml`; a ConfigurationError names the key that is wrong."""
        return cls.parse(read_toml(path))

    @classmethod
    def parse(cls, table: Table) -> Catalogue:
        """Read the parsed image table."""
        architectures = {name: _architecture(name, row) for name, row in table.tables("architectures")}
        families = {name: _family(name, row, architectures) for name, row in table.tables("families")}
        table.done()
        catalogue = cls(architectures=architectures, families=families)
        catalogue._refuse_rivals(table.where)
        catalogue._refuse_unknown_suites(table.where)
        return catalogue

    def target(self, text: str) -> Target:
        """Return the target of this name, with the full Python version of its root.

        Raises ConfigurationError when no family serves it.
        """
        known = {str(target): target for target in self.targets}
        if text not in known:
            every = "`wheelbuilder images targets` lists all; a new one is a row in images.toml."
            raise ConfigurationError(
                f"No family in the image table serves the target {text!r}.",
                f"{did_you_mean(text, known)} {every}".lstrip(),
            )
        return known[text]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target that a family serves."""
        return tuple(target for family in self.families.values() for target in family.targets)

    def named(self, name: str) -> Family:
        """Return the family of this name; raises ConfigurationError where there is none."""
        if name not in self.families:
            raise ConfigurationError(
                f"The image table has no family {name!r}.", f"Choose: {', '.join(self.families)}."
            )
        return self.families[name]

    def family(self, target: Target) -> Family:
        """Return the family that serves a target."""
        for family in self.families.values():
            if target in family.targets:
                return family
        raise ConfigurationError(f"No family in the image table serves the target {target}.")

    def root(self, target: Target, role: Role) -> Root:
        """Return the root of a target in one role."""
        return self.family(target).roots[target.arch, role]

    def interpreter(self, target: Target) -> Interpreter:
        """Return the Python of a target's roots."""
        return self.family(target).pythons[target.interpreter]

    def architecture(self, target: Target) -> Architecture:
        """Return the row of a target's architecture."""
        return self.architectures[target.arch]

    def roots(self) -> Iterator[Root]:
        """Yield every root of every family."""
        for family in self.families.values():
            yield from family.roots.values()

    def _refuse_rivals(self, where: str) -> None:
        seen: dict[Target, str] = {}
        for family in self.families.values():
            for target in family.targets:
                other = seen.setdefault(target, family.name)
                if other != family.name:
                    raise ConfigurationError(
                        f"{where}: the families {other} and {family.name} both serve {target}."
                    )

    def _refuse_unknown_suites(self, where: str) -> None:
        archives = {name for name, family in self.families.items() if family.source is Source.ARCHIVE}
        for name, family in self.families.items():
            if family.toolchain and family.toolchain.family not in archives:
                raise ConfigurationError(
                    f"{where}: the toolchain of {name} is to be made of packages of"
                    f" {family.toolchain.family!r}, which is no family that is made from an archive."
                )


def default_path() -> Path:
    """Return the image table of this installation: in a wheel beside the modules, in a checkout above."""
    package = Path(__file__).resolve().parent.parent
    packaged = package / "containers" / "images.toml"
    return packaged if packaged.exists() else package.parent / "containers" / "images.toml"


def _architecture(name: str, row: Table) -> Architecture:
    elf = row.table("elf")
    architecture = Architecture(
        name=name,
        debian=row.get("debian", str),
        oci=row.get("oci", str),
        multiarch=row.get("multiarch", str),
        elf_machine=elf.get("machine", str),
        elf_bits=elf.get("bits", int),
        little_endian=elf.get("little-endian", bool),
        uv=row.optional("uv", str),
        cross=row.optional("cross", str),
        rust=row.optional("rust", str),
    )
    if architecture.rust is not None and not TRIPLE.fullmatch(architecture.rust):
        raise row.error("rust", f"must look like s390x-unknown-linux-gnu, not {architecture.rust!r}")
    elf.done()
    row.done()
    return architecture


def _family(name: str, row: Table, architectures: dict[str, Architecture]) -> Family:
    source = row.choice("source", Source)
    policy = row.get("policy", str)
    if not POLICY.fullmatch(policy):
        raise row.error("policy", f"must look like manylinux_2_28, not {policy!r}")
    pythons = dict(_interpreter(*item) for item in row.tables("pythons"))
    if source is Source.ARCHIVE:
        packages = row.table("packages")
        found = tuple(_archive_roots(name, row, packages, architectures))
        toolchain = _archive_toolchain(name, packages)
        packages.done()
    else:
        toolchain = _toolchain(row.table("toolchain")) if "toolchain" in row else None
        found = tuple(_registry_roots(name, row, architectures))
    row.done()
    roots = {(root.arch.name, root.role): root for root in found}
    return Family(name=name, source=source, policy=policy, pythons=pythons, roots=roots, toolchain=toolchain)


def _archive_toolchain(family: str, packages: Table) -> NativeTools | None:
    native, rust = (_packages(packages, key, ()) for key in ("toolchain", "rust-toolchain"))
    if not native:
        return None
    return NativeTools(compiler=Compiler.GCC, family=family, packages=native, rust=rust)


def _toolchain(row: Table) -> NativeTools:
    tools = NativeTools(
        compiler=row.choice("compiler", Compiler),
        family=row.get("family", str),
        packages=_packages(row, "packages"),
    )
    if tools.compiler is not Compiler.CLANG:
        raise row.error("compiler", "must be clang: an archive has no GCC that makes what an image's does")
    row.done()
    return tools


def _packages(row: Table, key: str, *default: tuple[str, ...]) -> tuple[str, ...]:
    names = row.strings(key, *default)
    if wrong := [name for name in names if not PACKAGE.fullmatch(name)]:
        raise row.error(key, f"must name packages, such as 'make' or 'gcc-{{cross}}', not {wrong[0]!r}")
    return names


def _interpreter(name: str, row: Table) -> tuple[str, Interpreter]:
    if not INTERPRETER.fullmatch(name):
        raise ConfigurationError(f"{row.where}: an interpreter tag looks like cp311.")
    interpreter = Interpreter(path=row.get("path", str), version=row.get("version", str))
    row.done()
    return name, interpreter


def _archive_roots(
    name: str, row: Table, packages: Table, architectures: dict[str, Architecture]
) -> Iterator[Root]:
    suite, distribution = row.get("suite", str), _distribution(row)
    chosen = {role: packages.strings(role.value) for role in Role}
    archs = row.strings("architectures")
    sources = _apt_sources(row.table("apt-sources"), archs)
    for arch in archs:
        for role in Role:
            root = Root(
                family=name,
                source=Source.ARCHIVE,
                arch=_known(arch, row, architectures),
                role=role,
                digest="",
                distribution=distribution,
                suite=suite,
                packages=chosen[role],
                apt_sources=sources.get(arch, ()),
            )
            yield _with_digest(root)


def _apt_sources(row: Table, archs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the lines of sources.list for each architecture that has its own."""
    lines = {arch: row.strings(arch) for arch in archs if arch in row}
    for arch, line in ((arch, line) for arch, each in lines.items() for line in each):
        if not APT_SOURCE.fullmatch(line):
            raise row.error(
                arch, f"must look like 'deb https://mirror.example.org/debian trixie main', not {line!r}"
            )
    row.done()
    return lines


def _registry_roots(name: str, row: Table, architectures: dict[str, Architecture]) -> Iterator[Root]:
    hidden, distribution = row.strings("bare-hides", ()), _distribution(row)
    for arch, image in row.mapping("images").items():
        if not PINNED.fullmatch(image):
            raise row.error(f"images.{arch}", "must be pinned by digest", "Write registry/name@sha256:….")
        for role in Role:
            root = Root(
                family=name,
                source=Source.REGISTRY,
                arch=_known(arch, row, architectures),
                role=role,
                digest=image.rpartition(":")[2],
                distribution=distribution,
                image=image,
                hidden=hidden if role is Role.BARE else (),
            )
            yield _with_digest(root) if root.hidden else root


def _distribution(row: Table) -> str:
    text = row.get("distribution", str, "")
    if text and not DISTRIBUTION.fullmatch(text):
        raise row.error("distribution", f"must look like debian-12, not {text!r}")
    return text


def _known(arch: str, row: Table, architectures: dict[str, Architecture]) -> Architecture:
    if arch not in architectures:
        raise row.error("architectures", f"names {arch!r}, which has no row in [architectures]")
    return architectures[arch]


def _with_digest(root: Root) -> Root:
    # Only what decides the content: a new word in a row of the table is no reason to make all roots again.
    names = sorted(set(root.packages))
    contents = (ROOT_FORMAT, root.archive, root.arch.debian, root.role, names, root.image, root.hidden)
    digest = hashlib.sha256(json.dumps(contents).encode()).hexdigest()
    return replace(root, digest=digest)
