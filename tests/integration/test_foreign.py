"""Real projects in C and C++ for foreign targets: built by the native toolchain, imported in the bare root.

One of them for one target by default; FOREIGN_TARGETS names targets for which all of them are built, and one
in Rust on two rungs.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from engines import engine, log_of
from rust_sdists import rust, told
from sdists import FileIndex, Workplace
from test_toolchain import FOREIGN
from wheel_differences import differences

from wheelbuilder.build.archive_lists import ArchiveLists
from wheelbuilder.build.process import run
from wheelbuilder.build.roots import ensure
from wheelbuilder.build.rust import PACKAGES
from wheelbuilder.errors import UnreachableError
from wheelbuilder.inputs.images import Catalogue, Role, Root, default_path
from wheelbuilder.inputs.rungs import Rung
from wheelbuilder.inputs.targets import Target

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.integration]

CATALOGUE = Catalogue.read(default_path())
RECIPES = Path(__file__).parents[2] / "requirements-lists" / "recipes"
PROJECTS = {"netifaces": "0.11.0", "cffi": "2.0.0", "ujson": "5.11.0"}
SYSTEM_PACKAGES = {"cffi": ("libffi-dev",), "rust": PACKAGES}  # of the recipes
TARGETS = os.environ.get("FOREIGN_TARGETS", "").split()
ROWS = [(target, tuple(PROJECTS)) for target in TARGETS] or [
    (f"cp311-manylinux_2_36_{FOREIGN}", ("netifaces",))
]
CACHE = {name: os.environ[name] for name in ("XDG_CACHE_HOME",) if name in os.environ}


def made(root: Root) -> None:
    """Make a root; without updates where the mirror has them half, which is no concern of this test."""
    try:
        ensure(engine(), root, log=log_of("foreign"))
    except UnreachableError as error:
        of_the_mirror(error)
        ensure(engine(), root, log=log_of("foreign"), updates=False)


def of_the_mirror(error: UnreachableError) -> None:
    """Pass over what a mirror gave no file for, and raise the rest again."""
    if "Failed to fetch" not in error.message:
        raise error


def roots_of(catalogue: Catalogue, target: Target, projects: tuple[str, ...]) -> None:
    build, bare = (catalogue.root(target, role) for role in (Role.BUILD, Role.BARE))
    for root in (build, bare, *(build.adding(SYSTEM_PACKAGES.get(name, ())) for name in projects)):
        made(root)


def other_source(root: Root, folder: Path) -> str:
    """The line of sources.list for a root's release under its other name: stable for trixie, say."""
    ArchiveLists(root=root, folder=folder).packages()
    form, place, _, *components = (folder / "etc/apt/sources.list").read_text().splitlines()[0].split()
    (release,) = (folder / "var/lib/apt/lists").glob(f"*_dists_{root.suite}_InRelease")
    names = [line.split()[1] for line in release.read_text().splitlines() if line.startswith("Suite: ")]
    return " ".join((form, place, *names, *components))


def table_with_roots(target: Target, projects: tuple[str, ...], folder: Path) -> Path:
    """Make the roots of a target and return the image table that has them.

    A mirror may have lists of one day and packages of another: under the release's other name, it may
    have an earlier state of the same release that is whole and signed.
    """
    try:
        roots_of(CATALOGUE, target, projects)
    except UnreachableError as error:
        of_the_mirror(error)
        root = CATALOGUE.root(target, Role.BUILD)
        row = f'{target.arch} = ["{other_source(root, folder / "lists")}"]'
        table = folder / "images.toml"
        table.write_text(f"{default_path().read_text()}\n[families.{root.family}.apt-sources]\n{row}\n")
        roots_of(Catalogue.read(table), target, projects)
        return table
    return default_path()


def rebuilt(folder: Path, target: Target, projects: tuple[str, ...], table: Path) -> list[dict[str, Any]]:
    """Build what there are wheels of, too, and return the outcomes."""
    lines = [f"{name}==={PROJECTS[name]}\n" for name in projects]
    (folder / "constraints.txt").write_text("".join(lines))
    (folder / "list.toml").write_text(
        f'channel = "foreign"\ntargets = ["{target}"]\nrecipes = "{RECIPES}"\n'
        'branches.one = "constraints.txt"\n'
    )
    words = ("rebuild", str(folder / "list.toml"), *projects, "--force", "--target", str(target), "--json")
    more = ("--store", str(folder / "mirror"), "--rung", Rung.TOOLCHAIN.value, "--images", str(table))
    done = run((sys.executable, "-m", "wheelbuilder", *words, *more), network=True, env=CACHE)
    assert done.ok, done.stderr
    outcomes: list[dict[str, Any]] = json.loads(done.stdout)["outcomes"]
    return outcomes


def machines(wheel: Path) -> set[str]:
    """Return the machines of the shared objects in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        objects = [name for name in archive.namelist() if ".so" in name]
        return {str(ELFFile(io.BytesIO(archive.read(name)))["e_machine"]) for name in objects}


@pytest.mark.parametrize(("name", "projects"), ROWS)
def test_a_foreign_target_gets_its_wheels(name: str, projects: tuple[str, ...], tmp_path: Path) -> None:
    target = CATALOGUE.target(name)
    table = table_with_roots(target, projects, tmp_path)
    outcomes = rebuilt(tmp_path, target, projects, table)
    ended = {it["project"]: (it["outcome"], it["rung"]) for it in outcomes}
    assert ended == dict.fromkeys(projects, ("built", Rung.TOOLCHAIN))
    wheels = sorted((tmp_path / "mirror" / "files").glob("*/*.whl"))
    assert len(wheels) == len(projects)
    expected = CATALOGUE.architecture(target).elf_machine
    assert {machine for wheel in wheels for machine in machines(wheel)} == {expected}


if TARGETS:  # emulated, a compiler of Rust takes minutes

    @pytest.mark.parametrize("name", TARGETS)
    def test_rust_makes_natively_what_it_makes_emulated(name: str, tmp_path: Path) -> None:
        target, project = CATALOGUE.target(name), rust("plain")
        table = table_with_roots(target, ("rust",), tmp_path)
        wheels: list[Path] = []
        with FileIndex() as index:
            index.offer(project)
            for rung in (Rung.TOOLCHAIN, Rung.EMULATED):
                work = Workplace(folder=tmp_path / rung, index=index, targets=(name,))
                work.write([project])
                work.recipe("plain", f"system-packages.deb = {json.dumps(PACKAGES)}\n")
                ended = work.run("--rung", rung, "--images", str(table), timeout=3600)
                row = ended.outcomes["plain"]
                assert (row["outcome"], row["rung"]) == ("built", rung), ended.stderr
                wheels += work.store.glob("files/*/*.whl")
        assert not [it for it in differences(*wheels) if it.matters]
        with zipfile.ZipFile(wheels[0]) as archive:
            (module,) = (archive.read(it) for it in archive.namelist() if it.endswith(".so"))
        assert told(str(CATALOGUE.architecture(target).rust)) in module
