"""An HTTP proxy before a real S3 server: notes every request, and misbehaves where it is told to."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}
RST = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset


class Fault(Enum):
    """What happens to one request. The names after "LOST" let the server do its work first."""

    ERROR = "500 before the server saw it"
    BUSY = "503 before the server saw it"
    RESET = "the connection is reset before the server saw it"
    STALL = "no answer, ever; the server never saw it"
    MOVED = "301, the bucket is in another region; the server never saw it"
    WEB_PAGE = "a web page with status 200; the server never saw it"
    LOST = "the server did it, then the connection is reset"
    LOST_ERROR = "the server did it, then the answer is 500"
    LOST_STALL = "the server did it, but no answer comes"
    TRUNCATED = "the server did it, but half of the answer arrives"
    FLIPPED = "the server did it, but one bit of the body is another"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived. status: what the server answered, 0 if it was not asked."""

    method: str
    path: str  # decoded, without the query
    query: str
    headers: dict[str, str]
    status: int = 0

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


class Proxy:
    """Its `requests` grow in the order of arrival at the server. fault: decides over each request.

    without: headers that the server does not get to see, as if it did not know them.
    """

    def __init__(
        self, target: str, fault: Callable[[Request], Fault | None], without: frozenset[str] = frozenset()
    ) -> None:
        self.target = urlsplit(target)
        self.without = HOP_BY_HOP | without
        self.fault = fault
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def lines(self) -> list[str]:
        return [request.line for request in self.requests]


@contextmanager
def proxied(
    target: str,
    fault: Callable[[Request], Fault | None] = lambda _: None,
    without: frozenset[str] = frozenset(),
) -> Iterator[Proxy]:
    """Run a proxy before a server until the context is left."""
    proxy = Proxy(target, fault, without)
    thread = threading.Thread(target=proxy.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopped.set()
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()


def once(method: str, key: str, *faults: Fault) -> Callable[[Request], Fault | None]:
    """Faults for the first requests of a method on paths that end so; one after the other."""
    todo = list(faults)

    def decide(request: Request) -> Fault | None:
        return todo.pop(0) if todo and request.method == method and request.path.endswith(key) else None

    return decide


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that hangs up between two requests
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        proxy, parts = self.proxy, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = unquote(parts.path)
        request = Request(method=self.command, path=path, query=parts.query, headers=headers)
        with proxy.lock:
            fault = proxy.fault(request)
        if fault and not fault.name.startswith(("LOST", "TRUNCATED", "FLIPPED")):
            self._note(request)
            self._misbehave(fault)
            return
        status, kept, answer = self._forward(body)
        self._note(replace(request, status=status))
        if fault in (Fault.LOST, Fault.LOST_ERROR, Fault.LOST_STALL):
            self._misbehave(fault)
        elif fault is Fault.TRUNCATED:
            self._send(status, kept, answer, cut=True)
        else:
            self._send(status, kept, _flipped(answer) if fault else answer)

    def _note(self, request: Request) -> None:
        with self.proxy.lock:
            self.proxy.requests.append(request)

    def _misbehave(self, fault: Fault) -> None:
        if fault in (Fault.ERROR, Fault.LOST_ERROR, Fault.BUSY):
            self._send(503 if fault is Fault.BUSY else 500, [], b"")
        elif fault is Fault.MOVED:
            words = b"<Error><Code>PermanentRedirect</Code><Message>Use the other endpoint</Message></Error>"
            region = ("x-amz-bucket-region", "xx-north-7")
            self._send(301, [("Content-Type", "application/xml"), region], words)
        elif fault is Fault.WEB_PAGE:
            self._send(200, [("Content-Type", "text/html")], b"<html><body>Log in</body></html>")
        else:
            if fault in (Fault.STALL, Fault.LOST_STALL):
                self.proxy.stopped.wait(30)
            self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        self.close_connection = True

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        target = self.proxy.target
        connection = http.client.HTTPConnection(str(target.hostname), target.port or 80, timeout=120)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in self.proxy.without:
                    connection.putheader(name, value)
            if self.command in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool = False) -> None:
        if cut and not body:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nETa")
            self.close_connection = True
            return
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
        else:
            self.end_headers()
        self.close_connection = self.close_connection or cut

    def log_message(self, *_: Any) -> None:
        """Say nothing: `requests` has it all."""


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body
