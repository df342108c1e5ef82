"""`wheelbuilder doctor`: say what works on this machine, and what to do about the rest."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from pathlib import Path

import click

from wheelbuilder.build.health import Finding, examine
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.errors import UnreachableError, WheelbuilderError
from wheelbuilder.inputs.images import Catalogue, default_path
from wheelbuilder.mirror.stores import look_at

STORE = "store"


@click.command()
@click.option("--images", "table", type=click.Path(path_type=Path), help="The image table.")
@click.option("--engine", "preferred", help="podman or docker; default: what works.")
@click.option("--store", "address", help="Also look at a store: a directory or s3://bucket/prefix.")
@click.option("--quick", is_flag=True, help="Do not start a container in every root.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    *, table: Path | None, preferred: str | None, address: str | None, quick: bool, as_json: bool
) -> None:
    """Say what works on this machine, and what to do about the rest. Exit code 3: builds cannot run."""
    findings = []
    catalogue = Catalogue.read(table or default_path())
    looked_at = [] if address is None else [_store(address)]
    for finding in chain(looked_at, examine(catalogue, preferred, try_roots=not quick)):
        findings.append(finding)
        if not as_json:
            _say(finding)
    if as_json:
        say_json([asdict(finding) for finding in findings])
    if failing := [finding.subject for finding in findings if finding.needed and not finding.works]:
        what = "The store cannot be used." if failing == [STORE] else "Builds cannot run on this machine."
        raise UnreachableError(what, "See the lines marked 'no' above.")


def _store(address: str) -> Finding:
    try:
        return Finding(subject=STORE, works=True, words=look_at(address))
    except WheelbuilderError as error:
        return Finding(subject=STORE, works=False, words=error.message, remedy=error.hint, needed=True)


def _say(finding: Finding) -> None:
    say(f"{'ok' if finding.works else 'no':3} {finding.subject:26} {finding.words}")
    if finding.remedy:
        say(f"    {'':26} -> {finding.remedy}")
