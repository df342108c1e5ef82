"""Check what is kept for people: records of builds and runs, logs, sources, and a prune's marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from wheelbuilder.errors import IntegrityError, WheelbuilderError
from wheelbuilder.mirror.audit_files import AT_ONCE, Memo, Sizes, Use, digests
from wheelbuilder.mirror.audit_findings import Finding, Kind, Watch, error, headers, read, remark
from wheelbuilder.mirror.audit_look import Look
from wheelbuilder.mirror.documents import REPAIR, unsealed
from wheelbuilder.mirror.layout import MARKS_KEY, SHA256, record_key, run_key
from wheelbuilder.mirror.store import Object, Store, each

RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}", re.ASCII)  # what a run calls itself; other names have no record
LOG = re.compile(r"logs/([0-9a-f]{64})\.log\.gz", re.ASCII)
SDIST = re.compile(r"sdists/([0-9a-f]{64})/[^/]+", re.ASCII)
# The value by which a document names itself, and the key that this gives:
OWNERS: dict[str, tuple[str, Callable[[str], str]]] = {
    "records": ("key", record_key),
    "runs": ("run", run_key),
}

Documents = dict[str, dict[str, Any]]


def audit_records(
    store: Store, looks: Iterable[Look], used: Mapping[str, Use], sizes: Sizes, memo: Memo, watch: Watch
) -> Iterator[Finding]:
    """Read all of it, and look in both directions: what refers to nothing there, and what nothing refers to.

    A loss here is information, unless another document can restore it: no consumer of wheels sees it.
    """
    runs, findings = documents(store, "runs/", sizes, watch)
    yield from findings
    records, findings = documents(store, "records/", sizes, watch)
    yield from findings
    yield from _missing(looks, used, runs, sizes)
    yield from _attachments(store, records, sizes, memo, watch)
    yield from _provenance(store, sizes)
    for prefix in (MARKS_KEY, "offers/", "experience/"):
        yield from documents(store, prefix, sizes, watch)[1]


def documents(store: Store, prefix: str, sizes: Sizes, watch: Watch) -> tuple[Documents, list[Finding]]:
    """Read sealed documents: those that are right, by key, and what is wrong with the others."""
    keys = sorted(key for key in sizes if key.startswith(prefix) and key.endswith(".json"))
    good: Documents = {}
    findings: list[Finding] = []
    for start in range(0, len(keys), AT_ONCE):
        batch = keys[start : start + AT_ONCE]
        for key, found in zip(batch, each(lambda key: read(store, key), batch), strict=True):
            try:
                if isinstance(found, Object):
                    good[key] = _own(unsealed(found.data, key), key)
                    findings += filter(None, [headers(key, found)])
                elif found is not None:
                    raise found
            except WheelbuilderError as damage:
                findings.append(error(key, Kind.DAMAGED, str(damage)))
        watch(prefix.rstrip("/"), start + len(batch), len(keys))
    return good, findings


def _own(document: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a document; IntegrityError if it says that it is another one's, copied to where it is."""
    name, key_of = OWNERS.get(key.partition("/")[0], ("", str))
    said = document.get(name)
    if said is not None and key_of(str(said)) != key:
        raise IntegrityError(f"{key} is that of {said}, not its own", REPAIR)
    return document


def outcomes(runs: Documents) -> dict[str, dict[str, Any]]:
    """Return the records that runs hold a copy of, by key; of several, the newest."""
    found = {}
    for name in sorted(runs):
        for outcome in runs[name].get("outcomes", ()):
            found[record_key(outcome["key"])] = outcome
    return found


def _missing(
    looks: Iterable[Look], used: Mapping[str, Use], runs: Documents, sizes: Sizes
) -> Iterator[Finding]:
    copies = outcomes(runs)
    there = {*sizes, *copies}
    for key in sorted(copies.keys() - sizes.keys()):
        yield error(key, Kind.MISSING, "is missing, but a run has a copy")
    for use in used.values():
        key = record_key(use.file.build_key or "")
        if use.file.build_key and SHA256.fullmatch(use.file.build_key) and key not in there:
            yield remark(key, Kind.MISSING, f"the record of how {use.file.filename} was built is missing")
    for look in looks:
        for run, whose in look.runs.items():
            if RUN.fullmatch(run) and run_key(run) not in sizes:
                yield remark(
                    run_key(run), Kind.MISSING, f"{whose} names this run: not ended, or its record is lost"
                )


def _attachments(
    store: Store, records: Documents, sizes: Sizes, memo: Memo, watch: Watch
) -> Iterator[Finding]:
    wanted = dict(_named(records))
    for key in sorted(wanted.keys() - sizes.keys()):
        yield remark(
            key, Kind.MISSING, f"{wanted[key]} names it, but it is missing, and nothing can restore it"
        )
    stored = {key: match[1] for key in sizes if (match := LOG.fullmatch(key) or SDIST.fullmatch(key))}
    yield from digests(store, stored, sizes, memo, lambda done: watch("logs and sources", done, len(stored)))
    for key in sizes:
        if key.startswith(("logs/", "sdists/")) and key not in wanted:
            yield remark(key, Kind.ORPHAN, "no record refers to it")


def _named(records: Documents) -> Iterator[tuple[str, str]]:
    for key, record in records.items():
        for step in record.get("steps", ()):
            if "log" in step:
                yield step["log"], key
        if record.get("outcome") == "built":
            sdist = record["sdist"]
            yield f"sdists/{sdist['sha256']}/{sdist['filename']}", key


def _provenance(store: Store, sizes: Sizes) -> Iterator[Finding]:
    """Read the provenance files (PEP 740) that lie beside wheels: they are JSON objects."""
    keys = sorted(key for key in sizes if key.startswith("files/") and key.endswith(".provenance"))
    for start in range(0, len(keys), AT_ONCE):
        batch = keys[start : start + AT_ONCE]
        for key, found in zip(batch, each(lambda key: read(store, key), batch), strict=True):
            if found is not None and not (isinstance(found, Object) and _is_object(found.data)):
                yield error(key, Kind.DAMAGED, "is no JSON object, as provenance is (PEP 740)")


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False
