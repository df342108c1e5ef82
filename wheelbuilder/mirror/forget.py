"""Forget what a list needs of a channel, once it does not run any more."""

from __future__ import annotations

from pathlib import Path

from wheelbuilder.errors import ConfigurationError
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.amend import Published
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.needs import Claim
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import gap_states
from wheelbuilder.mirror.store import Store


def forget(store: Store, channel: str, owner: str, author: Author, *, cache: Path | None = None) -> Published:
    """Drop all needs that a list has claimed; ConfigurationError where it has claimed none.

    Files that nothing else needs are not needed any more from then on.
    """
    states = gap_states(store, resolve(store, Reference(channel=channel)), cache=cache)
    owners = sorted({need.owner for state in states for need in state.needs})
    if owner not in owners:
        names = ", ".join(owners) or "none"
        raise ConfigurationError(
            f"No list {owner!r} needs anything of {channel}.", f"The lists that do: {names}."
        )
    nothing = Claim(owner=owner, branches=(), targets=(), judged=())
    held = (state.name for state in states if any(need.owner == owner for need in state.needs))
    changes = [Change(project=name, claim=nothing) for name in held]
    return publish(
        store, channel, changes, run=author.run, now=author.now, note=author.note, strict=True, cache=cache
    )
