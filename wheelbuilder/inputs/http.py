"""HTTP as every room uses it: time-outs, retries of what can heal, and one error for the rest."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_netrc_auth
from urllib3.util import Retry

from wheelbuilder import __version__
from wheelbuilder.errors import ConfigurationError, UnreachableError
from wheelbuilder.inputs.texts import MOST
from wheelbuilder.shown import without_secrets

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
ATTEMPTS = 5
CONNECT_ATTEMPTS = 3  # where nobody listens, somebody waits for the message
HEALING = (429, 500, 502, 503, 504)  # status codes that a later attempt may not see
BACK_OFF = 0.5  # seconds before the second attempt, doubled for each later one
ERRNO = re.compile(r"\[Errno -?[0-9]+\] ")
CHUNK = 1 << 16  # bytes
PATIENCE = 60  # seconds: the longest wait that a server's Retry-After may ask for


def session(*, connections: int = 10, back_off: float = BACK_OFF) -> requests.Session:
    """Return a session that repeats what can heal."""
    retries = Retry(
        total=ATTEMPTS - 1,
        connect=CONNECT_ATTEMPTS - 1,
        backoff_factor=back_off,
        backoff_jitter=back_off / 2,
        status_forcelist=HEALING,
        raise_on_status=False,
        retry_after_max=PATIENCE,
    )
    made = requests.Session()
    made.headers["User-Agent"] = f"wheelbuilder/{__version__}"
    made.verify = os.environ.get("SSL_CERT_FILE") or True  # requests itself reads only its own variables
    adapter = HTTPAdapter(max_retries=retries, pool_maxsize=connections)
    for scheme in ("http://", "https://"):
        made.mount(scheme, adapter)
    return made


def fetch_text(url: str) -> str:
    """Fetch a text file; raises UnreachableError naming the URL, ConfigurationError if it is none.

    ConfigurationError also for one that is larger than what people write.
    """
    if not is_address(url):
        raise ConfigurationError(
            f"{url!r} is not the address of a file.", "Write http:// or https:// and a host."
        )
    with session() as connection:
        try:
            with connection.get(url, timeout=TIMEOUT, stream=True) as response:
                response.raise_for_status()
                body = beginning(response, MOST + 1)
        except requests.RequestException as error:
            raise unreachable(url, error) from None
    if len(body) > MOST:
        raise ConfigurationError(f"{shown(url)} gives more than {MOST >> 20} MiB.", "Check the address.")
    return body.decode(errors="replace")


def beginning(response: requests.Response, most: int) -> bytes:
    """Return the first bytes of a streamed body, all of it if it has not so many."""
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) >= most:
            break
    return bytes(body[:most])


def unreachable(url: str, error: Exception) -> UnreachableError:
    """Return the one error for an address that does not answer as it should."""
    return UnreachableError(
        f"{shown(url)} cannot be read: {_reason(error)}.",
        "Check the address and the network.",
        passing=may_pass(error),
    )


def may_pass(error: Exception) -> bool:
    """Say whether a request that failed may succeed a moment later."""
    response = getattr(error, "response", None)
    if response is not None:
        return response.status_code in HEALING
    if isinstance(error, requests.exceptions.SSLError):
        return False
    return isinstance(
        error,
        requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError,
    )


def is_address(text: str) -> bool:
    """Say whether a text is the address of something on the web."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def shown(url: str) -> str:
    """Return an address for messages and records: without a user's name, password and tokens."""
    parts = urlsplit(url)
    return without_secrets(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))


def bound(made: requests.Session, url: str) -> requests.Session:
    """Settle for one host what requests asks the environment on every call: proxies, certificates, netrc.

    For hundreds of small pages of one host, asking costs more than reading.
    """
    settings = made.merge_environment_settings(url, {}, None, None, None)
    made.proxies.update(settings["proxies"])
    made.verify = settings["verify"]
    made.auth = get_netrc_auth(url)
    made.trust_env = False
    return made


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}".rstrip()
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection breaks off"
    if isinstance(error, requests.ConnectionError):
        return f"no connection ({_root_cause(error)})"
    return str(error).rstrip(".")


def _root_cause(error: BaseException) -> str:
    for inner in error.args:
        reason = getattr(inner, "reason", None)
        if isinstance(reason, BaseException):
            return ERRNO.sub("", str(reason).rpartition(": ")[2]).rstrip(".")
    return ERRNO.sub("", str(error)).rstrip(".")
