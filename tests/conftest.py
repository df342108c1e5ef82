"""What tests of several rooms ask for by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from s3_servers import FreshBucket, Server

SETUPTOOLS = "80.9.0"


def pytest_configure() -> None:
    """Let processes that tests start hear SIGINT, where a shell has started us in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a module in one process, all those with containers in the first: they count each other's."""
    engine = {item.path for item in items if item.get_closest_marker("engine")}
    items.sort(key=lambda item: item.path not in engine)
    for item in items:
        group = "engine" if item.path in engine else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def setuptools_wheel(pytestconfig: pytest.Config) -> Path:
    """The real setuptools wheel, fetched once and kept in pytest's cache folder."""
    folder: Path = pytestconfig.cache.mkdir("wheels")
    wheel = folder / f"setuptools-{SETUPTOOLS}-py3-none-any.whl"
    if not wheel.exists():
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        argv += ["--disable-pip-version-check", "--dest", str(folder), f"setuptools=={SETUPTOOLS}"]
        subprocess.run(argv, check=True, timeout=300)
    return wheel


@pytest.fixture(scope="session")
def s3_servers() -> Iterator[Callable[[str], Server]]:
    """Starts S3 servers by name, each once; skips where one is not installed, unless it was asked for."""
    from s3_servers import missing, running

    started: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(name: str) -> Server:
            if reason := missing(name):
                if "S3_SERVERS" in os.environ:
                    pytest.fail(reason)
                pytest.skip(reason)
            if name not in started:
                started[name] = stack.enter_context(running(name))
            return started[name]

        yield start


@pytest.fixture
def s3_bucket(s3_servers: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch) -> FreshBucket:
    """A fresh bucket of the default server; the environment of this process points to it."""
    bucket = s3_servers("ministack").new_bucket()
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)
    return bucket
