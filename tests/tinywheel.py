"""Tiny real wheels for tests: valid enough for pip and uv to install."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str = "tiny",
    version: str = "1.0",
    tag: str = "py3-none-any",
    *,
    build: str = "",
    requires_python: str = "",
    requires: tuple[str, ...] = (),
    body: str = "",
    metadata: bytes | None = None,
) -> Path:
    """Write a wheel with one module, named like the project, that holds `body`."""
    escaped = name.replace("-", "_").replace(".", "_").lower()
    info = f"{escaped}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    lines += [f"Requires-Python: {requires_python}\n"] if requires_python else []
    lines += [f"Requires-Dist: {required}\n" for required in requires]
    files = {
        f"{escaped}.py": f"VERSION = {version!r}\n{body}\n".encode(),
        f"{info}/METADATA": "".join(lines).encode() if metadata is None else metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    files[f"{info}/RECORD"] = "".join(_record(files, info)).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "-".join(filter(None, (escaped, version, build, f"{tag}.whl")))
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in files.items():
            archive.writestr(zipfile.ZipInfo(member), data)  # a fixed date: same arguments, same bytes
    return path


def _record(files: dict[str, bytes], info: str) -> list[str]:
    def digest(data: bytes) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")

    rows = [f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items()]
    return [*rows, f"{info}/RECORD,,\n"]
