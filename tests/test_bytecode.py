"""Byte-code for targets by native interpreters: this machine's, or those that toolchains bring."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_toolchain import toolchain

from wheelbuilder.build import bytecode
from wheelbuilder.build.bytecode import compile_tree, native_python

OURS = sys.version_info[:2]


def test_our_own_python_compiles_for_its_version(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("answer = 42\n")
    assert native_python(OURS) == (sys.executable,)
    assert compile_tree(tmp_path, OURS, "/inside")
    code = next((tmp_path / "__pycache__").glob("module.*.pyc")).read_bytes()
    assert b"/inside/module.py" in code and os.fsencode(tmp_path) not in code


def test_a_version_that_nobody_has_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "module.py").touch()
    assert not compile_tree(tmp_path, (3, 99), "/inside") and not (tmp_path / "__pycache__").exists()


@pytest.mark.engine
def test_the_python_of_a_toolchain_serves_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert toolchain()
    (tmp_path / "module.py").write_text("answer = 42\n")
    monkeypatch.setattr(bytecode, "sys", SimpleNamespace(version_info=(3, 98)))
    monkeypatch.setenv("PATH", str(tmp_path))
    command = native_python((3, 11))
    assert command and Path(command[-1]).match("toolchains/*/usr/bin/python3.11")
    assert compile_tree(tmp_path, (3, 11), "/inside")
    assert list((tmp_path / "__pycache__").glob("module.cpython-311.pyc"))
