"""Wheels that serve several targets: tried on each, and built for those on which they do not import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sdists import TARGET, Ended, FileIndex, Workplace, cli, in_tree

pytestmark = pytest.mark.engine
NEWER = "cp313-manylinux_2_41_x86_64"
OLD = "import sys\nassert sys.version_info < (3, 12), 'it has no distutils'\n"
PURE = f"return pack(folder, {{f'{{NAME}}.py': {OLD!r}.encode()}})"
ADAPTED = f"""\
if sys.version_info < (3, 12):
    return pack(folder, {{f"{{NAME}}.py": {OLD!r}.encode()}})
return pure(folder, tag="cp313-none-any")
"""


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        yield index


def on(ended: Ended, target: str) -> dict[str, dict[str, Any]]:
    return {row["project"]: row for row in ended.document["outcomes"] if row["target"] == target}


def test_a_wheel_is_tried_wherever_its_tags_let_it_be_installed(index: FileIndex, tmp_path: Path) -> None:
    made = [in_tree("fine"), in_tree("older", PURE), in_tree("adapted", ADAPTED)]
    index.offer(*made)
    work = Workplace(folder=tmp_path / "work", index=index, targets=(TARGET, NEWER))
    work.write(made)
    first = work.run()
    assert first.code == 1, first.stderr
    assert {row["outcome"] for row in on(first, TARGET).values()} == {"built"}
    rows = on(first, NEWER)
    assert (rows["fine"]["outcome"], rows["fine"]["by"]) == ("covered", TARGET)
    assert [step["step"] for step in rows["fine"]["steps"]] == ["root", "recheck", "trial"]
    assert rows["adapted"]["outcome"] == "built"
    assert rows["adapted"]["wheel"]["filename"] == "adapted-1.0-cp313-none-any.whl"
    assert "it has no distutils" in rows["adapted"]["earlier"][0]["summary"]
    assert (rows["older"]["outcome"], rows["older"]["class"]) == ("failed", "import-failed")
    told = "older (importing older in the bare root failed"
    assert f"{NEWER}: 1 of 3 would be compiled: {told}" in first.document["coverage"][1]
    assert work.wheels() == [
        "adapted-1.0-cp313-none-any.whl",
        *(f"{name}-1.0-py3-none-any.whl" for name in ("adapted", "fine", "older")),
    ]
    again = work.run()
    assert again.code == 0 and again.document["outcomes"] == []
    assert [item["project"] for item in again.document["news"]["still_failing"]] == ["older"]
    assert again.document["news"]["fixed"] == []
    proof = cli("coverage", str(work.list_path), "--store", str(work.store))
    assert proof.code == 1 and f"{NEWER}: 1 of 3 would be compiled: older (" in proof.stdout
    assert work.audit().code == 0
