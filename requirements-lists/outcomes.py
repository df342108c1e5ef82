"""Writes what became of each pin of some runs as a Markdown table: python outcomes.py STORE... >OUTCOMES.md

Of several runs in a store the latest word on a pin and target counts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER = (
    "# What became of pins that upstream has no wheel for\n\n"
    "Made by `python requirements-lists/outcomes.py STORE...` from the records of runs; not edited by hand.\n"
)
COLUMNS = ("pin", "target", "outcome", "what it is, or why it failed", "libraries")


def outcomes(store: Path) -> tuple[str, dict[tuple[str, str], dict[str, Any]]]:
    """Return a store's list and its outcomes by pin and target."""
    runs = sorted(map(_read, store.glob("runs/*.json")), key=lambda run: str(run["started"]))
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        for row in run["outcomes"]:
            found[f"{row['project']} {row['version']}", row["target"]] = row
        for row in run["unavailable"]:
            found[f"{row['project']} {row['version']}", row["target"]] = {"outcome": "unavailable"} | row
    return str(runs[-1]["list"]) if runs else store.name, dict(sorted(found.items()))


def table(rows: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table; equal neighbours of one pin share a row."""
    yield _line(COLUMNS)
    yield _line(["---"] * len(COLUMNS))
    told: list[list[str]] = []
    for (pin, target), row in rows.items():
        cells = [pin, target, _outcome(row), _told(row), _libraries(row)]
        if told and told[-1][:1] + told[-1][2:] == cells[:1] + cells[2:]:
            told[-1][1] += f", {target}"
        else:
            told.append(cells)
    yield from map(_line, told)


def _outcome(row: dict[str, Any]) -> str:
    return f"failed: {row['class']}, at {row['step']}" if row["outcome"] == "failed" else str(row["outcome"])


def _told(row: dict[str, Any]) -> str:
    if "wheel" in row:
        return f"`{row['wheel']['filename']}`" + (f", built for {row['by']}" if "by" in row else "")
    return str(row.get("summary") or row["reason"])


def _libraries(row: dict[str, Any]) -> str:
    grafted, needs = row.get("grafted", ()), row.get("needs", {})
    said = [f"{len(grafted)} grafted"] if grafted else []
    if needs.get("libraries"):
        said.append(f"{', '.join(needs['libraries'])} outside, from {', '.join(needs['deb'])}")
    return "; ".join(said)


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _count(rows: dict[tuple[str, str], dict[str, Any]]) -> str:
    kinds = [row["outcome"] for row in rows.values()]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(sorted(kinds)))


def main() -> None:
    """Write the document to standard output."""
    sys.stdout.write(HEADER)
    for store in map(Path, sys.argv[1:]):
        name, rows = outcomes(store)
        lines = "\n".join(table(rows))
        sys.stdout.write(f"\n## {name}\n\n{len(rows)} pins and targets: {_count(rows)}.\n\n{lines}\n")


if __name__ == "__main__":
    main()
