"""A real registry on loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a registry with storage of its own, without a password; yields host and a free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nhttp: {{addr: {address}}}\nstorage: {{filesystem: {{rootdirectory: {folder}/s}}}}"
    )
    with (folder / "log").open("wb") as log:
        server_process = subprocess.Popen(("docker-registry", "serve", str(config)), stdout=log, stderr=log)
        try:
            _wait_for(f"http://{address}/v2/", server_process)
            yield address
        finally:
            server_process.terminate()
            server_process.wait(20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert server.poll() is None, "the registry ended"
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the registry does not answer")
