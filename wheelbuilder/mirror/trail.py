"""What changed in a channel of late, kept with its head: so is known what a late writer can have undone.

A page is written over the one that was there, by its ETag. That does not help where a page has become again
what it was before: a writer that was overtaken, and dies when it has put its own page there, has changed it
unseen. Nor does it help where a page was deleted, for deleting has no conditions. Neither can befall pages
that only grow, nor those that nobody else has changed for as long as a writer may be on its way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from packaging.utils import NormalizedName

from wheelbuilder.mirror.commits import ROOT, Commit, touched
from wheelbuilder.mirror.states import timestamp

MEMORY = timedelta(hours=6)  # for which a writer that was overtaken may be on its way, since it began


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """One project. time: of its last change, RFC 3339. again: it had changed before that.

    grown: all that these changes did to its pages was to add files, which nothing can bring back.
    """

    time: str
    again: bool = False
    grown: bool = False


Trail = Mapping[str, Trace]  # by project, and ROOT


def extended(
    trail: Trail, old: Commit, new: Commit, now: datetime, grown: Collection[NormalizedName] = ()
) -> Trail:
    """Return the trail of a commit that follows another. grown: projects to which files were only added.

    Those that were not there before have grown, too.
    """
    roots = old.gap <= new.gap and old.projects.keys() <= new.projects.keys()
    added = new.projects.keys() - old.projects.keys()
    return _with(trail, touched(new, old), {*grown, *added, *([ROOT] if roots else [])}, now)


def with_lost(trail: Trail, names: Iterable[str], now: datetime) -> Trail:
    """Return a trail on which pages of these projects are about to be deleted."""
    return _with(trail, names, (), now)


def recent(trail: Trail, now: datetime) -> Trail:
    """Return what of a trail is not so long ago that nobody who knew it otherwise can be on the way."""
    return {name: it for name, it in trail.items() if now - datetime.fromisoformat(it.time) < MEMORY}


def doubtful(trail: Trail) -> frozenset[str]:
    """Return the projects, and ROOT, on whose pages an overtaken writer may have had the last word."""
    return frozenset(name for name, trace in trail.items() if trace.again and not trace.grown)


def _with(trail: Trail, names: Iterable[str], grown: Collection[str], now: datetime) -> Trail:
    known = recent(trail, now)
    new = {
        name: Trace(
            time=timestamp(now),
            again=name in known,
            grown=name in grown and (name not in known or known[name].grown),
        )
        for name in names
    }
    return {**known, **dict(sorted(new.items()))}
