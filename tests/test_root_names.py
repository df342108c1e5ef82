from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from builds import FOREIGN, HOST
from click.testing import CliRunner
from engines import image

from wheelbuilder.build import root_names
from wheelbuilder.build.blueprints import blueprint
from wheelbuilder.cli.images import command
from wheelbuilder.inputs.images import Catalogue, Role, default_path

GONE = "0123456789abcdef" * 4


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toolchain that the image table asks for, without its programs, in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    catalogue = Catalogue.read(default_path())
    plan = blueprint(catalogue, catalogue.root(FOREIGN, Role.BUILD))
    assert plan
    (plan.folder / "names").mkdir(parents=True)
    (plan.folder / "about").write_text(plan.name)
    return plan.folder


def names(toolchain: Path, *digests: str) -> list[Path]:
    made = [toolchain / "names" / digest for digest in digests]
    for folder in made:
        (folder / "bin").mkdir(parents=True)
    return made


def test_names_of_roots_that_are_not_here_go_and_so_does_what_is_half_made(toolchain: Path) -> None:
    half, gone, here = names(toolchain, ".partial-x", GONE, "f" * 64)
    images = (f"localhost/x:aarch64-{'f' * 16}",)
    found = {folder: name for name, folder in root_names.unused(images)}
    assert set(found) == {half, gone} and len(set(found.values())) == 1
    held = os.open(toolchain, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)  # as a run does that builds with it
    assert not root_names.remove(gone, dry_run=True) and not root_names.remove(gone) and gone.exists()
    os.close(held)
    assert root_names.remove(gone, dry_run=True) and gone.exists()
    assert root_names.remove(gone) and root_names.remove(half)
    assert list((toolchain / "names").iterdir()) == [here]


@pytest.mark.engine
def test_a_prune_of_images_takes_names_of_roots_that_are_gone(toolchain: Path) -> None:
    digest = image(HOST.arch).rpartition("-")[2]
    gone, here = names(toolchain, GONE, f"{digest}{'0' * 48}")
    words = ("prune", "--family", "bookworm", "--dry-run")
    said = CliRunner().invoke(command, words)
    name = (toolchain / "about").read_text()
    assert f"would remove {name} {gone}" in said.stdout.splitlines(), said.output
    assert str(here) not in said.stdout and gone.exists()
