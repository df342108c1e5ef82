"""Where auditwheel looks for libraries, in a process of its own: in one root, and never on this machine."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from auditwheel import lddtree, wheel_abi

NOWHERE = Path(os.devnull)  # a root without any library


def look_only_in(root: Path) -> None:
    """Let the rest of this process find libraries in the wheel that auditwheel has unpacked, and in a root.

    RPATH and RUNPATH name folders of the root that an object was linked in, and absolute links lead to
    files of the root they are in. auditwheel knows that of roots, but not of wheels that lie elsewhere.
    """
    top, follow = str(root.absolute()), lddtree.readlink

    def followed(path: str, _root: str, *, prefixed: bool = False) -> str:
        if path.startswith(f"{top}/"):
            return str(follow(path, top, prefixed=prefixed))
        if path.startswith(f"{Path.cwd()}/"):  # the wheel
            return str(follow(path, "/", prefixed=prefixed))
        return f"{NOWHERE}{path}"

    vars(lddtree)["readlink"] = followed
    vars(wheel_abi)["ldd"] = partial(lddtree.ldd, root=top)
