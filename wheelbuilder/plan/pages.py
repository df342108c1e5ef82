"""A page of the simple API as files: JSON (PEP 691, 700, 714) read here, HTML (PEP 503) by pypi_simple."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.plan.files import SDISTS, SOURCES, FileName, IndexFile, parse_filename

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

JSON = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
HTML = "text/html"
# PEP 714, newest first
METADATA_KEYS = ("core-metadata", "dist-info-metadata", "data-dist-info-metadata")
USER = re.compile(r"^([a-z]+://)[^/?#]*@", re.IGNORECASE)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A project page as it came. url: where it came from in the end; links are relative to it."""

    url: str
    content_type: str
    charset: str | None
    body: bytes


def files(page: Page, name: NormalizedName, versions: Iterable[Version] | None) -> Iterator[IndexFile]:
    """Yield a page's files of some versions (None: of all); the others are dropped before they cost much.

    Raises ValueError, KeyError, TypeError or AttributeError for what is no page of the simple API.
    """
    if page.content_type == JSON:
        return _json_files(page, versions)
    if page.content_type in (HTML, HTML_V1):
        return _html_files(page, name, versions)
    raise ValueError(f"its content type is {page.content_type}")


def _json_files(page: Page, versions: Iterable[Version] | None) -> Iterator[IndexFile]:
    data: Any = json.loads(page.body)
    api_version = data["meta"]["api-version"]
    if api_version.partition(".")[0] != "1":
        raise ValueError(f"it has API version {api_version}, and 1 is what is known")
    kept = set(wanted_names([file["filename"] for file in data["files"]], versions))
    # The library's records validate every key of every file, which took a fifth of a plan.
    return (_from_json(file, page.url) for file in data["files"] if file["filename"] in kept)


def _from_json(file: dict[str, Any], base: str) -> IndexFile:
    moment = _typed(file, "upload-time", str)
    yanked = file.get("yanked")
    metadata = next((file[key] for key in METADATA_KEYS if file.get(key)), None)
    return IndexFile(
        filename=file["filename"],
        url=without_user(_absolute(base, file["url"])),
        sha256=file["hashes"].get("sha256", ""),
        size=_typed(file, "size", int),
        requires_python=_typed(file, "requires-python", str) or None,
        upload_time=_rfc3339(datetime.fromisoformat(moment)) if moment else None,
        yanked=(yanked if isinstance(yanked, str) else "") if yanked else None,
        metadata_sha256=_digest(metadata),
    )


def _absolute(base: str, url: str) -> str:
    return url if url.startswith(("https://", "http://")) else urljoin(base, url)


def without_user(url: str) -> str:
    """Return a URL without a user's name and password: what an index says is published."""
    return USER.sub(r"\1", url) if "@" in url else url


def _typed(file: dict[str, Any], key: str, kind: type[T]) -> T | None:
    value = file.get(key)
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{key} of {file['filename']} is {value!r:.40}")
    return value


def _digest(metadata: object) -> str | None:
    if metadata is None:
        return None
    return str(metadata.get("sha256", "")) if isinstance(metadata, dict) else ""


def _html_files(page: Page, name: NormalizedName, versions: Iterable[Version] | None) -> Iterator[IndexFile]:
    # Imported where it is needed: its HTML parser costs every command a tenth of a second.
    from pypi_simple import ProjectPage, UnsupportedRepoVersionError

    try:
        read = ProjectPage.from_html(name, page.body, page.url, page.charset)
    except UnsupportedRepoVersionError as error:
        raise ValueError(str(error)) from None
    packages = read.packages
    if read.repository_version is None and not any(parse_filename(it.filename) for it in packages):
        raise ValueError("it is HTML without a link to any distribution")
    kept = set(wanted_names([package.filename for package in packages], versions))
    return (_from_package(package) for package in packages if package.filename in kept)


def _from_package(package: DistributionPackage) -> IndexFile:
    metadata = package.metadata_digests
    return IndexFile(
        filename=package.filename,
        url=without_user(package.url),
        sha256=package.digests.get("sha256", ""),
        size=package.size,
        requires_python=package.requires_python or None,
        upload_time=_rfc3339(package.upload_time) if package.upload_time else None,
        yanked=(package.yanked_reason or "") if package.is_yanked else None,
        metadata_sha256=metadata.get("sha256", "") if metadata is not None else None,
    )


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def wanted_names(filenames: Iterable[str], versions: Iterable[Version] | None) -> list[str]:
    """Return the file names of some versions (None: of all), eggs and installers among them.

    A name is parsed only if the version's text stands in it, because parsing every name of every
    page costs seconds; where no sdist is found so, all are parsed (`2013.06` for 2013.6). Local
    versions (PEP 440) of a version count as it does, because `==1.0` accepts 1.0+local.
    """
    names: tuple[str, ...] = tuple(filenames)
    if versions is None:
        return list(names)
    chosen: list[str] = []
    for version in versions:
        text = f"-{version}"
        near = [
            name for name in names if (text in name or "+" in name) and _is_of(version, name, or_egg=True)
        ]
        if not any(name.endswith(SDISTS) for name in near):
            near += [name for name in names if name not in near and _is_of(version, name)]
        chosen += near
    return chosen


def _is_of(version: Version, filename: str, *, or_egg: bool = False) -> bool:
    parsed = parse_filename(filename) or _as_sdist(filename)
    if parsed is None:
        return or_egg and bool(re.search(rf"-{re.escape(str(version))}[-.][a-z]", filename))
    if parsed.version.local and not version.local:
        return Version(parsed.version.public) == version
    return parsed.version == version


def _as_sdist(filename: str) -> FileName | None:
    """Read the name of a source archive of another form than PEP 625 has."""
    for suffix in SOURCES:
        if filename.lower().endswith(suffix):
            return parse_filename(f"{filename[: -len(suffix)]}.tar.gz")
    return None
