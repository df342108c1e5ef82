"""Index pages as a pure function of what a channel holds (PEP 503, 592, 629, 658, 691, 700, 714).

Upstream's strings are foreign: HTML goes through an escaping template and JSON through an encoder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from packaging.utils import NormalizedName

from wheelbuilder.mirror.layout import View, page_key, relative_url
from wheelbuilder.mirror.states import MirrorFile, ProjectState, versions
from wheelbuilder.plan.files import IndexFile

if TYPE_CHECKING:
    from jinja2 import Template

API_VERSION = "1.4"
PROJECT_DEPTH = 4  # channels/<channel>/<view>/<project>/
# uv rejects a whole page for an upload time that is anything else.
UPLOAD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
# What may stand in a URL besides letters and digits; '+' may not: it reads as a space on object storage.
URL_SAFE = "/%:@!$&'()*,;=~-._?[]"
PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*", re.ASCII)  # most keys: what `relative_url` leaves as it is


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What should lie under a page's key; `data` is None where no page should be."""

    key: str
    data: bytes | None
    content_type: str


class _Link(NamedTuple):
    """A file as pages give it, from where they stand; what is None is left out."""

    filename: str
    url: str
    sha256: str
    requires_python: str | None
    metadata: str | None  # digest; "" where it is not known
    yanked: str | None
    size: int | None
    upload_time: str | None


def project_pages(channel: str, state: ProjectState) -> tuple[Page, ...]:
    """Return the four pages of a project; a view without files of it has none, so that it answers 404."""
    return tuple(
        Page(key=page_key(channel, view, state.name), data=data, content_type=view.content_type)
        for view, data in project_views(state).items()
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
    render = _json_page if view.is_json else _html_page
    return render(state.name, _links(files, depth))


def project_views(state: ProjectState, depth: int = PROJECT_DEPTH) -> dict[View, bytes | None]:
    """Render a project's page of each view, as `project_page` does; None for a view without files of it."""
    gap = _forms(state.name, gap_files(state), depth)
    whole = _forms(state.name, whole_files(state), depth) if _views_differ(state) else gap
    return {view: (gap if view.is_gap else whole)[view.is_json] for view in View}


def root_page(names: Iterable[NormalizedName], *, json_page: bool) -> bytes:
    """Render the page that lists a view's projects."""
    if json_page:
        return _json({"projects": [{"name": name} for name in names]})
    return _html("root.html", names=list(names))


def gap_files(state: ProjectState) -> tuple[MirrorFile, ...]:
    """Return the files of the gap view: ours, without those that shadow upstream's and the retired ones."""
    return tuple(sorted(state.in_gap, key=attrgetter("filename")))


def whole_files(state: ProjectState) -> tuple[MirrorFile | IndexFile, ...]:
    """Return the files of the whole view: upstream's, and ours under names that upstream does not serve."""
    theirs = {file.filename for file in state.upstream}
    ours = (file for file in state.served if file.filename not in theirs)
    return tuple(sorted((*state.upstream, *ours), key=attrgetter("filename")))


def _views_differ(state: ProjectState) -> bool:
    return bool(state.upstream) or any(file.retired is not None for file in state.files)


def _forms(
    name: NormalizedName, files: Iterable[MirrorFile | IndexFile], depth: int
) -> tuple[bytes | None, bytes | None]:
    """Return the HTML and the JSON page of these files; None where there are none."""
    links = _links(files, depth)
    return (_html_page(name, links), _json_page(name, links)) if links else (None, None)


def _html_page(name: NormalizedName, links: Sequence[_Link]) -> bytes:
    return _html("project.html", name=name, links=links)


def _json_page(name: NormalizedName, links: Sequence[_Link]) -> bytes:
    return _json(
        {
            "name": name,
            "versions": [str(version) for version in versions(link.filename for link in links)],
            "files": [_entry(link) for link in links],
        }
    )


def _links(files: Iterable[MirrorFile | IndexFile], depth: int) -> list[_Link]:
    return [
        _Link(
            file.filename,
            _url(file, depth),
            file.sha256,
            file.requires_python or None,
            file.metadata_sha256,
            file.yanked,  # an empty reason stays: a valueless attribute is ignored by pip
            file.size,
            _upload_time(file),
        )
        for file in files
    ]


def _url(file: MirrorFile | IndexFile, depth: int) -> str:
    if isinstance(file, MirrorFile):
        key = file.key
        return "../" * depth + key if PLAIN.fullmatch(key) else relative_url(key, depth)
    if "://" in file.url:
        return quote(file.url.partition("#")[0], safe=URL_SAFE, errors="replace")
    return relative_url(file.url, depth)


def _entry(link: _Link) -> dict[str, object]:
    values: dict[str, object] = {
        "filename": link.filename,
        "url": link.url,
        "hashes": {"sha256": link.sha256},
    }
    if link.requires_python is not None:
        values["requires-python"] = link.requires_python
    if link.metadata is not None:
        values["core-metadata"] = {"sha256": link.metadata} if link.metadata else True
    if link.yanked is not None:
        values["yanked"] = link.yanked or True
    if link.size is not None:
        values["size"] = link.size
    if link.upload_time is not None:
        values["upload-time"] = link.upload_time
    return values


def _upload_time(file: MirrorFile | IndexFile) -> str | None:
    return file.upload_time if file.upload_time and UPLOAD_TIME.fullmatch(file.upload_time) else None


def _json(values: Mapping[str, object]) -> bytes:
    return json.dumps({"meta": {"api-version": API_VERSION}, **values}).encode("ascii") + b"\n"


def _html(template: str, **values: object) -> bytes:
    text = _template(template).render(api_version=API_VERSION, **values)
    return text.encode("utf-8", "replace")  # a lone surrogate of upstream's must not stop a page


@cache
def _template(name: str) -> Template:
    # Imported where it is needed: a run with nothing new renders no page.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("wheelbuilder.mirror"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name)
