"""Index pages as a pure function of what a channel holds (PEP 503, 592, 629, 658, 691, 700, 714).

Upstream's strings are foreign: HTML goes through an escaping template and JSON through an encoder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from packaging.utils import NormalizedName

from wheelbuilder.mirror.layout import View, page_key, relative_url
from wheelbuilder.mirror.states import ProjectState, versions
from wheelbuilder.plan.files import IndexFile

API_VERSION = "1.4"
PROJECT_DEPTH = 4  # channels/<channel>/<view>/<project>/
# uv rejects a whole page for an upload time that is anything else.
UPLOAD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
# What may stand in a URL besides letters and digits; '+' may not: it reads as a space on object storage.
URL_SAFE = "/%:@!$&'()*,;=~-._?[]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What should lie under a page's key; `data` is None where no page should be."""

    key: str
    data: bytes | None
    content_type: str


def project_pages(channel: str, state: ProjectState) -> tuple[Page, ...]:
    """Return the four pages of a project; a view without files of it has none, so that it answers 404."""
    listed = {True: gap_files(state), False: whole_files(state)}
    return tuple(
        Page(
            key=page_key(channel, view, state.name),
            data=project_page(state, view) if listed[view.is_gap] else None,
            content_type=view.content_type,
        )
        for view in View
    )


def root_pages(
    channel: str, gap: Iterable[NormalizedName], whole: Iterable[NormalizedName]
) -> tuple[Page, ...]:
    """Return the root page of each view: the projects it has."""
    names = {True: sorted(gap), False: sorted(whole)}
    return tuple(
        Page(
            key=page_key(channel, view),
            data=root_page(names[view.is_gap], json_page=view.is_json),
            content_type=view.content_type,
        )
        for view in View
    )


def project_page(state: ProjectState, view: View, depth: int = PROJECT_DEPTH) -> bytes:
    """Render one project's page of a view, to stand `depth` folders below the store's root."""
    files = gap_files(state) if view.is_gap else whole_files(state)
    if view.is_json:
        return _json(
            {
                "name": state.name,
                "versions": [str(version) for version in versions(file.filename for file in files)],
                "files": [_entry(file, depth) for file in files],
            }
        )
    links = [(file.filename, _attributes(file, depth)) for file in files]
    return _html("project.html", name=state.name, links=links)


def root_page(names: Iterable[NormalizedName], *, json_page: bool) -> bytes:
    """Render the page that lists a view's projects."""
    if json_page:
        return _json({"projects": [{"name": name} for name in names]})
    return _html("root.html", names=list(names))


def gap_files(state: ProjectState) -> tuple[IndexFile, ...]:
    """Return the files of the gap view: ours, without those that shadow upstream's and the retired ones."""
    return tuple(file.as_index_file() for file in sorted(state.in_gap, key=attrgetter("filename")))


def whole_files(state: ProjectState) -> tuple[IndexFile, ...]:
    """Return the files of the whole view: upstream's, and ours under names that upstream does not serve."""
    theirs = {file.filename for file in state.upstream}
    ours = (file.as_index_file() for file in state.served if file.filename not in theirs)
    return tuple(sorted((*state.upstream, *ours), key=attrgetter("filename")))


def _url(file: IndexFile, depth: int) -> str:
    if "://" in file.url:
        return quote(file.url.partition("#")[0], safe=URL_SAFE, errors="replace")
    return relative_url(file.url, depth)


def _attributes(file: IndexFile, depth: int) -> dict[str, str | None]:
    metadata = f"sha256={file.metadata_sha256}" if file.metadata_sha256 else "true"
    metadata_or_none = None if file.metadata_sha256 is None else metadata
    return {
        "href": f"{_url(file, depth)}#sha256={file.sha256}",
        "data-requires-python": file.requires_python or None,
        "data-core-metadata": metadata_or_none,
        "data-dist-info-metadata": metadata_or_none,  # the name before PEP 714, for older installers
        "data-yanked": file.yanked,  # an empty reason stays: a valueless attribute is ignored by pip
        "data-size": None if file.size is None else str(file.size),
        "data-upload-time": _upload_time(file),
    }


def _entry(file: IndexFile, depth: int) -> dict[str, object]:
    metadata = {"sha256": file.metadata_sha256} if file.metadata_sha256 else True
    values: Mapping[str, object] = {
        "filename": file.filename,
        "url": _url(file, depth),
        "hashes": {"sha256": file.sha256},
        "requires-python": file.requires_python or None,
        "core-metadata": None if file.metadata_sha256 is None else metadata,
        "yanked": file.yanked if file.yanked != "" else True,
        "size": file.size,
        "upload-time": _upload_time(file),
    }
    return {name: value for name, value in values.items() if value is not None}


def _upload_time(file: IndexFile) -> str | None:
    return file.upload_time if file.upload_time and UPLOAD_TIME.fullmatch(file.upload_time) else None


def _json(values: Mapping[str, object]) -> bytes:
    return json.dumps({"meta": {"api-version": API_VERSION}, **values}).encode("ascii") + b"\n"


def _html(template: str, **values: object) -> bytes:
    text = _template(template).render(api_version=API_VERSION, **values)
    return text.encode("utf-8", "replace")  # a lone surrogate of upstream's must not stop a page


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("wheelbuilder.mirror"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name)
