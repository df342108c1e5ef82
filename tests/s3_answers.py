"""A server that answers as S3, or something before it, does when bucket, credentials or the way are wrong."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGION = {"x-amz-bucket-region": "xx-north-7"}
XML = {"Content-Type": "application/xml"}
HTML = {"Content-Type": "text/html; charset=utf-8"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status, headers, and a body, which HEAD does not get."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def error(status: int, code: str, message: str, more: str = "", **headers: str) -> Answer:
    """An error as S3 sends it."""
    body = f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    return Answer(status=status, body=body, headers=XML | headers)


EMPTY = "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"
DENIED = error(403, "AccessDenied", "Access Denied")
# Words and forms as AWS sends them; the region is in a header, in the body, or for HEAD in neither.
MOVED = error(
    301,
    "PermanentRedirect",
    "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all"
    " future requests to this endpoint.",
    "<Endpoint>wheels.s3.xx-north-7.example.org</Endpoint><Bucket>wheels</Bucket>",
    **REGION,
)
MALFORMED = error(
    400,
    "AuthorizationHeaderMalformed",
    "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'xx-north-7'",
    "<Region>xx-north-7</Region>",
)
SKEWED = error(403, "RequestTimeTooSkewed", "The difference between the times is too large.")
EXPIRED = error(400, "ExpiredToken", "The provided token has expired.")
UNKNOWN = error(403, "InvalidAccessKeyId", "The Access Key Id you provided does not exist.")
MISMATCH = error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
MISSING = error(404, "NoSuchBucket", "The specified bucket does not exist")
FULL = error(507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold.")
QUOTA = error(403, "QuotaExceeded", "Quota exceeded")
NOWHERE = Answer(status=302, headers={"Location": "https://login.example.org/"})
LOGIN = Answer(status=200, body="<html><title>Log in</title></html>", headers=HTML)
REDIRECT = Answer(
    status=302, body="<html>moved</html>", headers=HTML | {"Location": "https://login.example.org/"}
)
PROXY = Answer(status=407, body="<html>Proxy Authentication Required</html>", headers=HTML)
BLOCKED = Answer(status=403, body="<html>Blocked by policy</html>", headers=HTML)

Rule = Callable[[str, str], Answer]


def always(answer: Answer) -> Rule:
    """Answer every request alike."""
    return lambda _method, _path: answer


def unwritable(refusal: Answer) -> Rule:
    """An empty bucket that can be read, and answers what would change it with a refusal."""

    def decide(method: str, path: str) -> Answer:
        if method not in ("GET", "HEAD"):
            return refusal
        if "list-type=2" in path:
            return Answer(status=200, body=EMPTY, headers=XML)
        return error(404, "NoSuchKey", "The specified key does not exist.")

    return decide


@contextmanager
def answering(rule: Rule, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Run the server; gives its endpoint and the requests that came, as they come."""
    came: list[str] = []
    handler = type("Handler", (_Handler,), {"rule": staticmethod(rule), "came": came})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}", came
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rule: Rule
    came: list[str]

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.came.append(f"{self.command} {self.path}")
        answer = self.rule(self.command, self.path)
        body = answer.body.encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""
