"""Targets (Python x architecture x libc policy): their names, wheel tags and marker environments.

Everything is computed from the name, so a plan for a foreign architecture needs no such machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from packaging.tags import Tag, compatible_tags, cpython_tags

NAME = re.compile(
    r"cp(?P<major>3)(?P<minor>[0-9]+)-(?P<libc>manylinux|musllinux)_(?P<x>[0-9]+)_(?P<y>[0-9]+)_(?P<arch>[a-z0-9_]+)"
)
# PEP 600, "Legacy manylinux tags": the older names of three policies.
LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
# PEP 513, 571 and 599 name the architectures their policy exists for.
OLDEST_GLIBC = {"x86_64": (2, 5), "i686": (2, 5)}
MANYLINUX2014 = (2, 17)


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Target:
    """What a wheel must run on, written like `cp311-manylinux_2_28_aarch64`.

    `full_version` is the patch release that markers and Requires-Python are evaluated with: the one
    of the target's root, as the image table gives it.
    """

    python: tuple[int, int]
    libc: str  # manylinux (glibc) or musllinux (musl)
    libc_version: tuple[int, int]
    arch: str  # as in platform tags and `uname -m`: x86_64, aarch64, ...
    full_version: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str, full_version: str = "") -> Target:
        """Read a target's name; a ValueError says what a name looks like."""
        match = NAME.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is not a target; one looks like cp311-manylinux_2_28_aarch64")
        python = (int(match["major"]), int(match["minor"]))
        return cls(
            python=python,
            libc=match["libc"],
            libc_version=(int(match["x"]), int(match["y"])),
            arch=match["arch"],
            full_version=full_version or f"{python[0]}.{python[1]}.0",
        )

    def __str__(self) -> str:
        return f"{self.interpreter}-{self.platform}"

    @property
    def interpreter(self) -> str:
        """The interpreter tag, such as `cp311`."""
        return f"cp{self.python[0]}{self.python[1]}"

    @property
    def policy(self) -> str:
        """The libc policy, such as `manylinux_2_28`."""
        return f"{self.libc}_{self.libc_version[0]}_{self.libc_version[1]}"

    @property
    def platform(self) -> str:
        """The platform tag a wheel built for this target may have at the most."""
        return f"{self.policy}_{self.arch}"

    @property
    def tags(self) -> frozenset[Tag]:
        """Every tag a consumer on this target accepts, without `linux_*`, which a mirror never serves."""
        return _tags(self)

    @property
    def soabi(self) -> str:
        """What stands between name and `.so` in this target's extension modules (PEP 3149)."""
        return f"cpython-{self.python[0]}{self.python[1]}"

    def marker_environment(self) -> dict[str, str]:
        """Return the PEP 508 environment of the target, whatever the host is."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full_version,
            "os_name": "posix",
            "platform_machine": self.arch,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full_version,
            "python_version": f"{self.python[0]}.{self.python[1]}",
            "sys_platform": "linux",
        }


def platform_tags(libc: str, version: tuple[int, int], arch: str) -> Iterator[str]:
    """Yield the platform tags that a system of this libc accepts, best first (PEP 600, PEP 656)."""
    major, minor = version
    if libc == "musllinux":
        yield from (f"musllinux_{major}_{older}_{arch}" for older in range(minor, -1, -1))
        return
    oldest = OLDEST_GLIBC.get(arch, MANYLINUX2014)
    for older in range(minor, oldest[1] - 1, -1):
        yield f"manylinux_{major}_{older}_{arch}"
        if (major, older) in LEGACY:
            yield f"{LEGACY[major, older]}_{arch}"


@cache
def _tags(target: Target) -> frozenset[Tag]:
    platforms = list(platform_tags(target.libc, target.libc_version, target.arch))
    return frozenset(
        (
            *cpython_tags(target.python, [target.interpreter], platforms),
            *compatible_tags(target.python, target.interpreter, platforms),
        )
    )
