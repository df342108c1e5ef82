"""Client of the upstream index (PEP 503, 691): the files of the wanted versions, and nothing else."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

import requests
from packaging.utils import NormalizedName
from packaging.version import Version
from pypi_simple import (
    ACCEPT_JSON_PREFERRED,
    DistributionPackage,
    ProjectPage,
    UnsupportedRepoVersionError,
)

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.http import BACK_OFF, TIMEOUT, bound, is_address, session, shown, unreachable
from wheelbuilder.plan.files import IndexFile, parse_filename

JSON = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
HTML = "text/html"
CONNECTIONS = 16  # requests at a time
COLLECT_AFTER = 50_000  # new objects between two searches for reference cycles
CHUNK = 1 << 20  # bytes at a time: small chunks cost more than the reading
BODY_ATTEMPTS = 3  # for pages whose body breaks off, which the session's own retries do not see

Progress = Callable[[int, int], None]  # pages read so far, pages in all


class UpstreamIndex:
    """An index that speaks the simple API. `cache` holds its pages; they are revalidated (RFC 9111)."""

    def __init__(self, url: str, cache: Path | None = None, *, back_off: float = BACK_OFF) -> None:
        if not is_address(url):
            raise ConfigurationError(
                f"{url!r} is not the address of an index.", "Write it like https://index.example.org/simple/."
            )
        self.url = url.rstrip("/") + "/"
        made = session(cache=cache, connections=CONNECTIONS, back_off=back_off)
        self._session = bound(made, self.url)

    def files(
        self,
        wanted: Mapping[NormalizedName, Iterable[Version]],
        progress: Progress = lambda _done, _all: None,
    ) -> dict[NormalizedName, tuple[IndexFile, ...] | None]:
        """Return, for each project, its files of the wanted versions; None for a project it does not know.

        Raises UnreachableError for the first page that cannot be had or read.
        """
        found: dict[NormalizedName, tuple[IndexFile, ...] | None] = {}
        with _rare_collection(), ThreadPoolExecutor(CONNECTIONS) as pool:
            jobs = {pool.submit(self.project, name, versions): name for name, versions in wanted.items()}
            pending = set(jobs)
            try:
                while pending:
                    done, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
                    found |= {jobs[job]: job.result() for job in done}
                    progress(len(found), len(jobs))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return found

    def project(
        self, name: NormalizedName, versions: Iterable[Version] | None = None
    ) -> tuple[IndexFile, ...] | None:
        """Return the files of one project's wanted versions (None: of all), or None if it is not known."""
        url = f"{self.url}{name}/"
        page = self._get(url)
        if page is None:
            return None
        try:
            return tuple(map(_index_file, _packages(page, name, versions)))
        except (ValueError, KeyError, TypeError, AttributeError, UnsupportedRepoVersionError) as error:
            raise UnreachableError(
                f"{shown(url)} is not a page of the simple API: {_complaint(error)}.",
                "Check the index's address; it must be the root of a simple index (PEP 503, PEP 691).",
            ) from None

    def _get(self, url: str) -> _Page | None:
        for attempt in range(1, BODY_ATTEMPTS + 1):
            try:
                return self._read(url)
            except requests.exceptions.ChunkedEncodingError as error:
                if attempt == BODY_ATTEMPTS:
                    raise unreachable(url, error) from None
            except requests.RequestException as error:
                raise unreachable(url, error) from None
        raise AssertionError("the loop returns or raises")

    def _read(self, url: str) -> _Page | None:
        headers = {"Accept": ACCEPT_JSON_PREFERRED}
        with self._session.get(url, timeout=TIMEOUT, headers=headers, stream=True) as response:
            body = b"".join(response.iter_content(CHUNK))
            if response.status_code == 404:
                return None
            response.raise_for_status()
            header = Message()
            header["content-type"] = response.headers.get("content-type", HTML)
            return _Page(
                url=response.url,
                content_type=header.get_content_type(),
                charset=header.get_content_charset(),
                body=body,
            )


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Look for reference cycles less often: pages are large trees without any, and looking took a fifth."""
    usual = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """A project page as it came. url: where it came from in the end; links are relative to it."""

    url: str
    content_type: str
    charset: str | None
    body: bytes


def _packages(
    page: _Page, name: NormalizedName, versions: Iterable[Version] | None
) -> Iterator[DistributionPackage]:
    """Read a page, dropping other versions before anything is made of them: most of a page is those."""
    if page.content_type == JSON:
        return _json_packages(page, versions)
    if page.content_type in (HTML, HTML_V1):
        return _html_packages(page, name, versions)
    raise ValueError(f"its content type is {page.content_type}")


def _json_packages(page: _Page, versions: Iterable[Version] | None) -> Iterator[DistributionPackage]:
    data: Any = json.loads(page.body)
    api_version = data["meta"]["api-version"]
    if api_version.partition(".")[0] != "1":
        raise ValueError(f"it has API version {api_version}, and 1 is what is known")
    kept = set(wanted_names([file["filename"] for file in data["files"]], versions))
    for file in data["files"]:
        if file["filename"] in kept:
            # without the project's name as a hint, which costs a regular expression for each project
            yield DistributionPackage.from_json_data(file, base_url=page.url)


def _html_packages(
    page: _Page, name: NormalizedName, versions: Iterable[Version] | None
) -> Iterator[DistributionPackage]:
    packages = ProjectPage.from_html(name, page.body, page.url, page.charset).packages
    kept = set(wanted_names([package.filename for package in packages], versions))
    return (package for package in packages if package.filename in kept)


def wanted_names(filenames: Iterable[str], versions: Iterable[Version] | None) -> list[str]:
    """Return the file names of some versions (None: of all), eggs and installers among them.

    A name is parsed only if the version's text stands in it, because parsing every name of every
    page costs seconds; where no sdist is found so, all are parsed (`2013.06` for 2013.6).
    """
    names: tuple[str, ...] = tuple(filenames)
    if versions is None:
        return list(names)
    chosen: list[str] = []
    for version in versions:
        text = f"-{version}"
        near = [name for name in names if text in name and _is_of(version, name, or_egg=True)]
        if not any(name.endswith((".tar.gz", ".zip")) for name in near):
            near += [name for name in names if text not in name and _is_of(version, name)]
        chosen += near
    return chosen


def _is_of(version: Version, filename: str, *, or_egg: bool = False) -> bool:
    parsed = parse_filename(filename)
    if parsed is None:
        return or_egg and bool(re.search(rf"-{re.escape(str(version))}[-.][a-z]", filename))
    return parsed.version == version


def _complaint(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the key {error} is missing"
    return str(error).splitlines()[0].rstrip(".:")


def _rfc3339(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def _index_file(package: DistributionPackage) -> IndexFile:
    metadata = package.metadata_digests
    return IndexFile(
        filename=package.filename,
        url=package.url,
        sha256=package.digests.get("sha256", ""),
        size=package.size,
        requires_python=package.requires_python or None,
        upload_time=_rfc3339(package.upload_time),
        yanked=(package.yanked_reason or "") if package.is_yanked else None,
        metadata_sha256=metadata.get("sha256", "") if metadata is not None else None,
    )
