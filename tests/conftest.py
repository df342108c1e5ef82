"""What tests of several rooms ask for by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SETUPTOOLS = "80.9.0"


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
