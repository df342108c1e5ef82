"""Which architectures this kernel can run: its own, and those that binfmt_misc hands to an interpreter."""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.enums import ENUM_E_MACHINE

from wheelbuilder.inputs.images import Architecture

BINFMT = Path("/proc/sys/fs/binfmt_misc")
ET_EXEC = 2
MACHINE = platform.machine()
# What a 64-bit kernel also runs by itself.
ALSO_RUNS = {"x86_64": ("i686",)}
# By architecture, as OCI names it. Pointer authentication, which qemu-user (6.0 and later) can leave out, is
# hashing in software: most of what a program costs that signs its return addresses, as all of Debian 13's do.
SETTINGS = {"arm64": {"QEMU_CPU": "max,pauth=off"}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """One registration (Documentation/admin-guide/binfmt-misc.rst of the kernel)."""

    name: str
    path: Path
    fixed: bool  # flag F: opened at registration, so that it also works in other roots
    magic: bytes
    mask: bytes

    def takes(self, header: bytes) -> bool:
        """Say whether the kernel would hand a file that begins so to this interpreter."""
        return all(
            (got ^ want) & mask == 0 for got, want, mask in zip(header, self.magic, self.mask, strict=False)
        )


def header(arch: Architecture) -> bytes:
    """Return the first 20 bytes of an executable of an architecture (ELF header, up to e_machine)."""
    order = "<" if arch.little_endian else ">"
    ident = (
        b"\x7fELF" + bytes((2 if arch.elf_bits == 64 else 1, 1 if arch.little_endian else 2, 1)) + bytes(9)
    )
    return ident + struct.pack(f"{order}HH", ET_EXEC, ENUM_E_MACHINE[arch.elf_machine])


def is_native(arch: Architecture, machine: str = MACHINE) -> bool:
    """Say whether a machine, as `uname -m` calls it, runs an architecture by itself."""
    return arch.name == machine or arch.name in ALSO_RUNS.get(machine, ())


def settings(oci: str, machine: str = MACHINE) -> dict[str, str]:
    """Return the variables with which a machine's emulator takes the least time. oci: the architecture."""
    return {} if (oci, machine) == ("arm64", "aarch64") else SETTINGS.get(oci, {})


def interpreters(folder: Path = BINFMT) -> Iterator[Interpreter]:
    """Yield the enabled registrations by magic number; none where binfmt_misc is not mounted."""
    for path in sorted(folder.glob("*")):
        if path.name not in ("register", "status"):
            found = _parse(path.name, path.read_text(encoding="utf-8", errors="replace"))
            if found:
                yield found


def interpreter(arch: Architecture, folder: Path = BINFMT) -> Interpreter | None:
    """Return what runs programs of an architecture that is not the machine's own."""
    return next((found for found in interpreters(folder) if found.takes(header(arch))), None)


def _parse(name: str, text: str) -> Interpreter | None:
    lines = text.splitlines()
    values = dict(line.partition(" ")[::2] for line in lines)
    if "enabled" not in lines or "magic" not in values:
        return None
    magic = bytes.fromhex(values["magic"])
    return Interpreter(
        name=name,
        path=Path(values["interpreter"]),
        fixed="F" in values.get("flags:", ""),
        magic=magic,
        mask=bytes.fromhex(values["mask"]) if "mask" in values else b"\xff" * len(magic),
    )
