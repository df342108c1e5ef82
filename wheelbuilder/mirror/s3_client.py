"""Requests to one bucket: the client, its patience, and what is known after the last attempt."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit

import boto3
import botocore.session
from botocore import exceptions as aws
from botocore.config import Config
from botocore.loaders import create_loader

from wheelbuilder import __version__
from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.mirror import s3_errors

R = TypeVar("R")
POOL = 16  # connections
INDEX = "index.html"
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
ODD = re.compile(r"[\x00-\x1f\\#]")
SECONDS = re.compile(r"\d{1,8}", re.ASCII)
PASSING = (500, 502, 503, 504)  # statuses that a gateway in trouble explains with a web page
CERTIFICATES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")  # the first that is set counts
REDIRECTS = (301, 302, 303, 307, 308)
CONNECT_ATTEMPTS = 4  # where nobody listens, somebody waits for the message
PAGE_ATTEMPTS = 2  # where a web server answers, too
RANDOM = secrets.SystemRandom()


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long an answer is waited for. Times in seconds; the back-off doubles with each attempt."""

    attempts: int = 8
    back_off: float = 0.2
    longest: float = 20.0  # no wait between two attempts is longer
    connect: float = 10.0
    read: float = 60.0  # between two bytes

    def wait(self, attempt: int, asked: float = 0.0) -> float:
        """Return the seconds between an attempt (from 1) and the next. asked: the server's Retry-After."""
        usual: float = self.back_off * 2 ** (attempt - 1) * RANDOM.uniform(0.5, 1.5)
        return min(self.longest, max(usual, asked))


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A bucket and what every object's name in it begins with: "" or "some/prefix/".

    web_host: whether something in front gives out .../index.html for .../. Plain S3 does not, and installers
    ask for .../, so that otherwise this is the name of the object which holds the key .../index.html.
    page_max_age: seconds for which caches may keep a page, for sites whose cache cannot revalidate.
    """

    address: str
    bucket: str
    prefix: str
    web_host: bool = False
    page_max_age: int | None = None

    @classmethod
    def parse(cls, address: str) -> Place:
        """Read s3://bucket/prefix?index=index.html&page-max-age=60, options optional.

        Raises ConfigurationError.
        """
        path, asked, query = address.removeprefix("s3://").partition("?")
        bucket, _, prefix = path.partition("/")
        options = dict(parse_qsl(query, keep_blank_values=True))
        index, age = options.pop("index", INDEX), options.pop("page-max-age", "0")
        prefix = prefix.rstrip("/")
        parts = prefix.split("/") if prefix else []
        odd = any(part in ("", ".", "..") for part in parts) or any(map(ODD.search, parts))
        unknown = options or index != INDEX or not SECONDS.fullmatch(age) or (asked and not query)
        if not BUCKET.fullmatch(bucket) or odd or unknown:
            raise ConfigurationError(
                f"{address!r} is not the address of a bucket.",
                f"Write s3://bucket or s3://bucket/prefix; ?index={INDEX} behind a static web host,"
                " ?page-max-age=60 where a cache in front cannot revalidate, & between the two.",
            )
        return cls(
            address=address,
            bucket=bucket,
            prefix=f"{prefix}/" if prefix else "",
            web_host="index=" in query,
            page_max_age=int(age) or None,
        )

    @property
    def page_names(self) -> str:
        """What the names of pages end in: "/", or "index.html"."""
        return INDEX if self.web_host else "/"

    def name(self, key: str) -> str:
        """Return the name of the object that holds a key."""
        folder = not self.web_host and key.endswith(f"/{INDEX}")
        return self.prefix + (key.removesuffix(INDEX) if folder else key)

    def key(self, name: str) -> str:
        """Return the key that an object holds; "" for one that holds none."""
        key = name.removeprefix(self.prefix)
        if self.web_host:
            return key
        return f"{key}{INDEX}" if key.endswith("/") else "" if key.endswith(f"/{INDEX}") else key

    def names_from(self, prefix: str) -> str:
        """Return what the names of all objects begin with whose keys begin with a prefix."""
        folder, slash, rest = prefix.rpartition("/")
        return self.prefix + (folder + slash if INDEX.startswith(rest) and not self.web_host else prefix)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer(Generic[R]):
    """What the last attempt gave: a value, or an error that the server sent and that does not heal.

    doubtful: an earlier attempt of the same request may have taken place, unseen.
    """

    value: R | None = None
    error: aws.ClientError | None = None
    doubtful: bool = False


class Requests:
    """Sends requests to one place, again and again until they are answered or patience is over."""

    def __init__(self, place: Place, patience: Patience, like: Requests | None = None) -> None:
        self.place = place
        self.patience = patience
        self._session, self.client = _connect(place, patience, like)
        self.endpoint: str = self.client.meta.endpoint_url

    def hurried(self, **times: Any) -> Requests:
        """Return the same with another patience, and connections of its own."""
        return Requests(self.place, replace(self.patience, **times), like=self)

    def where(self, key: str) -> dict[str, str]:
        """Return the parameters that name an object."""
        return {"Bucket": self.place.bucket, "Key": self.place.name(key)}

    def answer(
        self, deed: str, send: Callable[[], R], *, sure: Callable[[], None] | None = None
    ) -> Answer[R]:
        """Send until there is an answer. sure: called before each attempt; raises where none may be made.

        Errors: UnreachableError when patience is over, ConfigurationError without credentials.
        """
        doubtful = False
        attempt = 0
        while True:
            attempt += 1
            if sure:
                sure()
            try:
                return Answer(value=send(), doubtful=doubtful)
            except aws.ClientError as error:
                if not s3_errors.heals(error) and not s3_errors.is_web_page(error):
                    return Answer(error=error, doubtful=doubtful)
                failure: Exception = error
            except s3_errors.TRANSPORT as error:
                failure = error
            except aws.BotoCoreError as error:
                raise self.explained(error, deed) from None
            if attempt >= self._allowed(failure):
                raise self.explained(failure, deed) from None
            doubtful |= s3_errors.doubtful(failure)
            time.sleep(self.patience.wait(attempt, _retry_after(failure)))

    def value(self, deed: str, send: Callable[[], R], *, sure: Callable[[], None] | None = None) -> R:
        """Send until there is an answer; an error that the server sent is raised for the user."""
        answer = self.answer(deed, send, sure=sure)
        if answer.error:
            raise self.explained(answer.error, deed) from None
        return answer.value  # type: ignore[return-value]

    def explained(self, error: Exception, deed: str) -> Exception:
        """Return the error for the user."""
        return s3_errors.explain(error, self.place.address, self.endpoint, deed)

    def _allowed(self, failure: Exception) -> int:
        if not s3_errors.heals(failure):
            return 1
        if s3_errors.is_web_page(failure):
            return min(PAGE_ATTEMPTS, self.patience.attempts)
        if s3_errors.nobody_answered(failure):
            return min(CONNECT_ATTEMPTS, self.patience.attempts)
        return self.patience.attempts


_making = threading.Lock()  # sessions of boto3 are not for several threads; clients are


def _connect(place: Place, patience: Patience, like: Requests | None) -> tuple[Any, Any]:
    """Return a session and its client; both of their settings like another's, if one is given."""
    try:
        with _making:
            session = like._session if like else _session()
            client = _client(session, patience, like.endpoint if like else None)
    except s3_errors.NO_CREDENTIALS as error:
        raise s3_errors.no_credentials(place.address, error) from None
    except (aws.BotoCoreError, ValueError) as error:  # a profile, an endpoint or a region that cannot be
        raise UnreachableError(
            f"The store {place.address} cannot be opened: {' '.join(str(error).split()).rstrip('.')}.",
            "Check AWS_PROFILE, AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and the AWS configuration file.",
        ) from None
    _require_certificates(client.meta.endpoint_url, place)
    return session, client


def _session() -> Any:
    """Return a session whose models of services, a megabyte of JSON, this process reads once."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _models(session.get_config_variable("data_path")))
    return boto3.session.Session(botocore_session=session)


@cache
def _models(places: str | None) -> Any:
    return create_loader(places)


def _require_certificates(endpoint: str, place: Place) -> None:
    """Raise UnreachableError where a variable names certificates that are not there."""
    named = next((name for name in CERTIFICATES if os.environ.get(name)), None)
    if endpoint.startswith("https:") and named and not Path(os.environ[named]).exists():
        raise UnreachableError(
            f"The certificates for {place.address} are not there: {named} names {os.environ[named]}.",
            f"Set {named} to a file with the certificates of those who vouch for the server, or unset it.",
        )


def _client(session: Any, patience: Patience, endpoint: str | None) -> Any:
    region = session.region_name or os.environ.get("AWS_REGION")
    options: dict[str, Any] = {"config": _config(patience), "region_name": region, "endpoint_url": endpoint}
    if os.environ.get("SSL_CERT_FILE") and not os.environ.get("AWS_CA_BUNDLE"):
        options["verify"] = os.environ["SSL_CERT_FILE"]
    client = session.client("s3", **options)
    if not region and not _is_amazon(client.meta.endpoint_url):  # which knows no regions
        client = session.client("s3", **(options | {"region_name": "us-east-1"}))
    client.meta.events.register("before-call.s3.DeleteObjects", _add_md5)
    client.meta.events.register("before-parse.s3.DeleteObjects", _check_deleted)
    client.meta.events.register("before-parse.s3", _check_speech)
    return client


def _config(patience: Patience) -> Config:
    return Config(
        retries={"mode": "standard", "total_max_attempts": 1},  # ours, so that we know what was in doubt
        max_pool_connections=POOL,
        connect_timeout=patience.connect,
        read_timeout=patience.read,
        request_checksum_calculation="when_required",  # OpenStack and Ceph refuse botocore's default
        response_checksum_validation="when_required",
        user_agent_extra=f"wheelbuilder/{__version__}",
    )


def _is_amazon(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _add_md5(params: dict[str, Any], **_: Any) -> None:
    """Give a request the header that older servers want of it, where botocore sends a newer one."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def _check_speech(response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse what no S3 server says: a web page, or "elsewhere" without the region.

    botocore asks for that region again and again, until its recursion is too deep.
    """
    status, headers = response_dict["status_code"], response_dict["headers"]
    # OpenStack calls its answers html, too; what stands before a server gives them no such number.
    s3 = headers.get("etag") or headers.get("x-amz-request-id")
    page = "text/html" in headers.get("content-type", "") and not s3
    if (page and status not in PASSING) or (status in REDIRECTS and not headers.get("x-amz-bucket-region")):
        if not isinstance(response_dict["body"], bytes):
            response_dict["body"].close()
        if page:
            raise s3_errors.WebPageError("it answers with web pages")
        raise s3_errors.ElsewhereError(f"{status}: {headers.get('location') or 'it does not say where'}")


def _check_deleted(response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse an answer of any other kind, which botocore would take for "all are deleted"."""
    ok = response_dict["status_code"] == HTTPStatus.OK
    if ok and not re.search(rb"<(DeleteResult|Error)\b", response_dict["body"]):
        raise s3_errors.StrangeError("it does not say what it deleted")


def _retry_after(failure: Exception) -> float:
    if not isinstance(failure, aws.ClientError):
        return 0.0
    headers = failure.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    asked = str(headers.get("retry-after", ""))
    return float(asked) if asked.isdecimal() else 0.0
