"""Client of the upstream index (PEP 503, 691): the files of the wanted versions, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime
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

from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.http import BACK_OFF, TIMEOUT, session, unreachable
from wheelbuilder.plan.files import IndexFile, parse_filename

JSON = "application/vnd.pypi.simple.v1+json"
CONNECTIONS = 16  # requests at a time
BODY_ATTEMPTS = 3  # for pages whose body breaks off, which the session's own retries do not see

Progress = Callable[[int, int], None]  # pages read so far, pages in all


class UpstreamIndex:
    """An index that speaks the simple API. `cache` holds its pages; they are revalidated (RFC 9111)."""

    def __init__(self, url: str, cache: Path | None = None, *, back_off: float = BACK_OFF) -> None:
        self.url = url.rstrip("/") + "/"
        self._session = session(cache=cache, connections=CONNECTIONS, back_off=back_off)

    def files(
        self,
        wanted: Mapping[NormalizedName, Iterable[Version]],
        progress: Progress = lambda _done, _all: None,
    ) -> dict[NormalizedName, tuple[IndexFile, ...] | None]:
        """Return, for each project, its files of the wanted versions; None for a project it does not know.

        Raises UnreachableError for the first page that cannot be had or read.
        """
        found: dict[NormalizedName, tuple[IndexFile, ...] | None] = {}
        with ThreadPoolExecutor(CONNECTIONS) as pool:
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

    def project(self, name: NormalizedName, versions: Iterable[Version]) -> tuple[IndexFile, ...] | None:
        """Return the files of one project's wanted versions, or None if the index has no such project."""
        url = f"{self.url}{name}/"
        response = self._get(url)
        if response.status_code == 404:
            return None
        try:
            response.raise_for_status()
            packages = _packages(response, name, tuple(versions))
        except requests.HTTPError as error:
            raise unreachable(url, error) from None
        except (ValueError, KeyError, TypeError, AttributeError, UnsupportedRepoVersionError) as error:
            raise UnreachableError(
                f"{url} is not a page of the simple API: {_complaint(error)}.",
                "Check the index's address; it must be the root of a simple index (PEP 503, PEP 691).",
            ) from None
        return tuple(map(_index_file, packages))

    def _get(self, url: str) -> requests.Response:
        for attempt in range(1, BODY_ATTEMPTS + 1):
            try:
                return self._session.get(url, timeout=TIMEOUT, headers={"Accept": ACCEPT_JSON_PREFERRED})
            except requests.exceptions.ChunkedEncodingError as error:
                if attempt == BODY_ATTEMPTS:
                    raise unreachable(url, error) from None
            except requests.RequestException as error:
                raise unreachable(url, error) from None
        raise AssertionError("the loop returns or raises")


def _packages(
    response: requests.Response, name: NormalizedName, versions: tuple[Version, ...]
) -> list[DistributionPackage]:
    """Read a page, dropping other versions before anything is made of them: most of a page is those."""
    if not response.headers.get("content-type", "").startswith(JSON):
        page = ProjectPage.from_response(response, name)
        kept = set(wanted_names([package.filename for package in page.packages], versions))
        return [package for package in page.packages if package.filename in kept]
    data: Any = response.json()
    kept = set(wanted_names([file["filename"] for file in data["files"]], versions))
    data["files"] = [file for file in data["files"] if file["filename"] in kept]
    return ProjectPage.from_json_data(data, response.url).packages


def wanted_names(filenames: Iterable[str], versions: Iterable[Version]) -> list[str]:
    """Return the file names of some versions, eggs and installers among them.

    A name is parsed only if the version's text stands in it, because parsing every name of every
    page costs seconds; where no sdist is found so, all are parsed (`2013.06` for 2013.6).
    """
    names, chosen = tuple(filenames), []
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
