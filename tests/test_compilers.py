"""Builds in containers with the compiler cache and the compile slots, on tiny sdists."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sdists import EXTENSION, TARGET, FileIndex, Sdist, Workplace, in_tree

from wheelbuilder.build import compilers, object_cache

pytestmark = pytest.mark.engine

# Two objects, one of which tells when it was compiled, and what the recipe's variable adds.
COMPILE = """
include = sysconfig.get_paths()["include"]
for part in (NAME, "other"):
    source = os.environ.get("PLACE", "") + part + ".c"
    command = ["cc", "-c", "-O2", "-fPIC", "-I" + include, source, "-o", f"/tmp/{part}.o"]
    subprocess.run(command + os.environ.get("FLAGS", "").split(), check=True)
subprocess.run(["cc", "-shared", f"/tmp/{NAME}.o", "/tmp/other.o", "-o", "/tmp/made.so"], check=True)
with open("/tmp/made.so", "rb") as file:
    made = {NAME + sysconfig.get_config_var("EXT_SUFFIX"): file.read()}
return pack(folder, made, tag="cp311-cp311-linux_" + os.uname().machine)
"""
OTHER = """
#if __has_include("extra.h")
#include "extra.h"
#endif
#ifndef WORD
#define WORD "plain"
#endif
const char *other(void) { return WORD " " __FILE__ " " __DATE__ " " __TIME__; }
"""
PATCH = """--- /dev/null
+++ b/extra.h
@@ -0,0 +1 @@
+#define WORD "patched"
"""
# Ruins whatever another build could take from here.
POISON = """
for place, _, files in os.walk("/build/ccache"):
    for file in set(files) - {os.path.basename(os.environ["CCACHE_STATSLOG"])}:
        with open(os.path.join(place, file), "r+b") as opened:
            opened.truncate()
with open("/build/ccache/ccache.conf", "w") as file:
    file.write("compiler_check = none\\nignore_options = -O* -D*\\n")
"""

# Lets the sources be compiled where some backends do it.
MOVE = """
import shutil, tempfile
made = shutil.copytree(".", os.path.join(tempfile.mkdtemp(), "src"))
os.environ["PLACE"] = made + os.sep
"""
LOOK = """
import glob, shutil
names = [shutil.which(it) for it in ("cc", "x86_64-linux-gnu-g++-12", "clang", "ccache")]
slots = [os.path.basename(it) for it in glob.glob("/opt/wheelbuilder/slots/*")]
print("SEEN", ",".join(map(str, names)), ",".join(slots))
"""


OURS = ("cached", "changing", "foreign", "temporary", "twofaced")


def compiling(name: str, version: str = "1.0", *, before: str = "", after: str = "") -> Sdist:
    files = {f"{name}.c": EXTENSION.format(name=name), "other.c": OTHER}
    body, _, last = COMPILE.rpartition("with open")
    return in_tree(name, f"{before}{body}{after}with open{last}", version=version, files=files)


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as served:
        yield served


@pytest.fixture
def place(index: FileIndex, tmp_path: Path) -> Iterator[Workplace]:
    before = {it.folder for it in object_cache.kept()}
    yield Workplace(folder=tmp_path / "list", index=index)
    for it in object_cache.kept():
        if it.folder not in before and it.words.startswith(OURS):
            object_cache.remove(it.folder)


def built(place: Workplace, sdist: Sdist, recipe: str, *words: str, **files: str) -> dict[str, Any]:
    """Build an sdist with a recipe into an empty store, and return its record."""
    shutil.rmtree(place.store, ignore_errors=True)
    place.index.offer(sdist)
    place.write([sdist])
    place.recipe(sdist.name, f"{recipe}\n", **files)
    ended = place.run(*words)
    assert ended.code == 0, ended.stderr
    return ended.outcomes[sdist.name]


def word(place: Workplace) -> bytes:
    """What the one wheel in the store has for WORD."""
    (wheel,) = place.store.glob("files/*/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (module,) = (archive.read(name) for name in archive.namelist() if name.endswith(".so"))
    found = re.search(rb"(\w+) other\.c ", module)
    assert found
    return found[1]


def objects(row: dict[str, Any]) -> tuple[int, int] | None:
    """How many objects the cache had and lacked."""
    (told,) = (step.get("compiler_cache") for step in row["steps"] if step["step"] == "build")
    return told and (told["hits"], told["misses"])


def built_three_ways(place: Workplace, sdist: Sdist) -> dict[str, Any]:
    """Build an sdist with an empty cache, with a full one and with none; return the record of the last."""
    rows = [
        built(place, sdist, "environment.ANY = '1'"),
        built(place, sdist, "environment.ANY = '2'"),
        built(place, sdist, "environment.ANY = '3'", "--no-cache"),
    ]
    assert [objects(row) for row in rows] == [(0, 2), (2, 0), None]
    assert len({row["wheel"]["sha256"] for row in rows}) == 1
    return rows[-1]


def test_cached_objects_give_the_same_wheel(place: Workplace) -> None:
    made = compiling("cached", before=LOOK)
    last = built_three_ways(place, made)
    for line in place.log(last, "build").splitlines():
        if line.startswith("SEEN "):
            _, names, slots = line.split()
            assert names == f"{compilers.NAMES}/cc,{compilers.NAMES}/x86_64-linux-gnu-g++-12,None,None"
            assert sorted(slots.split(",")) == sorted([*map(str, range((os.cpu_count() or 1) + 1)), "queue"])
            break
    else:
        pytest.fail("the build has seen nothing")


def test_what_the_preprocessor_sees_counts_and_so_do_flags(place: Workplace) -> None:
    made = compiling("changing")
    first = built(place, made, "")
    assert word(place) == b"plain"
    # The header is new, and nothing that was read the first time has changed.
    patches = '[[patches]]\nfile = "extra.patch"\nstatus = "not submitted: a test"'
    patched = built(place, made, patches, extra__patch=PATCH)
    assert word(place) == b"patched"
    flagged = built(place, made, "environment.FLAGS = '-O1 -DWORD=\"flag\"'")
    assert word(place) == b"flag"
    assert [objects(row) for row in (first, patched, flagged)] == [(0, 2), (1, 1), (0, 2)]


def test_what_is_compiled_in_a_temporary_folder_is_known_again(place: Workplace) -> None:
    built_three_ways(place, compiling("temporary", before=MOVE))


def test_the_same_holds_in_a_foreign_root(place: Workplace) -> None:
    foreign = replace(place, targets=(TARGET.replace("x86_64", "aarch64"),))
    made = compiling("foreign")
    built_three_ways(foreign, made)


def test_no_sdist_reads_what_another_has_written(place: Workplace) -> None:
    bad, good = compiling("twofaced", "1.0", after=POISON), compiling("twofaced", "1.0.1")
    rows = [
        built(place, bad, ""),
        built(place, bad, "environment.ANY = '1'"),  # harms itself only, and not even that
        built(place, good, ""),
    ]
    assert [objects(row) for row in rows] == [(0, 2), (0, 2), (0, 2)]
    assert rows[0]["wheel"]["sha256"] == rows[1]["wheel"]["sha256"]
    assert word(place) == b"plain"
