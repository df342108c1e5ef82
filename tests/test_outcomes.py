"""The table of outcomes beside the lists, made from the records of runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent.parent / "requirements-lists" / "outcomes.py"


def row(project: str, target: str, **values: Any) -> dict[str, Any]:
    return {"project": project, "version": "1.0", "target": target} | values


def built(project: str, target: str, **values: Any) -> dict[str, Any]:
    wheel = {"filename": f"{project}-1.0-x.whl"}
    return row(project, target, outcome="built", wheel=wheel, grafted=[], **values)


def run(folder: Path, started: str, *outcomes: dict[str, Any], unavailable: tuple[Any, ...] = ()) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"list": "mine", "started": started, "outcomes": outcomes, "unavailable": unavailable}
    (folder / f"{started}.json").write_text(json.dumps(document))


def document(store: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, SCRIPT, store], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.splitlines()


def test_the_last_word_on_a_pin_counts_and_equal_neighbours_share_a_row(tmp_path: Path) -> None:
    failed = {"outcome": "failed", "class": "compiler", "step": "build", "summary": "it | stopped"}
    needs = {"libraries": ["libx.so.1"], "deb": ["libx1"], "rpm": []}
    run(tmp_path / "runs", "1", row("a", "one", **failed), row("b", "one", **failed))
    run(tmp_path / "runs", "2", built("a", "one", needs=needs), row("b", "two", **failed),
        unavailable=(row("c", "one", reason="no source"),))  # fmt: skip
    lines = document(tmp_path)
    assert "## mine" in lines and "4 pins and targets: 1 built, 2 failed, 1 unavailable." in lines
    assert "| a 1.0 | one | built | `a-1.0-x.whl` | libx.so.1 outside, from libx1 |" in lines
    assert "| b 1.0 | one, two | failed: compiler, at build | it \\| stopped |  |" in lines
    assert "| c 1.0 | one | unavailable | no source |  |" in lines
