"""What an S3 server or the way to it can answer: what heals, what may have taken place, what to tell."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from wheelbuilder.errors import ConfigurationError, UnreachableError, WheelbuilderError

# Conflicts that a later attempt may not see: the server was arbitrating between two requests.
CONFLICTS = ("ConditionalRequestConflict", "OperationAborted", "ConcurrentModification")
# 400s that say that the request did not arrive as it was sent.
GARBLED = ("BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch", "InvalidDigest")
FULL = ("QuotaExceeded", "EntityTooLarge", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull")
ELSEWHERE = (
    *("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    *("IncorrectEndpoint", "301", "307"),
)
UNKNOWN_KEY = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "TokenRefreshRequired",
)
FORBIDDEN = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "MethodNotAllowed", "403", "405")
NO_CREDENTIALS = (
    *(aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError),
    *(aws.TokenRetrievalError, aws.SSOError),
)


class GarbledError(Exception):
    """An answer that is not what was stored or asked for: cut short, altered, or of another protocol."""


class StrangeError(GarbledError):
    """An answer without what every S3 server says."""


class WebPageError(StrangeError):
    """An answer that is a web page: whoever sent it is not an S3 server."""


class ElsewhereError(GarbledError):
    """An answer that sends us elsewhere in words that S3 servers do not use."""


# Everything that the transport raises; what else botocore raises is about credentials and settings.
TRANSPORT = (aws.HTTPClientError, aws.IncompleteReadError, ResponseParserError, HTTPError, GarbledError)


def status_of(error: aws.ClientError) -> int:
    """Return the HTTP status of an error that the server sent."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


def code_of(error: aws.ClientError) -> str:
    """Return the error code that the server sent, or the status where an answer had no body."""
    return str(error.response.get("Error", {}).get("Code") or status_of(error))


def heals(error: Exception) -> bool:
    """Say whether another attempt may see another answer."""
    if not isinstance(error, aws.ClientError):
        return not (is_untrusted(error) or isinstance(error, ElsewhereError))
    status, code = status_of(error), code_of(error)
    if code in FULL or status in (HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.INSUFFICIENT_STORAGE):
        return False
    passing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return status >= 500 or status in passing or code in (*CONFLICTS, *GARBLED, "SlowDown")


def nobody_answered(error: Exception) -> bool:
    """Say whether the request was certainly not received: no connection came about."""
    never = (aws.EndpointConnectionError, aws.ConnectTimeoutError, aws.ProxyConnectionError)
    return isinstance(error, never)


def doubtful(error: Exception) -> bool:
    """Say whether the request may have taken place although it seems to have failed."""
    if isinstance(error, aws.ClientError):
        return status_of(error) >= 500 or status_of(error) == HTTPStatus.REQUEST_TIMEOUT
    return not nobody_answered(error)


def is_untrusted(error: Exception) -> bool:
    """Say whether nobody here vouches for the server's certificate."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def is_web_page(error: Exception) -> bool:
    """Say whether the answer was a web page: whoever sent it is not an S3 server."""
    unparsable = isinstance(error, ResponseParserError) and "<html" in str(error).lower()
    return unparsable or isinstance(error, WebPageError)


def explain(error: Exception, address: str, endpoint: str, deed: str) -> WheelbuilderError:
    """Return the one error for the user. deed: what was tried, such as "reading a/b"."""
    if is_web_page(error):
        return not_s3(address, endpoint, "it answers with web pages")
    if isinstance(error, aws.ClientError):
        return _refused(error, address, endpoint, deed)
    if isinstance(error, NO_CREDENTIALS):
        return no_credentials(address, error)
    if isinstance(error, ResponseParserError):
        return not_s3(address, endpoint, "its answers cannot be parsed")
    if isinstance(error, ElsewhereError):
        return _elsewhere(address, str(error))
    if isinstance(error, StrangeError):
        return not_s3(address, endpoint, str(error))
    if is_untrusted(error):
        return UnreachableError(
            f"The certificate of {endpoint} for the store {address} is not trusted here: {_words(error)}.",
            "Set AWS_CA_BUNDLE to the file with the certificates of those who vouch for it.",
        )
    what = "cannot be reached" if nobody_answered(error) else "does not answer as it should"
    return UnreachableError(
        f"The store {address} {what} at {endpoint}, {deed}: {_words(error)}.",
        "Check AWS_ENDPOINT_URL (or endpoint_url of the profile) and the network, then run again.",
    )


def no_credentials(address: str, error: Exception) -> UnreachableError:
    """Return the error for credentials that are not there, not whole, or cannot be fetched."""
    return UnreachableError(
        f"There are no usable credentials for the store {address}: {_words(error)}.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
    )


def not_s3(address: str, endpoint: str, why: str) -> UnreachableError:
    """Return the error for a server that speaks something else."""
    return UnreachableError(
        f"What answers at {endpoint} for the store {address} is not an S3 server: {why}.",
        "Set AWS_ENDPOINT_URL to the address of the S3 interface, without the bucket.",
    )


def _refused(error: aws.ClientError, address: str, endpoint: str, deed: str) -> WheelbuilderError:
    code, status = code_of(error), status_of(error)
    if code == "NoSuchBucket":
        return ConfigurationError(
            f"The bucket of the store {address} does not exist at {endpoint}.",
            "Create it, or check the name and AWS_ENDPOINT_URL.",
        )
    if code in ELSEWHERE:
        return _elsewhere(address, _said(error), _region(error))
    if code == "RequestTimeTooSkewed":
        return UnreachableError(
            f"The clock here and that of the store {address} differ too much ({_said(error)}).",
            "Set the clock of this machine, then run again.",
        )
    if code in UNKNOWN_KEY:
        return UnreachableError(
            f"The credentials for the store {address} are not accepted at {endpoint} ({_said(error)}).",
            "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile.",
        )
    if code in FULL or status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INSUFFICIENT_STORAGE):
        return UnreachableError(
            f"The store {address} is full, or the object larger than it takes, {deed} ({_said(error)}).",
            "Make room or raise the quota, then run again; nothing is half-published.",
        )
    if code in FORBIDDEN or status == HTTPStatus.FORBIDDEN:
        return UnreachableError(
            f"The store {address} does not allow {deed} with these credentials ({_said(error)}).",
            "Give them the right to get, put, list and delete objects there, or use others.",
        )
    return UnreachableError(
        f"The store {address} refused {deed}: {_said(error)}.", "See the server's log, then run again."
    )


def _elsewhere(address: str, said: str, region: str = "") -> UnreachableError:
    return UnreachableError(
        f"The bucket of the store {address} is in another region or endpoint ({said}).",
        f"Set AWS_DEFAULT_REGION{region}, or AWS_ENDPOINT_URL to the bucket's own endpoint.",
    )


def _said(error: aws.ClientError) -> str:
    words = str(error.response.get("Error", {}).get("Message") or "").strip().rstrip(".")
    return f"{code_of(error)}: {words[:200]}" if words else code_of(error)


def _region(error: aws.ClientError) -> str:
    told: dict[str, Any] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = told.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    return f"={region}" if region else ""


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
