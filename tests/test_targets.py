from __future__ import annotations

import platform
import sys

import pytest
from packaging.tags import Tag, sys_tags

from wheelbuilder.inputs.targets import Target, platform_tags


def test_a_name_is_read_and_written() -> None:
    target = Target.parse("cp311-manylinux_2_28_aarch64", "3.11.9")
    assert (target.python, target.libc_version, target.arch) == ((3, 11), (2, 28), "aarch64")
    assert str(target) == "cp311-manylinux_2_28_aarch64"
    assert (target.platform, target.policy) == ("manylinux_2_28_aarch64", "manylinux_2_28")


@pytest.mark.parametrize("name", ["cp311", "cp27-manylinux_2_28_x86_64", "cp311-linux_x86_64", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="one looks like cp311-manylinux_2_28_aarch64"):
        Target.parse(name)


def test_tags_of_a_foreign_target() -> None:
    tags = Target.parse("cp311-manylinux_2_28_aarch64").tags
    for accepted in (
        "cp311-cp311-manylinux_2_28_aarch64",
        "cp311-cp311-manylinux_2_17_aarch64",
        "cp311-cp311-manylinux2014_aarch64",
        "cp38-abi3-manylinux_2_27_aarch64",
        "py3-none-manylinux_2_17_aarch64",
        "cp311-none-any",
        "py3-none-any",
    ):
        assert Tag(*accepted.split("-")) in tags, accepted
    for refused in (
        "cp311-cp311-manylinux_2_29_aarch64",
        "cp311-cp311-manylinux_2_16_aarch64",
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp311-cp311-musllinux_1_2_aarch64",
        "cp311-cp311-linux_aarch64",
        "cp312-abi3-manylinux_2_17_aarch64",
        "cp310-cp310-manylinux_2_17_aarch64",
        "py2-none-any",
    ):
        assert Tag(*refused.split("-")) not in tags, refused


def test_old_policies_exist_on_two_architectures_only() -> None:
    assert "manylinux1_x86_64" in set(platform_tags("manylinux", (2, 36), "x86_64"))
    assert "manylinux1_i686" in set(platform_tags("manylinux", (2, 36), "i686"))
    assert "manylinux_2_5_s390x" not in set(platform_tags("manylinux", (2, 36), "s390x"))


def test_musl() -> None:
    assert list(platform_tags("musllinux", (1, 2), "x86_64")) == [
        "musllinux_1_2_x86_64",
        "musllinux_1_1_x86_64",
        "musllinux_1_0_x86_64",
    ]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="compares with this host's glibc")
def test_the_hosts_own_tags_agree() -> None:
    major, minor = platform.libc_ver()[1].split(".")
    name = f"cp{sys.version_info[0]}{sys.version_info[1]}-manylinux_{major}_{minor}_{platform.machine()}"
    hosts = {tag for tag in sys_tags() if not tag.platform.startswith("linux_")}
    assert Target.parse(name).tags == hosts


def test_the_marker_environment_has_nothing_of_the_host() -> None:
    environment = Target.parse("cp312-manylinux_2_28_s390x", "3.12.5").marker_environment()
    assert environment["platform_machine"] == "s390x"
    assert (environment["python_version"], environment["python_full_version"]) == ("3.12", "3.12.5")
    assert (environment["sys_platform"], environment["platform_release"]) == ("linux", "")


def test_the_patch_release_is_no_part_of_the_identity() -> None:
    a, b = (Target.parse("cp311-manylinux_2_36_x86_64", version) for version in ("3.11.2", "3.11.9"))
    assert a == b
    assert hash(a) == hash(b)
