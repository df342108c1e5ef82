"""Debian alternatives without running anything: maintainer scripts read as text, links made by ourselves."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CONTINUED = re.compile(r"\\\n\s*")
CALL = re.compile(r"^\s*update-alternatives\s.*--install\s.*$", re.MULTILINE)
DOCUMENTATION = ("/usr/share/man/", "/usr/share/info/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Alternative:
    """One link that a package offers: `link` shall lead to `path`; the highest priority wins."""

    link: str
    path: str
    priority: int


def alternatives(scripts: Iterable[str]) -> tuple[Alternative, ...]:
    """Return for each link the best offer of all postinst scripts (update-alternatives(1), --install).

    Calls with shell variables in them are left out: nothing here is run to find their values.
    """
    best: dict[str, Alternative] = {}
    for script in scripts:
        for offer in _offers(script):
            if offer.link not in best or offer.priority > best[offer.link].priority:
                best[offer.link] = offer
    return tuple(best.values())


def make_links(root: Path, offers: Iterable[Alternative]) -> None:
    """Make the links below a root, relative, so that they also lead somewhere when read from outside.

    A link that is there already, and one that would lead nowhere, is left alone.
    """
    root = root.resolve()  # the cache may lie behind a link
    for offer in offers:
        link, path = root / offer.link.lstrip("/"), root / offer.path.lstrip("/")
        if os.path.lexists(link) or not os.path.lexists(path):
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        # From the real folder: /lib/cpp lies in usr/lib where /usr is merged.
        link.symlink_to(os.path.relpath(path, link.parent.resolve()))


def _offers(script: str) -> Iterator[Alternative]:
    for call in CALL.findall(CONTINUED.sub(" ", script)):
        try:
            words = shlex.split(call.partition(";")[0], comments=True)
        except ValueError:
            continue  # a quote that ends on another line: not a plain call
        yield from _parse(words)


def _parse(words: list[str]) -> Iterator[Alternative]:
    at = words.index("--install") if "--install" in words else len(words)
    if len(words) < at + 5 or not words[at + 4].isdigit():
        return
    priority = int(words[at + 4])
    pairs = [(words[at + 1], words[at + 3])]
    for index, word in enumerate(words):
        if word == "--slave" and len(words) > index + 3:
            pairs.append((words[index + 1], words[index + 3]))
    for link, path in pairs:
        if link.startswith("/") and "$" not in link + path and not link.startswith(DOCUMENTATION):
            yield Alternative(link=link, path=path, priority=priority)
