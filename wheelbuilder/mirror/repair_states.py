"""Rebuild a project's state from its JSON pages and the records of its builds, when nothing else has it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from packaging.utils import NormalizedName

from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror.audit_findings import read
from wheelbuilder.mirror.documents import unsealed
from wheelbuilder.mirror.layout import View, blob_key, page_key
from wheelbuilder.mirror.pages import project_pages
from wheelbuilder.mirror.states import MirrorFile, ProjectState, timestamp
from wheelbuilder.mirror.store import Object, Store
from wheelbuilder.plan.files import IndexFile

Values = Mapping[str, Any]


def rebuilt(
    store: Store, channel: str, name: NormalizedName, *, in_gap: bool, now: datetime
) -> ProjectState | None:
    """Return a state that renders to the JSON pages which are there, None if they do not say.

    What no page says (files that are shadowed) is not in it. in_gap: whether the gap view has the project.
    now: what stands for the time since when a file that only the whole view has is retired.
    """
    gap, whole = (_files(store, page_key(channel, view, name)) for view in (View.GAP_JSON, View.WHOLE_JSON))
    ours = {file["filename"]: file for file in (*gap, *whole) if _is_ours(file)}
    kept = {file["filename"] for file in gap} if gap or not in_gap else ours.keys()
    try:
        builds = dict(_builds(store)) if ours else {}
        files = {filename: _mirror_file(file, builds) for filename, file in ours.items()}
        since = timestamp(now)
        state = ProjectState(
            name=name,
            files=tuple(it if at in kept else replace(it, retired=since) for at, it in files.items()),
            upstream=tuple(_index_file(file) for file in whole if not _is_ours(file)),
        )
    except (KeyError, TypeError, ValueError):  # a page that is damaged itself
        return None
    return state if (state.files or state.upstream) and _agrees(store, channel, state) else None


def _agrees(store: Store, channel: str, state: ProjectState) -> bool:
    """Say whether the JSON pages that are there are exactly what the state renders to."""
    for page in project_pages(channel, state):
        found = read(store, page.key)
        if isinstance(found, Object) and found.data != page.data and "json" in page.content_type:
            return False
    return True


def _files(store: Store, key: str) -> list[Values]:
    found = read(store, key)
    try:
        values = json.loads(found.data) if isinstance(found, Object) else {}
        files = values["files"] if values else []
    except (ValueError, KeyError, TypeError):
        return []
    return [file for file in files if isinstance(file, dict)]


def _is_ours(file: Values) -> bool:
    return "://" not in str(file.get("url", ""))


def _builds(store: Store) -> Iterator[tuple[str, Values]]:
    """Yield the records of wheels by the digest of the wheel."""
    for listed in store.list("records/"):
        found = read(store, listed.key)
        try:
            record = unsealed(found.data, listed.key) if isinstance(found, Object) else {}
            if record.get("outcome") == "built":
                yield record["wheel"]["sha256"], record
        except (WheelbuilderError, KeyError, TypeError):
            continue


def _mirror_file(file: Values, builds: Mapping[str, Values]) -> MirrorFile:
    sha256 = file["hashes"]["sha256"]
    if not unquote(file["url"]).endswith(blob_key(sha256, file["filename"])):
        raise ValueError(file["url"])
    record = builds.get(sha256, {})
    return MirrorFile(
        filename=file["filename"],
        sha256=sha256,
        size=file["size"],
        metadata_sha256=file["core-metadata"]["sha256"],
        upload_time=file["upload-time"],
        requires_python=file.get("requires-python"),
        build_key=record.get("key"),
        target=record.get("target"),
        yanked=_yanked(file),
    )


def _index_file(file: Values) -> IndexFile:
    return IndexFile(
        filename=file["filename"],
        url=file["url"],
        sha256=file["hashes"]["sha256"],
        size=file.get("size"),
        requires_python=file.get("requires-python"),
        upload_time=file.get("upload-time"),
        yanked=_yanked(file),
        metadata_sha256=_metadata(file.get("core-metadata")),
    )


def _metadata(said: Any) -> str | None:
    return str(said["sha256"]) if isinstance(said, dict) else "" if said else None


def _yanked(file: Values) -> str | None:
    yanked = file.get("yanked")
    return "" if yanked is True else yanked
