from __future__ import annotations

import os
import stat
from pathlib import Path

from made_archives import failure_of

from wheelbuilder.build.changes import apply_patch, give, remove_files
from wheelbuilder.build.outcomes import FailureClass
from wheelbuilder.inputs.recipes import Patch


def test_give_sets_fixed_modes_and_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    outside.chmod(0o600)
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True, mode=0o700)
    (tree / "program").write_text("")
    (tree / "program").chmod(0o4700)
    (tree / "folder/text").write_text("")
    (tree / "folder/text").chmod(0o666)
    (tree / "link").symlink_to(outside)
    (tree / "up").symlink_to(tmp_path)
    give(tree, os.geteuid() or 1000)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tree, *tree.rglob("*")) if not p.is_symlink()}
    assert modes == {"tree": 0o755, "folder": 0o755, "program": 0o755, "text": 0o644}
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600 and outside.stat().st_uid == os.geteuid()
    assert tmp_path.stat().st_uid == os.geteuid()


def test_files_are_removed_by_name_and_by_pattern(tmp_path: Path) -> None:
    for name in ("a.c", "b.c", "deep/c.c", "keep.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    remove_files(("*.c", "deep/c.c"), tmp_path)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["keep.py"]
    failed = failure_of(lambda: remove_files(("deep",), tmp_path))
    assert failed.failure is FailureClass.PATCH and (tmp_path / "deep").is_dir()


def test_a_patch_fits_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("one\n")
    text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-one\n+two\n"
    apply_patch(Patch(name="p", text=text, status=""), tmp_path, tmp_path / "log")
    assert (tmp_path / "x").read_text() == "two\n"
    failed = failure_of(
        lambda: apply_patch(Patch(name="p", text=text, status=""), tmp_path, tmp_path / "log")
    )
    assert failed.failure is FailureClass.PATCH and failed.lines and (tmp_path / "x").read_text() == "two\n"
    out = text.replace("a/x", "a/../../x").replace("b/x", "b/../../x")
    assert (
        failure_of(
            lambda: apply_patch(Patch(name="p", text=out, status=""), tmp_path, tmp_path / "log")
        ).failure
        is FailureClass.PATCH
    )
