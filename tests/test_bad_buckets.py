"""Buckets that cannot be used, through the command line: one clear error each, soon, and nothing written."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import s3_answers as answers
from commands import Said, command
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mirrors import NOW, wheel_change
from s3_answers import always, answering, unwritable
from s3_servers import free_port

from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.s3_client import CERTIFICATES

BUCKET = "s3://wheels/some/prefix"
MOST_REQUESTS = 20  # of one command, repetitions included
READ, WRITE = ("channel", "list", "--store", BUCKET), ("sync", "MIRROR", BUCKET)
IMPORT = ("import", "WHEEL", "--channel", "c", "--no-upstream", "--store", BUCKET)

UNUSABLE: dict[str, tuple[answers.Rule, int, str, str]] = {
    "no rights": (always(answers.DENIED), 3, "does not allow", "Give them the right"),
    "another region": (always(answers.MOVED), 3, "is in another region", "AWS_DEFAULT_REGION=xx-north-7"),
    "signed for another": (always(answers.MALFORMED), 3, "another region", "AWS_DEFAULT_REGION=xx-north-7"),
    "sent nowhere": (always(answers.NOWHERE), 3, "another region or endpoint (302: https://login", ""),
    "a wrong clock": (always(answers.SKEWED), 3, "The clock here", "Set the clock"),
    "an old token": (always(answers.EXPIRED), 3, "are not accepted", "AWS_SESSION_TOKEN"),
    "an unknown key": (always(answers.UNKNOWN), 3, "are not accepted", "AWS_ACCESS_KEY_ID"),
    "a wrong key": (always(answers.MISMATCH), 3, "are not accepted", "AWS_SECRET_ACCESS_KEY"),
    "no bucket": (always(answers.MISSING), 2, "does not exist at", "Create it"),
    "a login page": (always(answers.LOGIN), 3, "is not an S3 server", "AWS_ENDPOINT_URL"),
    "a way to a login page": (always(answers.REDIRECT), 3, "is not an S3 server", "AWS_ENDPOINT_URL"),
    "a proxy that asks who": (always(answers.PROXY), 3, "is not an S3 server", "AWS_ENDPOINT_URL"),
    "a proxy that refuses": (always(answers.BLOCKED), 3, "is not an S3 server", "AWS_ENDPOINT_URL"),
}
UNWRITABLE: dict[str, tuple[answers.Rule, str, str]] = {
    "read-only": (unwritable(answers.DENIED), "does not allow writing", "Give them the right"),
    "full": (unwritable(answers.FULL), "is full", "Make room"),
    "over its quota": (unwritable(answers.QUOTA), "is full", "raise the quota"),
}


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs a command with credentials of a kind, and nothing of the user's own configuration."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "k")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    change = wheel_change(tmp_path)
    publish(DirectoryStore(tmp_path / "mirror"), "stable", [change], run="", now=NOW)
    places = {"MIRROR": tmp_path / "mirror", "WHEEL": change.wheels[0].path}

    def run(endpoint: str, *words: str) -> Said:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        return command(*(places.get(word) or word for word in words))

    return run


@pytest.mark.parametrize("words", [READ, WRITE, IMPORT], ids=["read", "copy", "import"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_bucket_that_is_not_to_be_had(
    name: str, words: tuple[str, ...], tried: Callable[..., Said]
) -> None:
    rule, code, what, hint = UNUSABLE[name]
    with answering(rule) as (endpoint, came):
        ended = tried(endpoint, *words)
    assert ended.code == code and what in ended.error and BUCKET in ended.error and hint in ended.err
    assert ended.error.isprintable() and ended.out == "" and 0 < len(came) <= MOST_REQUESTS


@pytest.mark.parametrize("words", [WRITE, IMPORT], ids=["copy", "import"])
@pytest.mark.parametrize("name", UNWRITABLE)
def test_a_bucket_that_cannot_be_written(
    name: str, words: tuple[str, ...], tried: Callable[..., Said]
) -> None:
    rule, what, hint = UNWRITABLE[name]
    with answering(rule) as (endpoint, came):
        ended = tried(endpoint, *words)
        assert tried(endpoint, *READ).out == f"{BUCKET} has no channels.\n"
    assert ended.code == 3 and what in ended.error and hint in ended.err and len(came) <= MOST_REQUESTS


@pytest.mark.parametrize("words", [READ, WRITE, IMPORT], ids=["read", "copy", "import"])
class TestTheWay:
    def test_nobody_listens(self, words: tuple[str, ...], tried: Callable[..., Said]) -> None:
        endpoint = f"http://127.0.0.1:{free_port()}"
        ended = tried(endpoint, *words)
        assert ended.code == 3 and "cannot be reached" in ended.error and endpoint in ended.error

    def test_no_credentials(
        self, words: tuple[str, ...], tried: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        with answering(always(answers.DENIED)) as (endpoint, came):
            ended = tried(endpoint, *words)
        assert ended.code == 3 and "no usable credentials" in ended.error and came == []
        assert "AWS_PROFILE" in ended.err

    def test_an_unknown_certificate(
        self, words: tuple[str, ...], tried: Callable[..., Said], tls: ssl.SSLContext
    ) -> None:
        with answering(always(answers.DENIED), tls) as (endpoint, came):
            ended = tried(endpoint, *words)
        assert ended.code == 3 and "is not trusted here" in ended.error and came == []
        assert "AWS_CA_BUNDLE" in ended.err

    def test_a_certificate_file_that_is_not_there(
        self, words: tuple[str, ...], tried: Callable[..., Said], tls: ssl.SSLContext, tmp_path: Path
    ) -> None:
        with answering(always(answers.DENIED), tls) as (endpoint, _):
            for name in CERTIFICATES:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv(name, str(tmp_path / "nowhere.pem"))
                    ended = tried(endpoint, *words)
                assert ended.code == 3 and f"{name} names {tmp_path}/nowhere.pem" in ended.error

    def test_a_name_that_is_none(self, words: tuple[str, ...], tried: Callable[..., Said]) -> None:
        ended = tried("http://nowhere.invalid", *words)
        assert ended.code == 3 and "nowhere.invalid" in ended.error

    def test_secrets_in_the_endpoint(self, words: tuple[str, ...], tried: Callable[..., Said]) -> None:
        ended = tried(f"http://me:hush@127.0.0.1:{free_port()}", *words)
        assert ended.code in (2, 3) and "hush" not in ended.err


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side of TLS with a certificate that nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    made = made.not_valid_after(now + datetime.timedelta(days=1))
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
