"""Serve a directory store over HTTP on loopback, as a good static host would, with content negotiation."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.mirror import reach
from wheelbuilder.mirror.layout import HTML_TYPE, JSON_TYPE, View, cache_control, content_type
from wheelbuilder.mirror.negotiate import best, span

TYPED_HTML = "application/vnd.pypi.simple.v1+html"
JSON_OF = {View.GAP: View.GAP_JSON, View.WHOLE: View.WHOLE_JSON}
BLOCK = 1 << 16
LONGEST_NAME = 255  # bytes: what file systems take
MOST_PARTS = 10
IDLE = 30  # seconds a connection may wait for its next request


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request that was answered."""

    method: str
    path: str
    status: int
    content_type: str
    agent: str


@dataclass(kw_only=True, slots=True)
class Server:
    """A running server: its root URL, and every request so far."""

    url: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serving(
    root: Path, *, host: str = "127.0.0.1", port: int = 0, told: Callable[[Request], None] | None = None
) -> Iterator[Server]:
    """Serve a directory until the block ends; port 0 takes a free one. `told` hears of each request."""
    if not root.is_dir():
        raise ConfigurationError(f"{root}: there is no such directory.", "Publish into it first.")
    server = Server(url="")

    def note(request: Request) -> None:
        server.requests.append(request)
        if told:
            told(request)

    with answering(host, port, partial(_Handler, root.resolve(), note)) as url:
        server.url = url
        yield server


@contextmanager
def answering(host: str, port: int, handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests, each connection in a thread, until the block ends; yields the root URL.

    Port 0 takes a free one. Raises UnreachableError where the address cannot be listened on.
    """
    try:
        listener = _Listener((host, port), handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreachableError(
            f"{host}:{port} cannot be listened on: {reason}.", "Give another --host or --port."
        ) from None
    with listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{listener.server_address[1]}/"
        finally:
            listener.shutdown()
            thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client may keep its connection open for as long as it likes
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "wheelbuilder"
    sys_version = ""
    timeout = IDLE
    disable_nagle_algorithm = True

    def __init__(self, root: Path, note: Callable[[Request], None], *args: object) -> None:
        self.root = root
        self.note = note
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer with a file, its page for people or machines, a redirect or an error."""
        parts = parts_of(self.path)
        if parts is None:
            return self._empty(HTTPStatus.NOT_FOUND)
        if (moved := self._moved(parts)) is not None:
            return self._empty(HTTPStatus.MOVED_PERMANENTLY, {"Location": quote("/" + moved)})
        key = "/".join(parts)
        return self._object(f"{key}/index.html".lstrip("/") if self.path_is_folder else key)

    do_HEAD = do_GET  # noqa: N815  (the standard library's name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep standard error clean; requests are told of as values."""

    @property
    def path_is_folder(self) -> bool:
        """Whether the request is for a folder, whose page is meant."""
        return urlsplit(self.path).path.endswith("/")

    def _moved(self, parts: list[str]) -> str | None:
        """Return the path to redirect to: with the slash of a folder, and the project's name normalized."""
        wanted = list(parts)
        if len(parts) == 4 and parts[0] == "channels" and parts[2] in set(View):
            wanted[3] = canonicalize_name(parts[3])
        if not self._is("/".join(wanted), stat.S_ISDIR) or (self.path_is_folder and wanted == parts):
            return None
        return "/".join(wanted) + "/"

    def _object(self, key: str) -> None:
        variants = self._variants(key)
        accepted = ",".join(self.headers.get_all("Accept", []))
        chosen = best(accepted, list(variants)) if len(variants) > 1 else next(iter(variants), None)
        vary = {"Vary": "Accept"} if len(variants) > 1 else {}
        if not variants:
            return self._empty(HTTPStatus.NOT_FOUND)
        if chosen is None:
            return self._empty(HTTPStatus.NOT_ACCEPTABLE, vary)
        headers = {"Content-Type": chosen, "Cache-Control": cache_control(key), **vary}
        return self._file(variants[chosen], headers)

    def _variants(self, key: str) -> dict[str, str]:
        """Return the types in which a key can be had, and the key that holds each."""
        if not self._is(key, stat.S_ISREG):
            return {}
        parts = key.split("/")
        twin = JSON_OF.get(View(parts[2])) if _is_page(parts) else None
        if twin is None:
            return {content_type(key): key}
        json_key = "/".join((*parts[:2], twin, *parts[3:]))
        as_json = {JSON_TYPE: json_key} if self._is(json_key, stat.S_ISREG) else {}
        return {HTML_TYPE: key, TYPED_HTML: key, **as_json}

    def _is(self, key: str, kind: Callable[[int], bool]) -> bool:
        """Say whether a key is a file, or a folder, that is reached through no link."""
        try:
            found = reach.status(self.root, key) if key else None
        except (OSError, reach.DetourError):
            return False
        return found is not None and kind(found.st_mode)

    def _file(self, key: str, headers: Mapping[str, str]) -> None:
        try:
            file = reach.opened(self.root, key)
        except (OSError, reach.DetourError):
            file = None
        if file is None:
            return self._empty(HTTPStatus.NOT_FOUND)
        with file:
            status = os.fstat(file.fileno())
            etag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
            headers = {**headers, "ETag": etag, "Accept-Ranges": "bytes"}
            if etag in re.split(r"\s*,\s*", self.headers.get("If-None-Match", "").replace("W/", "")):
                return self._empty(HTTPStatus.NOT_MODIFIED, headers)
            return self._content(file, status.st_size, headers)

    def _content(self, file: BinaryIO, size: int, headers: Mapping[str, str]) -> None:
        wanted = span(self._asked_range(headers["ETag"]), size)
        if wanted is None:
            unfit = {"Content-Range": f"bytes */{size}"}
            return self._empty(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, unfit)
        first, end = wanted
        part = (first, end) != (0, size)
        extra = {"Content-Range": f"bytes {first}-{end - 1}/{size}"} if part else {}
        length = {"Content-Length": str(end - first)}
        self._head(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK, {**headers, **extra, **length})
        file.seek(first)
        while self.command != "HEAD" and first < end:
            first += self.wfile.write(file.read(min(BLOCK, end - first)))
        return None

    def _asked_range(self, etag: str) -> str:
        return self.headers.get("Range", "") if self.headers.get("If-Range", etag) == etag else ""

    def _empty(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        length = {} if status == HTTPStatus.NOT_MODIFIED else {"Content-Length": "0"}
        self._head(status, {**(headers or {}), **length})

    def _head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        kind = headers.get("Content-Type", "")
        agent = self.headers.get("User-Agent", "")
        self.note(Request(method=self.command, path=self.path, status=status, content_type=kind, agent=agent))


def parts_of(target: str) -> list[str] | None:
    """Return the parts of a request's path, or None for one that no key can have."""
    parts = [part for part in unquote(urlsplit(target).path).split("/") if part]
    bad = any(part.startswith(".") or re.search(r"[\\\x00-\x1f\x7f]", part) for part in parts)
    bad = bad or any(len(part.encode()) > LONGEST_NAME for part in parts) or len(parts) > MOST_PARTS
    return None if bad else parts


def _is_page(parts: list[str]) -> bool:
    return parts[0] == "channels" and parts[-1] == "index.html" and parts[2] in set(View)
