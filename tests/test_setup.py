"""The set-up script and the Makefile: what they do where nothing is missing, and what they say elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def make(*words: str) -> subprocess.CompletedProcess[str]:
    # What the make that runs the tests says to its own children is not meant for this one.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ("make", *words), cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_script_is_plain_sh() -> None:
    assert subprocess.run(("dash", "-n", str(ROOT / "containers/setup.sh")), check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root")
def test_a_user_without_root_is_told_what_to_install(tmp_path: Path) -> None:
    for name in ("id", "uname", "dirname"):
        program = shutil.which(name)
        assert program
        (tmp_path / name).symlink_to(program)
    script = (ROOT / "containers/setup.sh").read_text().replace("$(id -u)", "1000")
    done = subprocess.run(
        ("/bin/sh", "-c", script), env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "please install: podman and runc (or docker), mmdebstrap" in done.stderr


def test_demo_and_test_set_up_before_they_run() -> None:
    demo = make("--dry-run", "demo", "STORE=elsewhere").stdout.splitlines()
    assert demo[0] == "sh containers/setup.sh run"
    assert demo[-1] == ".venv/bin/wheelbuilder run requirements-lists/demo.toml --store elsewhere"
    test = make("--dry-run", "test").stdout.splitlines()
    assert test[0] == "sh containers/setup.sh test" and test[-1] == ".venv/bin/pytest --numprocesses auto"


def test_images_passes_on_what_was_chosen() -> None:
    lines = make("--dry-run", "images", "ARCHS=x86_64 aarch64", "FAMILIES=trixie").stdout.splitlines()
    assert lines[-1] == ".venv/bin/wheelbuilder images build --arch x86_64 --arch aarch64 --family trixie"
    words = ("ARCHS=s390x", "REGISTRY=registry.example.org/w", "ENGINE=docker", "FAMILIES=trixie")
    lines = make("--dry-run", "upload-images", *words).stdout.splitlines()
    command = ".venv/bin/wheelbuilder images push --arch s390x --family trixie --engine docker"
    assert lines[-1] == f"{command} --registry registry.example.org/w"


def test_ci_runs_the_command_of_the_readme() -> None:
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("make --silent test")
    assert os.access(ROOT / ".ci/run", os.X_OK)
