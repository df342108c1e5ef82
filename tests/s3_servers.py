"""Real S3 servers on loopback, each with fresh buckets; stopped by the ids of their processes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from wheelbuilder.mirror.s3 import S3Store

PATIENCE = 60.0  # seconds for a server to answer its first request


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs. log: what its processes print. opened: makes a bucket readable, gives its URL."""

    name: str
    endpoint: str
    access_key: str
    secret_key: str
    folder: Path
    log: Path
    opened: Callable[[Server, str], str]

    @property
    def env(self) -> dict[str, str]:
        """What a program needs to find it, and nothing of the user's own AWS configuration."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    def client(self) -> Any:
        """A plain boto3 client, for what is not the store's to do."""
        return plain_client(self.endpoint, self.access_key, self.secret_key)

    def await_buckets(self) -> None:
        """Wait until a bucket can be made: some servers answer before all of their parts do."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.client().create_bucket(Bucket="first")
            except (BotoCoreError, ClientError) as error:
                if time.monotonic() > end:
                    raise AssertionError(self.log.read_text(errors="replace")[-2000:]) from error
                time.sleep(0.1)
            else:
                return

    def new_bucket(self) -> FreshBucket:
        """Make a bucket that nobody else uses."""
        name = f"test-{secrets.token_hex(6)}"
        self.client().create_bucket(Bucket=name)
        return FreshBucket(server=self, bucket=name)


@cache
def plain_client(endpoint: str, access_key: str, secret_key: str) -> Any:
    """Make a client once for each server: loading boto3's description of S3 takes a tenth of a second."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )


@dataclass(frozen=True, kw_only=True)
class FreshBucket:
    """A bucket for one test."""

    server: Server
    bucket: str

    @property
    def endpoint(self) -> str:
        return self.server.endpoint

    @property
    def env(self) -> dict[str, str]:
        return self.server.env

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}"

    def store(self, prefix: str = "", *, endpoint: str | None = None, **options: Any) -> S3Store:
        """Open the bucket. endpoint: of a proxy before the server. options: those of S3Store."""
        env = self.env | ({"AWS_ENDPOINT_URL": endpoint} if endpoint else {})
        with environment(env):
            return S3Store("/".join(filter(None, (self.address, prefix))), **options)

    def make_public(self) -> str:
        """Let everybody read, and return the URL below which the keys are, without a slash at its end."""
        return self.server.opened(self.server, self.bucket)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables of this process for the length of the context."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def s3_server(name: str = "ministack") -> Iterator[FreshBucket]:
    """A running server with a fresh bucket; this process's environment points to it meanwhile."""
    with running(name) as server, environment(server.env):
        yield server.new_bucket()


@contextmanager
def running(name: str) -> Iterator[Server]:
    """Start a server in a folder of its own, and stop it."""
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True)
        yield stack.enter_context(STARTS[name](Path(stack.enter_context(folder))))


def missing(name: str) -> str:
    """Say what a server needs that is not installed here; "" if it can run."""
    absent = [program for program in NEEDS[name] if not find(program)]
    return f"{name} needs {', '.join(absent)}" if absent else ""


def find(program: str) -> str | None:
    """Return the path of a program, first of this Python's environment."""
    here = Path(sys.executable).parent
    return shutil.which(program, path=f"{here}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextmanager
def process(
    argv: list[str], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of a server's until the context is left."""
    program = find(argv[0])
    assert program, f"{argv[0]} is not installed"
    with log.open("ab") as output:
        started = subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(env or {}),
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def run(argv: list[str], **options: Any) -> str:
    """Run a program of a server's to its end; what it prints."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=PATIENCE, **options)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_answer(url: str, log: Path, statuses: tuple[int, ...] = (200, 403, 404)) -> None:
    """Wait until a URL is answered with one of these statuses."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except OSError:
            status = 0
        if status in statuses:
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def ministack(folder: Path) -> Iterator[Server]:
    """An emulator that is strict about conditions and checksums; keeps its data in a folder."""
    port, log = free_port(), folder / "log"
    env = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "data"),
    }
    with process(["ministack"], log, env):
        await_answer(f"http://127.0.0.1:{port}/", log)
        yield Server(
            name="ministack",
            endpoint=f"http://127.0.0.1:{port}",
            access_key="test",
            secret_key="test",
            folder=folder,
            log=log,
            opened=lambda server, bucket: f"{server.endpoint}/{bucket}",  # open to everybody as it is
        )


@contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """An emulator that keeps its data in memory."""
    port, log = free_port(), folder / "log"
    with process(["moto_server", "-H", "127.0.0.1", "-p", str(port)], log):
        await_answer(f"http://127.0.0.1:{port}/moto-api/", log)
        yield Server(
            name="moto",
            endpoint=f"http://127.0.0.1:{port}",
            access_key="test",
            secret_key="test",
            folder=folder,
            log=log,
            opened=open_by_policy,
        )


def open_by_policy(server: Server, bucket: str) -> str:
    """Allow everybody to get objects, as AWS and Ceph do it."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    server.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    return f"{server.endpoint}/{bucket}"


def _swift(folder: Path) -> AbstractContextManager[Server]:
    from s3_swift import swift

    return swift(folder)


def _radosgw(folder: Path) -> AbstractContextManager[Server]:
    from s3_ceph import radosgw

    return radosgw(folder)


NEEDS: dict[str, tuple[str, ...]] = {
    "ministack": ("ministack",),
    "moto": ("moto_server",),
    "swift": ("swift-proxy-server", "swift-ring-builder", "memcached"),
    "radosgw": ("ceph-mon", "ceph-mgr", "ceph-osd", "ceph", "radosgw", "radosgw-admin"),
}
STARTS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "ministack": ministack,
    "moto": moto,
    "swift": _swift,
    "radosgw": _radosgw,
}
# Which of them the tests run on: those that start within seconds, or as the environment says.
SERVERS = tuple(os.environ.get("S3_SERVERS", "ministack swift").split())
