from __future__ import annotations

import base64
import hashlib
import struct
import zipfile
from pathlib import Path

import pytest
from samples import ARM, X86, pin

from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.wheelcheck import (
    WheelFacts,
    check,
    one_wheel,
    requires_dist,
)
from wheelbuilder.build.wheelzip import MOST_METADATA
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.targets import Target

TABLE = Catalogue.read(default_path())
PIN = pin("foo===1.0")
INFO = "foo-1.0.dist-info"
METADATA = "Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n"
NATIVE = "cp311-cp311-linux_x86_64"
SUFFIX = "cpython-311-x86_64-linux-gnu.so"


def elf(machine: int = 62, bits: int = 64, *, little: bool = True) -> bytes:
    """The first bytes of a shared object (ELF header)."""
    ident = b"\x7fELF" + bytes((2 if bits == 64 else 1, 1 if little else 2, 1)) + bytes(9)
    return ident + struct.pack("<HH" if little else ">HH", 3, machine) + bytes(44)


def wheel(
    folder: Path,
    tag: str = "py3-none-any",
    files: dict[str, bytes] | None = None,
    *,
    filename: str = "",
    info: str = INFO,
    metadata: str | bytes = METADATA,
    tags: tuple[str, ...] | None = None,
    unrecorded: dict[str, bytes] | None = None,
    record: str | None = None,
    without: tuple[str, ...] = (),
) -> Path:
    """Write a wheel that is right but for what is asked for."""
    lines = "".join(f"Tag: {each}\n" for each in (tags if tags is not None else (tag,)))
    members = {
        **({"foo.py": b"x = 1\n"} if files is None else files),
        f"{info}/METADATA": metadata.encode() if isinstance(metadata, str) else metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n{lines}".encode(),
    }
    rows = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in members.items())
    members[f"{info}/RECORD"] = (f"{rows}{info}/RECORD,,\n" if record is None else record).encode()
    path = folder / (filename or f"foo-1.0-{tag}.whl")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**members, **(unrecorded or {})}.items():
            if name not in without:
                member = zipfile.ZipInfo(name)
                member.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
                archive.writestr(member, data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def checked(path: Path, target: Target = X86, *, repaired: bool = False) -> WheelFacts:
    return check(path, PIN, target, TABLE.architecture(target), repaired=repaired)


def complaints(path: Path, target: Target = X86, *, repaired: bool = False) -> str:
    with pytest.raises(StepFailedError) as caught:
        checked(path, target, repaired=repaired)
    assert caught.value.failure is FailureClass.WHEEL_CHECK
    return "\n".join([caught.value.summary, *caught.value.lines])


def test_a_pure_wheel(tmp_path: Path) -> None:
    metadata = f"{METADATA}Requires-Python: >=3.8\nRequires-Dist: bar; os_name == 'nt'\n"
    files = {
        "foo/__init__.py": b"",
        "foo/x.py": b"",
        "_foo.py": b"",
        "foo-1.0.data/scripts/foo": b"#!python\n",
    }
    path = wheel(tmp_path, files=files, metadata=metadata)
    facts = checked(path, repaired=True)
    assert facts.pure and facts.requires_python == ">=3.8" and facts.top_level == ("_foo", "foo")
    assert requires_dist(path) == facts.requires_dist == ("bar; os_name == 'nt'",)


@pytest.mark.parametrize(
    ("target", "machine", "triplet"), [(X86, 62, "x86_64-linux-gnu"), (ARM, 183, "aarch64-linux-gnu")]
)
def test_a_native_wheel(target: Target, machine: int, triplet: str, tmp_path: Path) -> None:
    files = {f"_foo.cpython-311-{triplet}.so": elf(machine), "foo.libs/libz-12.so.1": elf(machine)}
    facts = checked(wheel(tmp_path, f"cp311-cp311-linux_{target.arch}", files), target)
    assert not facts.pure and facts.top_level == ("_foo",) and facts.grafted == ("libz-12.so.1",)
    assert not checked(wheel(tmp_path, f"cp311-cp311-{target.platform}", files), target, repaired=True).pure
    assert not checked(
        wheel(tmp_path, f"cp38-abi3-{target.platform}", {"f.abi3.so": elf(machine)}), target
    ).pure


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("py2.py3-none-any", "foo.py"),
        ("py2.py3-none-linux_x86_64", "foo/libfoo.so"),
        ("cp38-abi3-linux_x86_64", "foo.abi3.so"),
        ("cp38-abi3-linux_x86_64", "foo.so"),
        ("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", f"foo.{SUFFIX}"),
    ],
)
def test_several_tags_that_the_code_serves(tag: str, name: str, tmp_path: Path) -> None:
    python, abi, platform = tag.split("-")
    tags = tuple(f"{p}-{abi}-{q}" for p in python.split(".") for q in platform.split("."))
    checked(wheel(tmp_path, tag, {name: elf() if ".so" in name else b""}, tags=tags))


OTHER_RECORD = f"foo.py,sha256={_digest(b'y')},6\n{INFO}/METADATA,,\n{INFO}/WHEEL,,\n{INFO}/RECORD,,\n"
AARCH64 = f"{NATIVE}.manylinux_2_17_aarch64"
MUSL = f"{NATIVE}.musllinux_1_1_x86_64"
TWO = "cp311.cp313-cp311.cp313-linux_x86_64"
MODULE = {f"a.{SUFFIX}": elf()}
CASES: dict[str, tuple[dict[str, object], str]] = {
    "another project": ({"filename": "bar-1.0-py3-none-any.whl", "info": "bar-1.0.dist-info"}, "not of foo"),
    "another project inside": ({"metadata": METADATA.replace("foo", "bar")}, "wheel of 'bar'"),
    "another version": ({"filename": "foo-2.0-py3-none-any.whl"}, "not 1.0"),
    "another version inside": ({"metadata": METADATA.replace("1.0", "2.0")}, "version 2.0"),
    "no version": ({"metadata": "Metadata-Version: 2.1\nName: foo\n"}, "which is none"),
    "tags differ": ({"tags": ("py2-none-any",)}, "tags in WHEEL"),
    "no tags": ({"tags": ()}, "tags in WHEEL"),
    "broken tags": ({"tags": ("py3", "")}, "tags in WHEEL"),
    "a tag nobody takes": ({"tag": "cp312-cp312-linux_x86_64"}, "no consumer"),
    "digest": ({"record": OTHER_RECORD}, "RECORD"),
    "extra file": ({"unrecorded": {"more.py": b""}}, "RECORD"),
    "RECORD missing": ({"without": (f"{INFO}/RECORD",)}, "RECORD"),
    "RECORD is none": ({"record": "\0\n,,,,,\n"}, "RECORD"),
    "METADATA missing": ({"without": (f"{INFO}/METADATA",)}, "METADATA"),
    "WHEEL missing": ({"without": (f"{INFO}/WHEEL",)}, "WHEEL"),
    "no dist-info": ({"info": "foo"}, "dist-info"),
    "two dist-infos": ({"unrecorded": {"bar-1.0.dist-info/METADATA": b""}}, "dist-info"),
    "not UTF-8": ({"metadata": METADATA.encode() + b"Author: J\xf6rg\n"}, "UTF-8"),
    "Requires-Python": ({"metadata": f"{METADATA}Requires-Python: >=3.12\n"}, "requires Python >=3.12"),
    "leaves": ({"files": {"../x": b""}}, "points outside"),
    "absolute": ({"files": {"/x": b""}}, "points outside"),
    "any with native code": ({"files": {"_foo.so": elf()}}, "'any'"),
    "any with native data": ({"files": {"foo/data/helper": elf()}}, "'any'"),
    "platform without native code": ({"tag": NATIVE}, "no native code"),
    "another machine": ({"tag": NATIVE, "files": {"_foo.so": elf(183)}}, "EM_AARCH64"),
    "another class": ({"tag": NATIVE, "files": {"_foo.so": elf(62, 32)}}, "32 bit"),
    "another order": ({"tag": NATIVE, "files": {"_foo.so": elf(62, little=False)}}, "not for x86_64"),
    "a machine nobody knows": ({"tag": NATIVE, "files": {"_foo.so": elf(64999)}}, "machine 64999"),
    "one of two": ({"tag": NATIVE, "files": {"a.so": elf(), "b.so": elf(183)}}, "b.so is code for"),
    "another SOABI": ({"tag": NATIVE, "files": {"a.cpython-39-x86_64-linux-gnu.so": elf()}}, "cannot import"),
    "one of two platforms": ({"tag": AARCH64, "files": {"a.so": elf()}}, "_aarch64"),
    "one of two C libraries": ({"tag": MUSL, "files": {"a.so": elf()}}, "musllinux"),
    "one of two policies": ({"tag": f"{NATIVE}.manylinux_2_39_x86_64", "files": {"a.so": elf()}}, "2_39"),
    "any and a platform": ({"tag": "py3-none-linux_x86_64.any"}, "platform tag"),
    "any and a platform, native": ({"tag": f"{NATIVE}.any", "files": {"a.so": elf()}}, "'any'"),
    "one module for two": ({"tag": TWO, "files": MODULE}, "cp313"),
    "two ABIs": ({"tag": TWO, "files": {"a.so": elf()}}, "another interpreter"),
    "a later stable ABI": ({"tag": "cp311.cp313-abi3-linux_x86_64", "files": {"a.so": elf()}}, "cp313-abi3"),
    "a false stable ABI": ({"tag": "cp311-abi3-linux_x86_64", "files": MODULE}, "stable ABI"),
    "one module for all": ({"tag": "py3-none-linux_x86_64", "files": MODULE}, "py3 of its tags"),
    "another triplet": ({"tag": NATIVE, "files": {"a.cpython-311-aarch64-linux-gnu.so": elf()}}, "named for"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_wheel_that_lies_is_refused(name: str, tmp_path: Path) -> None:
    options, words = CASES[name]
    assert words in complaints(wheel(tmp_path, **options))  # type: ignore[arg-type]


def test_after_repair_a_raw_linux_tag_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, NATIVE, {f"_foo.{SUFFIX}": elf()})
    checked(path)
    assert "raw linux tag" in complaints(path, repaired=True)
    both = wheel(tmp_path, "cp311-cp311-linux_x86_64.manylinux_2_36_x86_64", {f"_foo.{SUFFIX}": elf()})
    assert "raw linux tag" in complaints(both, repaired=True)


def test_a_newer_policy_than_the_targets_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, "cp311-cp311-manylinux_2_39_x86_64", {f"_foo.{SUFFIX}": elf()})
    assert "no consumer" in complaints(path, repaired=True)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("foo.py", b"x = 2\n")
    assert "occurs twice" in complaints(path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("foo.so")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert "symbolic link" in complaints(path)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    data[data.index(b"PK\x03\x04") + 6] |= 1
    path.write_bytes(data)
    assert "encrypted" in complaints(path)


def test_metadata_that_is_a_flood_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{INFO}/METADATA", bytes(MOST_METADATA + 1))
    assert f"{MOST_METADATA + 1} bytes" in complaints(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foo-1.0-py3-none-any.whl"
    for data in (b"", b"not a zip", wheel(tmp_path).read_bytes()[:-30]):
        path.write_bytes(data)
        assert "not a readable zip" in complaints(path)


def test_damaged_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{INFO}/METADATA", METADATA * 20)
        archive.writestr("foo.py", b"0123456789" * 500)
    data = bytearray(path.read_bytes())
    for offset in range(30, len(data) - 150, 7):
        damaged = bytearray(data)
        damaged[offset] ^= 0xFF
        path.write_bytes(damaged)
        complaints(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    real = wheel(tmp_path)
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / real.name
    link.symlink_to(real)
    assert "not a regular file" in complaints(link)
    link.unlink()
    link.mkdir()
    assert "not a regular file" in complaints(link)


def test_one_wheel_is_told_from_none_and_several(tmp_path: Path) -> None:
    def words() -> str:
        with pytest.raises(StepFailedError) as caught:
            one_wheel(tmp_path, PIN)
        return caught.value.summary

    (tmp_path / "foo-1.0.tar.gz").touch()
    assert "made no wheel" in words()
    other = tmp_path / "bar-1.0-py3-none-any.whl"
    other.touch()
    assert "another project" in words()
    good = wheel(tmp_path)
    assert "made 2 wheels" in words()
    other.rename(tmp_path / "x")
    assert one_wheel(tmp_path, PIN) == good
    good.rename(tmp_path / "foo.whl")
    assert "not the name of a wheel" in words()
