"""Give up a channel whose head and commits are lost: what is left of it says nothing of what it held."""

from __future__ import annotations

from contextlib import suppress
from operator import attrgetter

from wheelbuilder.errors import ConfigurationError, IntegrityError, UnreachableError
from wheelbuilder.mirror.layout import check_channel, experience_key, head_key, offer_key
from wheelbuilder.mirror.read import kept_numbers, read_head, read_history
from wheelbuilder.mirror.store import Listed, Store


def remains(store: Store, channel: str) -> tuple[Listed, ...]:
    """Return what is left of a channel: pages, snapshots, what is remembered of it, and what cannot be read.

    Raises ConfigurationError where nothing is left, and where a head or a commit can still be read.
    """
    prefixes = (f"channels/{check_channel(channel)}/", offer_key(channel), experience_key(channel))
    left = [listed for prefix in prefixes for listed in store.list(prefix)]
    if not left:
        raise ConfigurationError(f"{store.address} has nothing of a channel {channel!r}.", "Check the name.")
    if _is_alive(store, channel):  # after the listing: a head that is published meanwhile is not in it
        raise ConfigurationError(
            f"{channel} is not lost: a head or a commit of it can be read.",
            "'wheelbuilder remove' takes wheels off it, 'wheelbuilder audit --repair' restores a head.",
        )
    return tuple(sorted(left, key=attrgetter("key")))


def give_up(store: Store, channel: str) -> tuple[Listed, ...]:
    """Delete what is left of a channel and return it; errors as for `remains`.

    A later prune deletes the wheels that no other channel has.
    """
    with store.exclusive():
        left = remains(store, channel)
        store.delete([listed.key for listed in left])
        store.barrier()
        if store.exists(head_key(channel)):
            raise UnreachableError(
                f"{store.address}: {channel} was published to meanwhile, and may lack pages.",
                "Run 'wheelbuilder audit --repair'.",
            )
    return left


def _is_alive(store: Store, channel: str) -> bool:
    with suppress(IntegrityError):
        if read_head(store, channel).commit.number:
            return True
    return any(_is_readable(store, channel, number) for number in kept_numbers(store, channel))


def _is_readable(store: Store, channel: str, number: int) -> bool:
    with suppress(IntegrityError):
        return read_history(store, channel, number) is not None
    return False
