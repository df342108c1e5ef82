"""Gives out the objects of any store over HTTP on loopback as they are, which is what a plain bucket does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror.layout import IMMUTABLE, NEVER_STORED, content_type
from wheelbuilder.mirror.serve import IDLE, answering, parts_of
from wheelbuilder.mirror.store import Store, is_key


@dataclass(kw_only=True, slots=True)
class Relay:
    """A running relay: its root URL, and why it could not answer, the first time that the store failed."""

    url: str
    failure: WheelbuilderError | None = None


@contextmanager
def relaying(store: Store) -> Iterator[Relay]:
    """Give out a store, of either kind, until the block ends.

    Clients keep no page: the next relay may have the same port and another store.
    """
    relay = Relay(url="")
    with answering("127.0.0.1", 0, partial(_Handler, store, relay)) as url:
        relay.url = url
        yield relay


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE
    disable_nagle_algorithm = True

    def __init__(self, store: Store, relay: Relay, *args: object) -> None:
        self.store = store
        self.relay = relay
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer with an object, with 404 where there is none, with 502 where the store fails."""
        key = self._key()
        try:
            found = self.store.get(key) if is_key(key) else None
        except WheelbuilderError as error:
            self.relay.failure = self.relay.failure or error
            return self._answer(HTTPStatus.BAD_GATEWAY)
        if found is None:
            return self._answer(HTTPStatus.NOT_FOUND)
        kept = IMMUTABLE if key.startswith("files/") else NEVER_STORED
        kind = found.content_type or content_type(key)
        return self._answer(HTTPStatus.OK, found.data, {"Content-Type": kind, "Cache-Control": kept})

    do_HEAD = do_GET  # noqa: N815  (the standard library's name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing of requests."""

    def _key(self) -> str:
        folder = self.path.partition("?")[0].endswith("/")
        return "/".join((*(parts_of(self.path) or ()), *(["index.html"] if folder else [])))

    def _answer(self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
