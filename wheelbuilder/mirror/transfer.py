"""Carries objects from one store to another, several at a time; what is damaged does not spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from wheelbuilder.build import scratch
from wheelbuilder.mirror.documents import is_sealed
from wheelbuilder.mirror.layout import cache_control, content_type
from wheelbuilder.mirror.promised import named
from wheelbuilder.mirror.store import Listed, Store, each
from wheelbuilder.mirror.wheels import file_digest

REMEMBERED = ("experience/", "offers/")  # a document a channel; the destination's own runs write them too
AT_ONCE = 64  # objects between two looks at the progress

Progress = Callable[[int, int], None]  # bytes carried, bytes in all


class Fate(Enum):
    """What became of an object that was to be carried."""

    COPIED = auto()
    DAMAGED = auto()  # not what its digest says, and left out
    GONE = auto()  # no more in the source


@dataclass(kw_only=True, slots=True)
class Counted:
    """How far it is, in bytes."""

    total: int
    progress: Progress
    done: int = 0

    def add(self, carried: Iterable[Listed]) -> None:
        """Tell of objects that are done."""
        self.done += sum(listed.size for listed in carried)
        self.progress(self.done, self.total)


def carry(
    source: Store,
    destination: Store,
    objects: Sequence[Listed],
    counted: Counted,
    expected: Mapping[str, str],
) -> Mapping[Fate, tuple[str, ...]]:
    """Copy objects; returns their keys by what became of each. expected: digests that keys do not name."""
    fates: dict[Fate, list[str]] = {fate: [] for fate in Fate}
    with scratch.temporary("sync") as folder:
        for start in range(0, len(objects), AT_ONCE):
            batch = objects[start : start + AT_ONCE]
            keys = [listed.key for listed in batch]
            paths = [Path(folder, str(number)) for number in range(len(batch))]
            wanted = [named(key) or expected.get(key) for key in keys]
            ends = each(lambda it: _carry(source, destination, *it), zip(keys, paths, wanted, strict=True))
            for key, fate in zip(keys, ends, strict=True):
                fates[fate].append(key)
            counted.add(batch)
    return {fate: tuple(found) for fate, found in fates.items()}


def _carry(source: Store, destination: Store, key: str, path: Path, wanted: str | None) -> Fate:
    if not source.download(key, path):
        return Fate.GONE
    whole = file_digest(path) == wanted if wanted else _is_readable(key, path)
    if whole:
        destination.put(key, path, content_type=content_type(key), cache_control=cache_control(key))
    path.unlink()
    return Fate.COPIED if whole else Fate.DAMAGED


def _is_readable(key: str, path: Path) -> bool:
    return not key.startswith(REMEMBERED) or is_sealed(path.read_bytes())
