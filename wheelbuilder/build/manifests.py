"""Pushing roots to a registry: an image for each architecture, and one manifest list for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from wheelbuilder.build import process
from wheelbuilder.build.engine import TRANSFER_TIMEOUT, Engine, on_loopback
from wheelbuilder.build.roots import PREFIX, ensure
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Root


def push(
    engine: Engine,
    roots: Sequence[Root],
    registry: str,
    *,
    log: Path,
    report: Callable[[str], None] = lambda _: None,
) -> str:
    """Push roots of one family and role, each for another architecture; return the list's reference.

    registry: host and path, as in `registry.example.org/wheels`. Raises UnreachableError.
    """
    listed = f"{registry}/{roots[0].family}-{roots[0].role}:latest"
    images = []
    try:
        for root in roots:
            local = ensure(engine, root, log=log, report=report)
            images.append(f"{registry}/{root.tag.removeprefix(PREFIX)}")
            report(f"pushing {images[-1]}")
            _push_image(engine, local, images[-1])
        _push_list(engine, listed, images)
    finally:
        for image in images:  # only the name: the root keeps its own
            process.run((engine.name, "rmi", image), timeout=120, tidying=True)
    return listed


def _push_image(engine: Engine, local: str, remote: str) -> None:
    engine.call("tag", local, remote)
    done = engine.transfer("push", remote)
    if not done.ok:
        words = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise UnreachableError(f"{remote} cannot be pushed: {words}", "Check the registry and the login.")


def _push_list(engine: Engine, listed: str, images: Sequence[str]) -> None:
    _forget(engine, listed)
    try:
        for command in commands(engine, listed, images):
            engine.call(*command, timeout=TRANSFER_TIMEOUT, network=True)
    finally:
        _forget(engine, listed)


def _forget(engine: Engine, listed: str) -> None:
    process.run((engine.name, "manifest", "rm", listed), timeout=60, tidying=True)


def commands(engine: Engine, listed: str, images: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the engine's commands that make a manifest list of pushed images and push it."""
    plain = engine.kind.plain_list if on_loopback(listed) else ()
    several = {"{images}": tuple(images), "{plain}": plain}
    for command in engine.kind.list_commands:
        for image in images if any("{image}" in word for word in command) else images[:1]:
            yield tuple(
                filled.format(list=listed, image=image)
                for word in command
                for filled in several.get(word, (word,))
            )
