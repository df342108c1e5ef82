"""A real HTTP server that speaks the simple API on loopback, and can misbehave in stated ways."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server says to one request. promised: a Content-Length that the body may not keep."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None
    delay: float = 0.0

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'


class SimpleIndex:
    """Answers by path. A path with several answers gives them in turn, the last one for ever."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None]] = []  # path and If-None-Match
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._answers: dict[str, deque[Answer]] = {}
        self._server = _server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/simple/"

    def serve(self, project: str, *answers: Answer) -> None:
        self._answers[f"/simple/{project}/"] = deque(answers)

    def page(self, project: str, files: Iterable[Mapping[str, Any]], **answer: Any) -> None:
        self.serve(project, Answer(body=page(project, files), **answer))

    def answer(self, path: str, if_none_match: str | None) -> Answer:
        with self._lock:
            self.requests.append((path, if_none_match))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            answers = self._answers.get(path)
            answer = (
                (answers.popleft() if len(answers) > 1 else answers[0]) if answers else Answer(status=404)
            )
        time.sleep(answer.delay)
        with self._lock:
            self._at_once -= 1
        if answer.status == 200 and if_none_match == answer.etag:
            return Answer(status=304, headers={"ETag": answer.etag})  # uv takes no 304 without
        return answer

    def __enter__(self) -> SimpleIndex:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def page(project: str, files: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a JSON project page (PEP 691, 700)."""
    document = {"meta": {"api-version": "1.1"}, "name": project, "files": list(files), "versions": []}
    return json.dumps(document).encode()


def entry(filename: str, **values: Any) -> dict[str, Any]:
    """Return one file of a page as upstream lists it."""
    digest = hashlib.sha256(filename.encode()).hexdigest()
    return {
        "filename": filename,
        "url": f"https://files.example.org/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{filename}",
        "hashes": {"sha256": digest},
        "requires-python": None,
        "size": 10_000 + int(digest[:4], 16),
        "upload-time": "2024-05-06T07:08:09.123456Z",
        "yanked": False,
    } | values


def _server(index: SimpleIndex) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment, else every request waits for a delayed ACK

        def do_GET(self) -> None:
            answer = index.answer(self.path, self.headers.get("If-None-Match"))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(answer.promised or len(answer.body)))
            if answer.status == 200:
                self.send_header("ETag", answer.etag)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = answer.promised is not None

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the tests' output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    return Server(("127.0.0.1", 0), Handler)
