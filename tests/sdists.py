"""Real sdists made by code, an index that serves them, and the real command line run on a list of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simple_index import Answer, SimpleIndex, entry

TARGET = "cp311-manylinux_2_36_x86_64"
EPOCH = 1_700_000_000
ROOT = Path(__file__).parent.parent

# A PEP 517 backend that needs nothing but the standard library, so that a build takes a second.
BACKEND = """
import base64, hashlib, os, subprocess, sys, sysconfig, zipfile
NAME, VERSION = {name!r}, {version!r}
PYTHON = "cp{{}}{{}}".format(*sys.version_info)


def pack(folder, files, name=NAME, version=VERSION, tag="py3-none-any", requires=()):
    info = f"{{name}}-{{version}}.dist-info"
    pure = tag.endswith("-any")
    files = dict(files)
    head = f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n"
    files[f"{{info}}/METADATA"] = (head + "".join(f"Requires-Dist: {{it}}\\n" for it in requires)).encode()
    files[f"{{info}}/WHEEL"] = (
        "Wheel-Version: 1.0\\nGenerator: t\\n"
        f"Root-Is-Purelib: {{str(pure).lower()}}\\nTag: {{tag}}\\n".encode()
    )
    rows = []
    for member, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{{member}},sha256={{digest}},{{len(data)}}\\n")
    files[f"{{info}}/RECORD"] = "".join([*rows, f"{{info}}/RECORD,,\\n"]).encode()
    wheel = f"{{name}}-{{version}}-{{tag}}.whl"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(zipfile.ZipInfo(member, (2023, 11, 14, 22, 13, 20)), data)
    return wheel


def compiled(source, *flags):
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    include = sysconfig.get_paths()["include"]
    out = "/tmp/made.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-I" + include, source, "-o", out, *flags], check=True)
    with open(out, "rb") as file:
        return suffix, file.read()


def pure(folder, **options):
    return pack(folder, {{f"{{NAME}}.py": b"VALUE = 42\\n"}}, **options)


def native(folder, source=NAME + ".c", *flags):
    suffix, data = compiled(source, *flags)
    machine = sysconfig.get_platform().replace("-", "_")
    return pack(folder, {{NAME + suffix: data}}, tag=f"{{PYTHON}}-{{PYTHON}}-{{machine}}")


def build_wheel(folder, config_settings=None, metadata_directory=None):
{body}
"""
PYPROJECT = '[build-system]\nrequires = {requires}\nbuild-backend = "backend"\nbackend-path = ["."]\n'
EXTENSION = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "{name}", NULL, -1, NULL}};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModule_Create(&module); }}
"""


@dataclass(frozen=True, kw_only=True)
class Sdist:
    """A source distribution as bytes."""

    name: str
    version: str
    data: bytes

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}.tar.gz"


def sdist(name: str, files: Mapping[str, str | bytes], version: str = "1.0") -> Sdist:
    """Pack files into an sdist; equal files give equal bytes."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w") as archive,
    ):
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size, member.mtime, member.mode = len(data), EPOCH, 0o644
            archive.addfile(member, io.BytesIO(data))
    return Sdist(name=name, version=version, data=buffer.getvalue())


def in_tree(
    name: str,
    body: str = "return pure(folder)",
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
    before: str = "",
    files: Mapping[str, str | bytes] | None = None,
) -> Sdist:
    """An sdist with a backend of its own. body: of its build_wheel hook. before: beside the hook."""
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    backend = BACKEND.format(name=name, version=version, body=indented) + before
    pyproject = PYPROJECT.format(requires=json.dumps(list(requires)))
    return sdist(name, {"pyproject.toml": pyproject, "backend.py": backend, **(files or {})}, version)


def extension(name: str, version: str = "1.0") -> Sdist:
    """An sdist with a C extension, built by its own backend."""
    return in_tree(
        name, "return native(folder)", version=version, files={f"{name}.c": EXTENSION.format(name=name)}
    )


def with_setuptools(name: str, version: str = "1.0", *, requires: str = "setuptools") -> Sdist:
    """An sdist with a C extension, built by setuptools."""
    setup = (
        "from setuptools import Extension, setup\n"
        f"setup(name={name!r}, version={version!r}, ext_modules=[Extension({name!r}, [{name + '.c'!r}])])\n"
    )
    files = {"setup.py": setup, f"{name}.c": EXTENSION.format(name=name)}
    if requires:
        files["pyproject.toml"] = f'[build-system]\nrequires = ["{requires}"]\n'
    return sdist(name, files, version)


class FileIndex(SimpleIndex):
    """A simple index that serves its files too."""

    def __enter__(self) -> FileIndex:
        super().__enter__()
        return self

    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[str, list[dict[str, Any]]] = {}

    @property
    def base(self) -> str:
        return self.url.removesuffix("simple/")

    def add(self, filename: str, data: bytes, *, served: bytes | None = None, **values: Any) -> None:
        """List a file on its project's page. served: what a download gives instead of the data."""
        project = filename.split("-")[0].lower().replace("_", "-")
        self._answers[f"/files/{filename}"] = deque(
            [Answer(body=data if served is None else served, content_type="application/octet-stream")]
        )
        listed = entry(
            filename,
            url=f"{self.base}files/{filename}",
            hashes={"sha256": hashlib.sha256(data).hexdigest()},
            size=len(data),
            **values,
        )
        self._pages.setdefault(project, []).append(listed)
        self.page(project, self._pages[project])

    def answers(self, path: str, *answers: Answer) -> None:
        """Answer a path so, in turn."""
        self._answers[path] = deque(answers)

    def offer(self, *sdists: Sdist) -> None:
        for made in sdists:
            self.add(made.filename, made.data)

    def offer_wheel(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            (metadata,) = (
                archive.read(name)
                for name in archive.namelist()
                if name.endswith(".dist-info/METADATA") and name.count("/") == 1
            )
        self.answers(f"/files/{path.name}.metadata", Answer(body=metadata, content_type="text/plain"))
        told: dict[str, Any] = {"core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()}}
        self.add(path.name, path.read_bytes(), **told)


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """A list with its recipes and a store, and the command line that works on them."""

    folder: Path
    index: FileIndex
    targets: tuple[str, ...] = (TARGET,)
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def list_path(self) -> Path:
        return self.folder / "list.toml"

    def write(self, pins: Sequence[Sdist | str], extra: str = "") -> None:
        """Write the list. pins: sdists, or whole lines of the constraints file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [pin if isinstance(pin, str) else f"{pin.name}==={pin.version}" for pin in pins]
        (self.folder / "pins.txt").write_text("".join(f"{line}\n" for line in lines))
        self.list_path.write_text(
            f'channel = "test"\ntargets = {json.dumps(list(self.targets))}\nupstream = "{self.index.url}"\n'
            f'branches.main = "pins.txt"\n{extra}'
        )

    def recipe(self, name: str, text: str, **files: str) -> None:
        folder = self.folder / "recipes"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.toml").write_text(text)
        for filename, content in files.items():
            (folder / filename.replace("__", ".")).write_text(content)

    def run(self, *words: str, timeout: float = 300) -> Ended:
        """`wheelbuilder run --json` on the list and the store."""
        return cli(
            "run", str(self.list_path), "--store", str(self.store), "--json", *words,
            env=self.env, timeout=timeout,
        )  # fmt: skip

    def start(self, *words: str, quiet: bool = True) -> subprocess.Popen[bytes]:
        """Start a run and do not wait for it."""
        output = subprocess.DEVNULL if quiet else subprocess.PIPE
        return subprocess.Popen(
            [*COMMAND, "run", str(self.list_path), "--store", str(self.store), *words],
            env={**os.environ, **self.env}, stdout=output, stderr=output, cwd=ROOT,
        )  # fmt: skip

    @staticmethod
    def log_says(process: subprocess.Popen[bytes], *words: str) -> bool:
        """Read the next line of a started run's progress and say whether it has all the words."""
        assert process.stderr
        line = process.stderr.readline().decode()
        assert line or process.poll() is None, "it ended early"
        return all(word in line for word in words)

    def audit(self) -> Ended:
        return cli("audit", str(self.store), "--deep", env=self.env)

    def kept(self) -> list[str]:
        return sorted(
            path.relative_to(self.store).as_posix()
            for path in self.store.rglob("*")
            if path.is_file() and ".wheelbuilder" not in path.parts
        )

    def wheels(self) -> list[str]:
        return sorted(path.name for path in self.store.glob("files/*/*.whl"))

    def log(self, outcome: Mapping[str, Any], step: str) -> str:
        """What a step of an outcome printed in its last attempt, read from the store."""
        *_, key = [row["log"] for row in outcome["steps"] if row["step"] == step and "log" in row]
        return gzip.decompress((self.store / key).read_bytes()).decode(errors="replace")


COMMAND = (sys.executable, "-m", "wheelbuilder")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended. driver: the id that its process had."""

    driver: int
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.stdout)
        return read

    @property
    def outcomes(self) -> dict[str, dict[str, Any]]:
        return {row["project"]: row for row in self.document["outcomes"]}


def cli(*words: str, env: Mapping[str, str] | None = None, timeout: float = 300) -> Ended:
    """Run the real command line; a traceback is never an answer."""
    started = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, *words],
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except BaseException:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        raise
    ended = Ended(
        driver=process.pid,
        code=process.returncode,
        stdout=stdout.decode(),
        stderr=stderr.decode(errors="replace"),
        seconds=time.monotonic() - started,
    )
    assert "Traceback (most recent call last)" not in "\n".join(
        line for line in ended.stderr.splitlines() if not line.startswith("    ")
    ), ended.stderr
    return ended
