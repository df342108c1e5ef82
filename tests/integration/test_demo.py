"""The main job end to end: the demo list is run, and real pip and real uv install what it published.

Everything is real: sdists from the upstream index, containers for both architectures, HTTP on loopback.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirrors import snapshot
from uv import find_uv_bin

from wheelbuilder.build import engine_probe, roots
from wheelbuilder.build.containers import ContainerExit, Mount
from wheelbuilder.build.process import Completed, run
from wheelbuilder.inputs.images import Catalogue, Role, default_path
from wheelbuilder.mirror.audit import audit
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.serve import Server, serving

pytestmark = [pytest.mark.engine, pytest.mark.network]

LIST = Path(__file__).parents[2] / "requirements-lists" / "demo.toml"
CHANNEL = "demo"
X86_64, AARCH64 = TARGETS = ("cp311-manylinux_2_36_x86_64", "cp311-manylinux_2_36_aarch64")
PINS = ("netifaces==0.11.0", "python-ldap==3.4.7", "jsonpath-rw==1.4.0", "PyYAML==6.0.3", "oslo.config")
BUILT = ("netifaces", "python-ldap", "jsonpath-rw")
CACHE = {name: os.environ[name] for name in ("XDG_CACHE_HOME",) if name in os.environ}
MODULES = "netifaces, ldap, _ldap, jsonpath_rw, yaml, oslo_config.cfg"
CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))


def demo(store: Path) -> Completed:
    """What `make demo` runs."""
    command = (sys.executable, "-m", "wheelbuilder", "run", str(LIST), "--store", str(store))
    return run(command, network=True, env=CACHE)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Completed]:
    store = tmp_path_factory.mktemp("demo") / "mirror"
    return store, demo(store)


@pytest.fixture(scope="module")
def mirror(built: tuple[Path, Completed]) -> Iterator[Server]:
    with serving(built[0]) as server:
        yield server


def test_ends_with_the_coverage_of_both_targets(built: tuple[Path, Completed]) -> None:
    store, done = built
    assert done.ok, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-len(TARGETS) :]
    assert [line.partition(":")[0] for line in last] == list(TARGETS)
    assert all(line.endswith("pins, nothing would be compiled") for line in last)
    assert audit(DirectoryStore(store), deep=True) == ()


def test_what_was_built_is_honest(built: tuple[Path, Completed]) -> None:
    names = sorted(path.name for path in (built[0] / "files").glob("*/*.whl"))
    projects = [name.partition("-")[0] for name in names]
    assert projects == ["jsonpath_rw", "netifaces", "netifaces", "python_ldap", "python_ldap"]
    assert names[0] == "jsonpath_rw-1.4.0-py3-none-any.whl"
    assert not any("-linux_" in name for name in names)
    assert sum("aarch64" in name for name in names) == 2


def test_run_record_says_what_happened(built: tuple[Path, Completed]) -> None:
    record = json.loads(next((built[0] / "runs").iterdir()).read_bytes())
    outcomes = {(it["project"], it["target"]): it["outcome"] for it in record["outcomes"]}
    assert len(outcomes) == len(BUILT) * len(TARGETS)
    assert outcomes["jsonpath-rw", AARCH64] == "covered"
    assert {outcome for pair, outcome in outcomes.items() if pair[0] != "jsonpath-rw"} == {"built"}
    assert all(
        (built[0] / step["log"]).exists()
        for it in record["outcomes"]
        for step in it["steps"]
        if "log" in step
    )


@pytest.mark.parametrize("target", TARGETS)
def test_pip_in_the_bare_root_installs_and_imports(target: str, mirror: Server, tmp_path: Path) -> None:
    gap = f"{mirror.url}channels/{CHANNEL}/simple/"
    before = len(mirror.requests)
    done = in_bare_root(
        target,
        tmp_path,
        'python3 -m pip install --quiet --no-cache-dir --only-binary :all: --target /tmp/site "$@"'
        f" && PYTHONPATH=/tmp/site python3 -c 'import {MODULES}; print(netifaces.interfaces())'",
        "--extra-index-url",
        gap,
        *PINS,
    )
    assert done.ok, done.stdout + done.stderr
    assert "'lo'" in done.stdout
    wheels = {
        request.path.rpartition("/")[2]
        for request in mirror.requests[before:]
        if request.path.endswith(".whl")
    }
    assert {name.partition("-")[0].replace("_", "-") for name in wheels} == set(BUILT)


@pytest.mark.parametrize("target", TARGETS)
def test_uv_resolves_from_the_whole_view_alone(target: str, mirror: Server) -> None:
    platform = "x86_64" if target == X86_64 else "aarch64"
    done = run(
        (
            *(find_uv_bin(), "--no-config", "--no-cache", "pip", "compile", "-", "--only-binary", ":all:"),
            *("--index-url", f"{mirror.url}channels/{CHANNEL}/whole/", "--python-version", "3.11.2"),
            *("--python-platform", f"{platform}-manylinux_2_36", "--no-header", "--no-annotate"),
        ),
        stdin="\n".join(PINS).encode(),
        network=True,
    )
    assert done.ok, done.stderr
    assert "netifaces==0.11.0" in done.stdout


def test_uv_installs_from_the_whole_view_alone(mirror: Server, tmp_path: Path) -> None:
    uv = (find_uv_bin(), "--no-config", "--no-cache")
    python = tmp_path / "venv" / "bin" / "python"
    assert run((*uv, "venv", "--python", sys.executable, str(tmp_path / "venv")), network=True).ok
    whole = ("--index-url", f"{mirror.url}channels/{CHANNEL}/whole/", "--only-binary", ":all:")
    pure = tuple(
        pin for pin in PINS if sys.version_info[:2] == (3, 11) or pin.startswith(("jsonpath", "PyY", "oslo"))
    )
    done = run((*uv, "pip", "install", "--python", str(python), *whole, *pure), network=True)
    assert done.ok, done.stderr


def test_second_run_starts_no_container_and_writes_nothing(
    built: tuple[Path, Completed], tmp_path: Path
) -> None:
    store, _ = built
    before = snapshot(store)
    counter = tmp_path / "bin" / "podman"
    counter.parent.mkdir()
    counter.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexit 1\n')
    counter.chmod(0o755)
    command = (sys.executable, "-m", "wheelbuilder", "run", str(LIST), "--store", str(store))
    done = run(command, network=True, env={"PATH": f"{counter.parent}:{os.environ['PATH']}"})
    assert done.ok, done.stderr
    assert "nothing was built and nothing was written" in done.stdout
    assert not (tmp_path / "calls").exists()
    assert snapshot(store) == before


def in_bare_root(target: str, scratch: Path, script: str, *arguments: str) -> ContainerExit:
    """Run a shell script in a target's bare root, with the network a consumer has."""
    catalogue = Catalogue.read(default_path())
    engine = engine_probe.find()
    image = roots.ensure(
        engine, catalogue.root(catalogue.target(target), Role.BARE), log=scratch / "root.log"
    )
    return engine.run(
        image,
        ("/bin/sh", "-c", script, "sh", *arguments),
        mounts=(Mount(source=CERTIFICATES, target="/ca.crt"),),
        env={"PIP_CERT": "/ca.crt", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        network=True,
        timeout=600,
    )
