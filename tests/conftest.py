"""What tests of several rooms ask for by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from s3_servers import FreshBucket, Server

SETUPTOOLS = "80.9.0"
# Modules that take half a minute or more, the longest first.
LONG = (
    "test_interrupted_runs",
    "test_native_cython",
    "test_ladder",
    "test_native_meson",
    "test_rust_builds",
    "test_clang",
    "test_compilers",
    "test_broken_runs",
    "test_engine",
    "test_run",
    "test_repair_store",
    "test_many_writers",
    "test_s3_deaths",
    "test_demo",
    "test_sync",
    "test_store",
    "test_bad_members",
    "test_s3",
    "test_remembered_failures",
)


def pytest_configure() -> None:
    """Let processes that tests start hear SIGINT, where a shell has started us in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that take long first, then those with many tests: the small ones even things out."""
    sizes = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[int, int]:
        name = item.path.stem
        return LONG.index(name) if name in LONG else len(LONG), -sizes[item.path]

    items.sort(key=place)


class _ByModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist's schedulers are not typed
    """Keeps a module in one process; the order of modules is ours."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByModule:
    """Share the tests out by module. (xdist 3.8 does not see its own groups under pytest 9.2.)"""
    return _ByModule(config, log)


@pytest.fixture(scope="session")
def setuptools_wheel(pytestconfig: pytest.Config) -> Path:
    """The real setuptools wheel, fetched once and kept in pytest's cache folder."""
    folder: Path = pytestconfig.cache.mkdir("wheels")
    wheel = folder / f"setuptools-{SETUPTOOLS}-py3-none-any.whl"
    if not wheel.exists():
        # Another process may fetch it too.
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            argv += ["--disable-pip-version-check", "--dest", fresh, f"setuptools=={SETUPTOOLS}"]
            subprocess.run(argv, check=True, timeout=300)
            Path(fresh, wheel.name).replace(wheel)
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
