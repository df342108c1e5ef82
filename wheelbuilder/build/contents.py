"""Makes a Debian archive's lists of files and packages small: what builds can miss, and who has it."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

BLOCK = 1 << 22  # bytes of text that are looked at at once: the lists of a suite are 700 MB
# A first look at a line, which is quick: nine of ten are of no use.
FOLDERS = (b"usr/include/", b"usr/bin/", b"usr/sbin/", b"usr/lib/", b"bin/", b"sbin/", b"lib/")
# A line is a path, blanks, and packages with their sections: `usr/include/lber.h  libdevel/libldap-dev`.
KEPT = re.compile(
    rb"^(usr/include/[^\s]+"
    rb"|(?:usr/)?s?bin/[^\s/]+"
    rb"|(?:usr/)?lib/(?!gcc-cross/|modules/|python)(?:(?!debug/)[^\s/]+/)*"
    rb"(?:include/[^\s]+|pkgconfig/[^\s/]+\.pc|lib[^\s/]+\.(?:so|a)|[^\s/]+[Cc]onfig\.cmake)"
    rb"|usr/share/(?:[^\s/]+/)*(?:pkgconfig/[^\s/]+\.pc|[^\s/]+[Cc]onfig\.cmake))[ \t]+(\S+)$",
    re.MULTILINE,
)
FIELDS = (b"Package", b"Provides", b"Depends", b"Pre-Depends")
VERSION = re.compile(rb"-?(\d+)(?:\.\d+)*(?=-|$)")
SECTION = re.compile(rb"(?<![^,])[^,/]+(?:/[^,/]+)?/(?=[^,/]+(?:,|$))")


def write_files(sources: Iterable[Path], target: Path) -> None:
    """Write the paths that matter of several Contents lists (gzip), one `path<tab>package,package` a line."""
    with gzip.open(target, "wb", compresslevel=6) as out:
        for source in sources:
            with gzip.open(source, "rb") as text:
                for block in blocks(text):
                    found = KEPT.findall(_promising(block))
                    out.writelines(b"%b\t%b\n" % (path, SECTION.sub(b"", names)) for path, names in found)


def _promising(block: bytes) -> bytes:
    return b"\n".join(
        line
        for line in block.split(b"\n")
        if line.startswith(FOLDERS) or b"/pkgconfig/" in line or b"onfig.cmake" in line
    )


def write_packages(sources: Iterable[Path], target: Path) -> None:
    """Write the names of the packages of several Packages lists, and those they provide.

    A line is `name<tab>number<tab>general`: how many packages depend on it, which tells the common one
    of several, and the package that stands for it in every release, if one does: libboost-dev for
    libboost1.74-dev.
    """
    names: set[bytes] = set()
    dependents: Counter[bytes] = Counter()
    general: dict[bytes, bytes] = {}
    for package, field, value in _fields(sources):
        if field == b"Package":
            names.add(package)
        elif field == b"Provides":
            names.update(_related(value))
        else:
            related = _related(value)
            dependents.update(related)
            general |= {name: package for name in related if package in _generalized(name)}
    with gzip.open(target, "wb", compresslevel=6) as out:
        out.writelines(
            b"%b\t%d\t%b\n" % (name, dependents[name], general.get(name, b"")) for name in sorted(names)
        )


def _fields(sources: Iterable[Path]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield package, field and value of the fields that matter."""
    package = b""
    for source in sources:
        with source.open("rb") as lines:
            for line in lines:
                field, _, value = line.partition(b": ")
                if field == b"Package":
                    package = value.strip()
                if field in FIELDS:
                    yield package, field, value


def _generalized(name: bytes) -> tuple[bytes, ...]:
    """Return a name without its version, and with the first number of it only."""
    return VERSION.sub(b"", name), VERSION.sub(rb"\1", name)


def _related(value: bytes) -> set[bytes]:
    """Return the names of a relationship field (Debian policy 7.1): `a (>= 1), b:any | c`."""
    alternatives = value.replace(b"|", b",").split(b",")
    return {re.split(rb"[\s(:\[]", text.strip(), maxsplit=1)[0] for text in alternatives}


def blocks(text: gzip.GzipFile) -> Iterator[bytes]:
    """Yield a file's text in blocks of whole lines."""
    rest = b""
    while block := text.read(BLOCK):
        whole, newline, after = block.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = after
        else:
            rest += block
    if rest:
        yield rest
