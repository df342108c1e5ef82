"""Write pages again: those of the head, those of snapshots, and the list of snapshots."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror import pages
from wheelbuilder.mirror.audit_look import Look
from wheelbuilder.mirror.audit_snapshots import taken, wanted_pages
from wheelbuilder.mirror.layout import commit_key, snapshot_prefix, snapshots_key, snapshots_prefix
from wheelbuilder.mirror.pages import Page
from wheelbuilder.mirror.read import read_commit
from wheelbuilder.mirror.repair_deeds import Deed, Repairs, write
from wheelbuilder.mirror.snapshots import Snapshot, document
from wheelbuilder.mirror.states import timestamp


def restore_pages(repairs: Repairs, look: Look, keys: Collection[str]) -> None:
    """Render these pages again; those of no project, and those without files, are removed."""
    if look.head is None:
        return
    wanted = {page.key: page for page in _pages(look) if page.data is not None}
    _write(repairs, wanted, [key for key in keys if not _is_of_snapshot(look, key)], look)


def restore_snapshots(repairs: Repairs, look: Look, keys: Collection[str]) -> None:
    """Render pages of snapshots again, from the states of their commits."""
    for number, commit in look.snapshots.items():
        if commit is None and number not in look.kept:
            words = (
                f"cannot be restored; 'wheelbuilder snapshot {look.name}@{number} --remove' removes its pages"
            )
            repairs.note(commit_key(look.name, number), Deed.LOST, words)
        mine = [key for key in keys if key.startswith(snapshot_prefix(look.name, number))]
        if commit and mine:
            batches = wanted_pages(repairs.store, look.name, commit)
            wanted = {page.key: page for found, _ in batches for page in found}
            _write(repairs, wanted, mine, look)


def restore_list(repairs: Repairs, look: Look) -> None:
    """List every snapshot that has pages; when and why each was taken is lost."""
    key = snapshots_key(look.name)
    known = {number: Snapshot(number=number, time=_time(repairs, look, number)) for number in taken(look)}
    write(repairs.store, key, document(known))
    numbers = ", ".join(map(str, known)) or "none"
    words = f"lists those that have pages ({numbers}), with the times of their commits; their notes are lost"
    repairs.note(key, Deed.RESTORED, words)


def _pages(look: Look) -> Iterator[Page]:
    for state in look.states.values():
        yield from pages.project_pages(look.name, state)
    if look.head:
        yield from pages.root_pages(look.name, look.head.commit.gap, look.head.commit.projects)


def _is_of_snapshot(look: Look, key: str) -> bool:
    return key.startswith(snapshots_prefix(look.name))


def _write(repairs: Repairs, wanted: dict[str, Page], keys: Collection[str], look: Look) -> None:
    lost = look.head.commit.projects.keys() - look.states.keys() if look.head else set()
    for key in sorted(keys):
        page = wanted.get(key)
        if page:
            write(repairs.store, key, page.data or b"")
            repairs.note(key, Deed.RESTORED, "from the project's state")
        elif key.split("/")[-2] not in lost:
            repairs.store.delete([key])
            repairs.note(key, Deed.REMOVED, "it is a page of nothing")


def _time(repairs: Repairs, look: Look, number: int) -> str:
    try:
        commit = read_commit(repairs.store, look.name, number) if number else None
    except WheelbuilderError:
        commit = None
    return commit.time if commit else timestamp(repairs.now)
