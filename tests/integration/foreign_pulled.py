"""Real projects in an image pulled by its digest, with clang and emulated: `make test-foreign` runs it.

What stands in for an image of the Python Packaging Authority is standin.py's; the registry is real.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import standin
from builds import FOREIGN
from click.testing import CliRunner
from engines import engine
from registries import serving
from wheel_differences import differences

from wheelbuilder.build.roots import remove
from wheelbuilder.cli.doctor import command as doctor
from wheelbuilder.cli.images import command as images
from wheelbuilder.inputs.images import Catalogue, Role
from wheelbuilder.inputs.rungs import Rung

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.integration]

C = {"markupsafe": "3.0.3", "msgpack": "1.1.2"}
OTHERS = {"greenlet": "3.2.4", "contourpy": "1.3.3"}  # C++, with setuptools and with Meson
HIDDEN = ("/opt/rh", "/usr/include")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The stand-in, pushed to a registry and named there by its digest."""
    folder = tmp_path_factory.mktemp("pulled")
    local = Catalogue.read(standin.here(folder)).families[standin.FAMILY].roots[FOREIGN.arch, Role.BUILD]
    with serving(folder) as address:
        name = f"{address}/wheels/standin"
        engine().call("tag", local.tag, f"{name}:latest")
        told = folder / "digest"
        engine().call("push", "--tls-verify=false", "--quiet", "--digestfile", str(told), f"{name}:latest")
        engine().call("rmi", f"{name}:latest")
        path = standin.table(folder, f"{name}@{told.read_text().strip()}", HIDDEN)
        yield path
        for root in Catalogue.read(path).families[standin.FAMILY].roots.values():
            if engine().has(root.tag):
                remove(engine(), root.tag)


def rebuilt(folder: Path, table: Path, rung: Rung, pins: dict[str, str]) -> dict[str, Path]:
    """Build projects, whatever wheels there are, on one rung alone, and return their wheels."""
    folder.mkdir()
    (folder / "pins.txt").write_text("".join(f"{name}==={version}\n" for name, version in pins.items()))
    (folder / "list.toml").write_text(
        f'channel = "pulled"\ntargets = ["{standin.TARGET}"]\nbranches.one = "pins.txt"\n'
    )
    words = ("rebuild", str(folder / "list.toml"), *pins, "--force", "--target", standin.TARGET, "--json")
    more = ("--store", str(folder / "store"), "--rung", rung.value, "--images", str(table))
    argv = (sys.executable, "-m", "wheelbuilder", *words, *more)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=7200, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["project"]: (row["outcome"], row["rung"]) for row in json.loads(done.stdout)["outcomes"]}
    assert rows == dict.fromkeys(pins, ("built", rung))
    return {name: next((folder / "store/files").glob(f"*/{name}-*.whl")) for name in pins}


def test_projects_are_built_with_clang_and_those_in_c_as_if_emulated(table: Path, tmp_path: Path) -> None:
    ours = rebuilt(tmp_path / "ours", table, Rung.TOOLCHAIN, C | OTHERS)
    theirs = rebuilt(tmp_path / "theirs", table, Rung.EMULATED, C)
    for name in C:
        assert not [str(it) for it in differences(ours[name], theirs[name]) if it.matters]


def test_what_is_said_of_the_image(table: Path) -> None:
    words = ("--family", standin.FAMILY, "--images", str(table))
    made = CliRunner().invoke(images, ("toolchain", *words))
    assert made.stdout.startswith(f"trixie-{FOREIGN.arch}-clang "), made.output
    found = CliRunner().invoke(doctor, ("--images", str(table), "--json"))
    rows = {row["subject"]: row for row in json.loads(found.stdout)}
    row = rows[f"trixie-{FOREIGN.arch}-clang in {standin.FAMILY}"]
    assert row["words"] == "compiles, links and runs C, C++ with clang"
