"""Says in what two wheels of one build differ, from their names down to the sections of their code."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection
from packaging.utils import parse_wheel_filename

BYTES = ("sections", "bytes")  # kinds in which wheels may differ that do the same
HIDDEN = 0x8000  # of a symbol's version index: not the default version


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One difference. kind: files, tags, metadata, needed, exported, undefined, sections or bytes."""

    kind: str
    member: str  # "" where the wheel as a whole differs
    what: str

    @property
    def matters(self) -> bool:
        """Whether a consumer may notice it: not if the same symbols are only laid out otherwise."""
        return self.kind not in BYTES

    def __str__(self) -> str:
        return f"{self.kind}: {self.member}{': ' if self.member else ''}{self.what}"


def differences(left: Path, right: Path) -> tuple[Difference, ...]:
    """Compare two wheels: file list, tags, every member's bytes, and of native code what links to it."""
    with zipfile.ZipFile(left) as one, zipfile.ZipFile(right) as other:
        names, others = (sorted(archive.namelist()) for archive in (one, other))
        return (
            *_sets("files", "", set(names), set(others)),
            *_sets("tags", "", _tags(left), _tags(right)),
            *(
                it
                for name in names
                if name in others
                and not name.endswith(".dist-info/RECORD")  # it repeats the digests of the rest
                for it in _members(name, one.read(name), other.read(name))
            ),
        )


def _tags(wheel: Path) -> set[str]:
    return {str(tag) for tag in parse_wheel_filename(wheel.name)[3]}


def _members(name: str, left: bytes, right: bytes) -> Iterator[Difference]:
    if left == right:
        return
    if left[:4] == right[:4] == b"\x7fELF":
        yield from _objects(name, ELFFile(BytesIO(left)), ELFFile(BytesIO(right)))
        return
    kind = "metadata" if ".dist-info/" in name else "bytes"
    yield from [*_sets(kind, name, _lines(left), _lines(right))] or [
        Difference(kind=kind, member=name, what="the same lines in another order")
    ]


def _objects(name: str, left: ELFFile, right: ELFFile) -> Iterator[Difference]:
    """Yield how two ELF objects that are not the same bytes differ."""
    aspects: dict[str, Callable[[ELFFile], set[str]]] = {
        "needed": _needed,
        "exported": lambda it: _symbols(it, defined=True),
        "undefined": lambda it: _symbols(it, defined=False),
    }
    for kind, read in aspects.items():
        yield from _sets(kind, name, read(left), read(right))
    sizes, others = _sections(left), _sections(right)
    for section in sorted(sizes.keys() | others.keys()):
        one, other = sizes.get(section), others.get(section)
        if one is None or other is None or len(one) != len(other):
            told = [f"{len(it)} bytes" if it is not None else "missing" for it in (one, other)]
            yield Difference(kind="sections", member=name, what=f"{section}: {told[0]}, {told[1]}")
        elif one != other:
            count = sum(a != b for a, b in zip(one, other, strict=True))
            yield Difference(kind="bytes", member=name, what=f"{section}: {count} of {len(one)} bytes")
    if sizes == others:
        yield Difference(kind="bytes", member=name, what="the headers or what lies between the sections")


def _needed(elf: ELFFile) -> set[str]:
    """Return what the dynamic section names: needed libraries, the own name and where to look."""
    dynamic = elf.get_section_by_name(".dynamic")
    tags = dynamic.iter_tags() if isinstance(dynamic, DynamicSection) else ()
    names = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}
    return {
        f"{it.entry.d_tag} {getattr(it, names[it.entry.d_tag])}" for it in tags if it.entry.d_tag in names
    }


def _symbols(elf: ELFFile, *, defined: bool) -> set[str]:
    """Return the dynamic symbols with binding, type, visibility and version."""
    table, indices = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".gnu.version")
    versions = dict(_versions(elf))
    found = set()
    for number, symbol in enumerate(table.iter_symbols() if isinstance(table, SymbolTableSection) else ()):
        if symbol.name and (symbol["st_shndx"] != "SHN_UNDEF") is defined:
            index = indices.get_symbol(number)["ndx"] if isinstance(indices, GNUVerSymSection) else None
            version = versions.get(int(index) & ~HIDDEN, "") if isinstance(index, int) else ""
            info = symbol["st_info"]
            words = (info["bind"], info["type"], symbol["st_other"]["visibility"])
            found.add(" ".join((f"{symbol.name}{version}", *words)))
    return found


def _versions(elf: ELFFile) -> Iterator[tuple[int, str]]:
    """Yield the versions of symbols by index: those that are needed of libraries, and the own ones."""
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for library, needed in section.iter_versions():
                yield from ((it["vna_other"], f"@{it.name} of {library.name}") for it in needed)
        if isinstance(section, GNUVerDefSection):
            for own, names in section.iter_versions():
                yield own["vd_ndx"], f"@{next(names).name}"


def _sections(elf: ELFFile) -> dict[str, bytes]:
    """Return the contents by name; what takes no room in the file is as many zero bytes."""
    return {
        it.name or f"number {number}": bytes(it["sh_size"]) if it["sh_type"] == "SHT_NOBITS" else it.data()
        for number, it in enumerate(elf.iter_sections())
    }


def _sets(kind: str, member: str, left: set[str], right: set[str]) -> Iterator[Difference]:
    if left != right:
        only, others = (", ".join(sorted(it)) or "nothing" for it in (left - right, right - left))
        yield Difference(
            kind=kind, member=member, what=f"only in the first: {only}; only in the second: {others}"
        )


def _lines(data: bytes) -> set[str]:
    return set(data.decode(errors="backslashreplace").splitlines())
