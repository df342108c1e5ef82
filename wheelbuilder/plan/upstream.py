"""Client of the upstream index (PEP 503, 691): the files of the wanted versions, and nothing else."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from email.message import Message
from pathlib import Path

import requests
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.http import BACK_OFF, TIMEOUT, bound, is_address, session, shown, unreachable
from wheelbuilder.plan.files import IndexFile
from wheelbuilder.plan.page_cache import CachedPage, Extract, PageCache, Validators
from wheelbuilder.plan.pages import HTML, HTML_V1, JSON, Page, files, without_user

CONNECTIONS = 16  # requests at a time
ACCEPT = f"{JSON}, {HTML_V1};q=0.5, {HTML};q=0.01"  # PEP 691, "Version + Format Selection"
COLLECT_AFTER = 50_000  # new objects between two searches for reference cycles
CHUNK = 1 << 20  # bytes at a time: small chunks cost more than the reading
FRESH = 60.0  # seconds for which a page is not asked about again: a closure and its plan read the same ones
BODY_ATTEMPTS = 3  # for pages whose body breaks off, which the session's own retries do not see

Progress = Callable[[int, int], None]  # pages read so far, pages in all


class UpstreamIndex:
    """An index that speaks the simple API. `cache` is a folder for its pages; each is revalidated."""

    def __init__(self, url: str, cache: Path | None = None, *, back_off: float = BACK_OFF) -> None:
        if not is_address(url):
            raise ConfigurationError(
                f"{url!r} is not the address of an index.", "Write it like https://index.example.org/simple/."
            )
        self.url = url.rstrip("/") + "/"
        self._session = bound(session(connections=CONNECTIONS, back_off=back_off), self.url)
        self._cache = PageCache(cache) if cache else None
        self._current: dict[str, float] = {}  # when the index said so of a page that is kept

    def files(
        self,
        wanted: Mapping[NormalizedName, Iterable[Version]],
        progress: Progress = lambda _done, _all: None,
    ) -> dict[NormalizedName, tuple[IndexFile, ...] | None]:
        """Return, for each project, its files of the wanted versions; None for a project it does not know.

        In the order of `wanted`, so that equal pages make equal plans and equal offers to a mirror.
        Raises UnreachableError for the first page that cannot be had or read.
        """
        found: dict[NormalizedName, tuple[IndexFile, ...] | None] = {}
        pool = ThreadPoolExecutor(CONNECTIONS)
        try:
            with _rare_collection():
                jobs = {pool.submit(self.project, name, versions): name for name, versions in wanted.items()}
                pending = set(jobs)
                while pending:
                    done, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
                    found |= {jobs[job]: job.result() for job in done}
                    progress(len(found), len(jobs))
        finally:
            # Whoever interrupts does not wait for a server that says nothing.
            pool.shutdown(wait=False, cancel_futures=True)
        return {name: found[name] for name in wanted}

    def project(
        self, name: NormalizedName, versions: Iterable[Version] | None = None
    ) -> tuple[IndexFile, ...] | None:
        """Return the files of one project's wanted versions (None: of all), or None if it is not known."""
        url = f"{self.url}{name}/"
        texts = None if versions is None else sorted(map(str, versions))
        found = self._get(url, texts)
        if found is None:
            return None
        if isinstance(found, Extract):
            return found.files
        try:
            read = tuple(files(found.page, name, versions))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreachableError(
                f"{shown(url)} is not a page of the simple API: {_complaint(error)}.",
                "Check the index's address; it must be the root of a simple index (PEP 503, PEP 691).",
            ) from None
        if self._cache and texts is not None:
            self._cache.put_extract(url, texts, Extract(files=read, validators=found.validators))
        return read

    def _get(self, url: str, versions: Sequence[str] | None) -> CachedPage | Extract | None:
        for attempt in range(1, BODY_ATTEMPTS + 1):
            try:
                return self._read(url, versions)
            except requests.exceptions.ChunkedEncodingError as error:
                if attempt == BODY_ATTEMPTS:
                    raise unreachable(url, error) from None
            except requests.RequestException as error:
                raise unreachable(url, error) from None
        raise AssertionError("the loop returns or raises")

    def _read(self, url: str, versions: Sequence[str] | None) -> CachedPage | Extract | None:
        kept = self._kept(url, versions)
        if kept and time.monotonic() - self._current.get(url, -FRESH) < FRESH:
            return kept
        headers = {"Accept": ACCEPT} | (kept.validators.conditions if kept else {})
        with self._session.get(url, timeout=TIMEOUT, headers=headers, stream=True) as response:
            body = b"".join(response.iter_content(CHUNK))
            if kept and response.status_code == 304:
                self._current[url] = time.monotonic()
                return kept
            if response.status_code == 404:
                return None
            response.raise_for_status()
            return self._keep(url, response, body)

    def _kept(self, url: str, versions: Sequence[str] | None) -> CachedPage | Extract | None:
        if self._cache is None:
            return None
        extract = self._cache.extract(url, versions) if versions is not None else None
        return extract or self._cache.get(url)

    def _keep(self, url: str, response: requests.Response, body: bytes) -> CachedPage:
        header = Message()
        header["content-type"] = response.headers.get("content-type", HTML)
        page = Page(
            url=without_user(response.url),  # the page is kept on this disk
            content_type=header.get_content_type(),
            charset=header.get_content_charset(),
            body=body,
        )
        storable = "no-store" not in response.headers.get("cache-control", "").lower()
        if not storable or response.status_code != 200:
            return CachedPage(page=page, validators=Validators(etag=None, last_modified=None))
        etag, last_modified = (response.headers.get(name) for name in ("etag", "last-modified"))
        entry = CachedPage(page=page, validators=Validators(etag=etag, last_modified=last_modified))
        if self._cache:
            self._cache.put(url, entry)
            self._current[url] = time.monotonic()
        return entry


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Look for reference cycles less often: pages are large trees without any, and looking took a fifth."""
    usual = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _complaint(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the key {error} is missing"
    return str(error).splitlines()[0].rstrip(".:")
