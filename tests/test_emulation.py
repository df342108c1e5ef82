from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from wheelbuilder.build.emulation import SETTINGS, header, interpreter, interpreters, settings
from wheelbuilder.inputs.images import Catalogue, default_path

AARCH64 = """{state}
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: {flags}
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""
ARCHITECTURES = Catalogue.read(default_path()).architectures


def registered(folder: Path, state: str = "enabled", flags: str = "PF") -> Path:
    (folder / "status").write_text("enabled\n")
    (folder / "register").write_text("")
    (folder / "qemu-aarch64").write_text(AARCH64.format(state=state, flags=flags))
    (folder / "python3.11").write_text("enabled\ninterpreter /usr/bin/python3.11\nflags: \nextension .pyc\n")
    return folder


def test_only_the_architecture_of_the_magic_number_is_taken(tmp_path: Path) -> None:
    registered(tmp_path)
    assert {name for name, arch in ARCHITECTURES.items() if interpreter(arch, tmp_path)} == {"aarch64"}


@pytest.mark.parametrize(("flags", "fixed"), [("PF", True), ("OPF", True), ("P", False), ("", False)])
def test_the_flag_that_containers_need_is_seen(tmp_path: Path, flags: str, fixed: bool) -> None:
    found = interpreter(ARCHITECTURES["aarch64"], registered(tmp_path, flags=flags))
    assert found and found.fixed is fixed


def test_a_disabled_registration_does_not_count(tmp_path: Path) -> None:
    assert interpreter(ARCHITECTURES["aarch64"], registered(tmp_path, state="disabled")) is None


def test_an_unmounted_binfmt_has_no_interpreters(tmp_path: Path) -> None:
    assert list(interpreters(tmp_path / "none")) == []


def test_a_header_is_what_real_programs_of_this_machine_begin_with() -> None:
    with Path(sys.executable).resolve().open("rb") as file:
        start = file.read(20)
    own = header(ARCHITECTURES[platform.machine()])
    # Byte 16 is the type: today's programs are position-independent (ET_DYN).
    assert start[:7] == own[:7] and start[18:] == own[18:]


def test_headers_of_all_architectures_differ() -> None:
    assert len({header(arch) for arch in ARCHITECTURES.values()}) == len(ARCHITECTURES)


def test_only_a_foreign_machine_sets_up_its_emulator() -> None:
    assert settings("arm64", "x86_64") == SETTINGS["arm64"] and settings("arm64", "aarch64") == {}
    # Another architecture's emulator would refuse the name.
    others = {arch.oci for arch in ARCHITECTURES.values()} - {"arm64"}
    assert others and all(settings(oci, "x86_64") == {} for oci in others)
