"""Real shared objects, compiled here, repaired for a policy against a root made of files."""

from __future__ import annotations

import platform
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from samples import X86
from test_wheelcheck import checked, wheel

from wheelbuilder.build.elf_objects import search_paths
from wheelbuilder.build.outcomes import FailureClass, StepFailedError
from wheelbuilder.build.process import check
from wheelbuilder.build.repair import Repair, Repaired, add_build_tag, repair
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.inputs.recipes import Graft, RepairPolicy
from wheelbuilder.inputs.targets import Target

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("cc"), reason="needs a C compiler for x86_64"
)
TABLE = Catalogue.read(default_path())
OLD = Target.parse("cp311-manylinux_2_28_x86_64", "3.11.2")
NEW = """extern int dlclose(void *);
int f(void) { return dlclose(0); }
__asm__(".symver dlclose,dlclose@GLIBC_2.34");
"""
EPOCH = 1_700_000_000


def compiled(folder: Path, name: str, source: str, *flags: str) -> Path:
    (folder / "x.c").write_text(source)
    out = folder / name
    check(("cc", "-shared", "-fPIC", str(folder / "x.c"), "-o", str(out), f"-Wl,-soname,{name}", *flags))
    return out


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one library that no policy promises."""
    libraries = tmp_path / "root/usr/lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    compiled(libraries, "libdep.so.1", "int dep(void) { return 7; }")
    return tmp_path / "root"


def packed(folder: Path, object_: Path) -> Path:
    name = "_foo.cpython-311-x86_64-linux-gnu.so"
    return wheel(folder, "cp311-cp311-linux_x86_64", {name: object_.read_bytes()})


def dependent(folder: Path, root: Path) -> Path:
    library = root / "usr/lib/x86_64-linux-gnu/libdep.so.1"
    source = "int dep(void); int f(void) { return dep(); }"
    return packed(folder, compiled(folder, "_foo.so", source, str(library)))


def repaired(path: Path, root: Path, target: Target = X86, **policy: Any) -> Path:
    return done(path, root, target, **policy).wheel


def done(path: Path, root: Path, target: Target = X86, **policy: Any) -> Repaired:
    job = Repair(
        wheel=path,
        target=target,
        arch=TABLE.architecture(target),
        policy=RepairPolicy(**policy),
        root=root,
        epoch=EPOCH,
    )
    return repair(job, path.parent / "repaired", path.parent / "log")


def refusal(path: Path, root: Path, target: Target = X86, **policy: Any) -> str:
    with pytest.raises(StepFailedError) as caught:
        repaired(path, root, target, **policy)
    assert caught.value.failure is FailureClass.REPAIR_REFUSED
    return caught.value.summary


def test_a_wheel_gets_a_policy_and_passes_the_check(tmp_path: Path, root: Path) -> None:
    made = repaired(packed(tmp_path, compiled(tmp_path, "_foo.so", "int f(void) { return 1; }")), root, OLD)
    assert "manylinux" in made.name and "-linux_" not in made.name
    assert not checked(made, OLD, repaired=True).pure


def test_a_library_is_copied_in(tmp_path: Path, root: Path) -> None:
    made = repaired(dependent(tmp_path, root), root)
    (grafted,) = checked(made, repaired=True).grafted
    assert grafted.startswith("libdep-") and grafted.endswith(".so.1")
    with zipfile.ZipFile(made) as archive:
        extension = archive.extract("_foo.cpython-311-x86_64-linux-gnu.so", tmp_path)
    with open(extension, "rb") as file:  # noqa: PTH123
        dynamic: Any = ELFFile(file).get_section_by_name(".dynamic")
        needed = [tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
    assert grafted in needed


def test_a_recipe_can_refuse_or_exclude_a_library(tmp_path: Path, root: Path) -> None:
    path = dependent(tmp_path, root)
    assert "refuses grafting" in refusal(path, root, graft=Graft.REFUSE) and "libdep.so.1" in refusal(
        path, root, graft=Graft.REFUSE
    )
    assert checked(repaired(path, root, exclude=("libdep.so.*",)), repaired=True).grafted == ()


def test_a_library_that_is_left_outside_is_told_and_keeps_the_tag_at_the_targets(
    tmp_path: Path, root: Path
) -> None:
    outside = done(dependent(tmp_path, root), root, exclude=("libdep.so.*", "libnothere.so.1"))
    assert outside.outside == ("libdep.so.1",)
    assert outside.wheel.name.endswith("-manylinux_2_36_x86_64.whl")


def test_an_exclusion_that_meets_nothing_changes_nothing(tmp_path: Path, root: Path) -> None:
    path = packed(tmp_path, compiled(tmp_path, "_foo.so", "int f(void) { return 1; }"))
    plain = done(path, root)
    assert done(path, root, exclude=("libdep.so.*",)) == plain and plain.outside == ()


def test_a_grafted_library_can_need_what_is_excluded(tmp_path: Path, root: Path) -> None:
    libraries = root / "usr/lib/x86_64-linux-gnu"
    middle = compiled(
        libraries,
        "libmiddle.so.1",
        "int dep(void); int middle(void) { return dep(); }",
        str(libraries / "libdep.so.1"),
    )
    source = "int middle(void); int f(void) { return middle(); }"
    made = done(
        packed(tmp_path, compiled(tmp_path, "_foo.so", source, str(middle))), root, exclude=("libdep.*",)
    )
    assert made.outside == ("libdep.so.1",)
    (grafted,) = checked(made.wheel, repaired=True).grafted
    assert grafted.startswith("libmiddle-")


def test_a_library_that_the_root_lacks_is_a_refusal(tmp_path: Path, root: Path) -> None:
    path = dependent(tmp_path, root)
    (root / "usr/lib/x86_64-linux-gnu/libdep.so.1").unlink()
    assert "libdep.so.1" in refusal(path, root)


def test_a_library_from_outside_the_root_is_a_refusal(tmp_path: Path, root: Path) -> None:
    path = dependent(tmp_path, root)
    library = root / "usr/lib/x86_64-linux-gnu/libdep.so.1"
    library.rename(tmp_path / "libdep.so.1")
    library.symlink_to("../../../../libdep.so.1")
    assert "outside its root" in refusal(path, root)


def linked(folder: Path, *paths: str, library: Path | None = None) -> Path:
    """A wheel with an extension that looks for its libraries in these folders."""
    source = "int dep(void); int f(void) { return dep(); }" if library else "int f(void) { return 1; }"
    flags = (*([str(library)] if library else []), "-Wl,-rpath," + ":".join(paths))
    return packed(folder, compiled(folder, "_foo.so", source, *flags))


def looked_in(made: Path) -> list[str]:
    """The folders in which the objects of a wheel look for libraries."""
    with zipfile.ZipFile(made) as archive:
        return [folder for name in archive.namelist() for folder in search_paths(archive.read(name))]


def test_absolute_paths_of_a_wheel_lead_into_the_root_and_not_to_this_machine(
    tmp_path: Path, root: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    library = compiled(here, "libdep.so.1", "int dep(void) { return 8; }")
    made = repaired(linked(tmp_path, str(here), library=library), root)
    (grafted,) = checked(made, repaired=True).grafted
    assert grafted.startswith("libdep-") and looked_in(made) == ["$ORIGIN/foo.libs"]
    (root / "usr/lib/x86_64-linux-gnu/libdep.so.1").unlink()
    assert "its root does not have: libdep.so.1" in refusal(
        linked(tmp_path, str(here), library=library), root
    )


def test_a_folder_that_only_the_wheel_names_and_links_are_followed_inside_of_the_root(
    tmp_path: Path, root: Path
) -> None:
    library = root / "usr/lib/x86_64-linux-gnu/libdep.so.1"
    path = linked(tmp_path, "/opt/dep/lib", library=library)
    (root / "opt/dep/lib").mkdir(parents=True)
    (root / "etc/alternatives").mkdir(parents=True)
    library.rename(root / "opt/dep/libdep.so.1.2")
    (root / "opt/dep/lib/libdep.so.1").symlink_to("/etc/alternatives/dep")
    (root / "etc/alternatives/dep").symlink_to("/opt/dep/libdep.so.1.2")
    made = repaired(path, root)
    (grafted,) = checked(made, repaired=True).grafted
    assert grafted.startswith("libdep-") and looked_in(made) == ["$ORIGIN/foo.libs"]


def test_an_object_that_needs_nothing_keeps_only_the_paths_from_where_it_is(
    tmp_path: Path, root: Path
) -> None:
    made = repaired(linked(tmp_path, "/usr/lib/x86_64-linux-gnu", "$ORIGIN/sub", "/opt"), root)
    assert looked_in(made) == ["$ORIGIN/sub"] and not checked(made, repaired=True).pure
    assert looked_in(repaired(linked(tmp_path, "/usr/lib/x86_64-linux-gnu"), root)) == []


def test_newer_symbols_than_the_policy_promises_are_a_refusal(tmp_path: Path, root: Path) -> None:
    path = packed(tmp_path, compiled(tmp_path, "_foo.so", NEW))
    assert "newer symbols" in refusal(path, root, OLD)
    assert "manylinux_2_34" in repaired(path, root).name


def test_a_broken_wheel_is_a_refusal_and_no_wheel_counts(tmp_path: Path, root: Path) -> None:
    path = wheel(tmp_path, "cp311-cp311-linux_x86_64", {"_foo.so": b"\x7fELF" + bytes(60)})
    assert path.name in refusal(path, root)


def test_equal_wheels_are_repaired_to_equal_bytes(tmp_path: Path, root: Path) -> None:
    first = dependent(tmp_path, root)
    (tmp_path / "again").mkdir()
    second = tmp_path / "again" / first.name
    shutil.copyfile(first, second)
    assert repaired(first, root).read_bytes() == repaired(second, root).read_bytes()


def test_a_build_tag_is_in_the_name_and_in_the_wheel(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    tagged = add_build_tag(path, 3, epoch=EPOCH)
    assert tagged.name == "foo-1.0-3-py3-none-any.whl" and not path.exists()
    with zipfile.ZipFile(tagged) as archive:
        assert b"Build: 3\n" in archive.read("foo-1.0.dist-info/WHEEL")
    assert checked(tagged, repaired=True).pure
