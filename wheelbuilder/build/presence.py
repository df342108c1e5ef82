"""Whether a root has what a build says is missing: then it is not the root that is to blame."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from wheelbuilder.build.missing import Missing
from wheelbuilder.build.providers import patterns

# Below these lies all that a build may miss; the rest of a root need not be walked.
FOLDERS = (
    *("usr/bin", "usr/sbin", "bin", "sbin", "usr/include", "usr/lib", "usr/lib64", "lib", "lib64"),
    *("usr/share/pkgconfig", "usr/share/cmake", "usr/local", "opt"),
)


def has_all(root: Path, wanted: Iterable[Missing]) -> bool:
    """Say whether a root has each of these under its own name, wherever that is."""
    left = {re.compile(b"(?:%b)$" % patterns(each)[0]) for each in wanted}
    for path in _paths(root):
        left -= {expression for expression in left if expression.search(path)}
        if not left:
            return True
    return not left


def _paths(root: Path) -> Iterator[bytes]:
    for top in (root / folder for folder in FOLDERS):
        if not top.is_symlink():  # it leads to another of these, or out of the root
            for place, _, names in os.walk(os.fsencode(top)):
                yield from (b"%b/%b" % (place, name) for name in names)
