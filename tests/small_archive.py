"""A Debian archive of one package on loopback, as apt reads it; made with dpkg's own programs."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

CONTROL = """Package: {name}
Version: 1.0
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: a file
"""


class SmallArchive:
    """The archive, made in a folder that is not there yet. Its suite is called `small`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.package = folder / f"{name}_1.0_all.deb"
        self.lists = folder / "dists/small/main/binary-amd64"
        self.lists.mkdir(parents=True)
        tree = folder / "tree"
        for path, text in (("DEBIAN/control", CONTROL.format(name=name)), (f"usr/share/{name}", "here\n")):
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        build = ("dpkg-deb", "--root-owner-group", "--build", str(tree), str(self.package))
        subprocess.run(build, check=True, capture_output=True)
        data = self.package.read_bytes()
        facts = (
            f"Filename: {self.package.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
        self.announce(f"{CONTROL.format(name=name)}{facts}\n".encode())

    def announce(self, lists: bytes) -> None:
        """Write the list of packages and the release that names it by size and digest."""
        (self.lists / "Packages").write_bytes(lists)
        row = f" {hashlib.sha256(lists).hexdigest()} {len(lists)} main/binary-amd64/Packages\n"
        head = "Origin: small\nCodename: small\nArchitectures: amd64\nComponents: main\n"
        date = "Date: Sun, 01 Nov 2026 00:00:00 UTC\n"
        (self.folder / "dists/small/Release").write_text(f"{head}{date}SHA256:\n{row}")

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve it, and give the line of sources.list that reads it; it is not signed."""
        handler = partial(QuietHandler, directory=str(self.folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield f"deb [trusted=yes] http://127.0.0.1:{server.server_port} small main"
            server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
