"""Restore records of builds from those of runs; what is damaged and cannot be restored is removed."""

from __future__ import annotations

from collections.abc import Collection

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.audit_findings import silent
from wheelbuilder.mirror.audit_records import documents, outcomes
from wheelbuilder.mirror.documents import readable
from wheelbuilder.mirror.layout import MARKS_KEY
from wheelbuilder.mirror.marks import read_marks
from wheelbuilder.mirror.repair_deeds import Deed, Repairs, write

WORDS = {
    "records": "cannot be restored: how this was built is not known any more",
    "runs": "cannot be restored: what this run did is not known any more",
    "logs": "cannot be restored: build again to have a log",
    "sdists": "cannot be restored: build again to keep the source",
}


def restore_marks(repairs: Repairs) -> None:
    """Remove the marks of a prune if they are damaged: whatever is written again asks them first."""
    try:
        read_marks(repairs.store)
    except IntegrityError:
        repairs.store.delete([MARKS_KEY])
        words = "the next prune marks again, and its grace period begins anew"
        repairs.note(MARKS_KEY, Deed.REMOVED, words)


def restore_records(repairs: Repairs, keys: Collection[str]) -> None:
    """Write records again, remove what else is damaged, and say what is lost."""
    store = repairs.store
    copies = {}
    if any(key.startswith("records/") for key in keys):
        sizes = {listed.key: listed.size for listed in store.list("runs/")}
        copies = outcomes(documents(store, "runs/", sizes, silent)[0])
    for key in sorted(keys):
        if key in copies:
            write(store, key, readable(copies[key]))
            repairs.note(key, Deed.RESTORED, "from the record of its run")
        elif key.startswith("offers/"):
            store.delete([key])
            repairs.note(key, Deed.REMOVED, "the next run that changes anything makes it again")
        elif key.startswith("experience/"):
            store.delete([key])
            repairs.note(key, Deed.REMOVED, "what failed is tried again once, and the runs make it again")
        elif words := WORDS.get(key.partition("/")[0]):
            store.delete([key])
            repairs.note(key, Deed.LOST, words)
