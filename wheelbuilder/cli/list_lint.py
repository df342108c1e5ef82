"""`wheelbuilder list lint`: what is wrong or odd in a list and in what its branches pin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from wheelbuilder.cli.findings import told
from wheelbuilder.cli.options import images_option, json_option, list_argument, upstream_option
from wheelbuilder.cli.planning import read_catalogue, walked
from wheelbuilder.inputs.findings import Finding, error, warning
from wheelbuilder.inputs.list_lint import lint, on_targets
from wheelbuilder.inputs.lists import RequirementsList, read_list
from wheelbuilder.inputs.targets import Target
from wheelbuilder.mirror.stores import open_existing
from wheelbuilder.plan.closure import Closure


@click.command(name="lint")
@list_argument
@images_option
@upstream_option
@click.option("--store", "address", help="A mirror: its wheels tell what sdists do not.")
@json_option
def command(
    list_path: Path, images: Path | None, upstream: str | None, address: str | None, as_json: bool
) -> int:
    """Say what is wrong or odd in LIST and in what its branches pin; exit status 1 for errors.

    In the mode `closure` the requirements are followed too, which needs the index.
    """
    store = None if address is None else open_existing(address)
    listed = read_list(list_path, read_catalogue(images))
    findings = lint(listed)
    if not any(demands.refused for demands in listed.demands.values()):
        findings = (*findings, *_of_closures(walked(listed, upstream, store), listed))
    return told(findings, as_json=as_json)


def _of_closures(closures: Sequence[Closure], listed: RequirementsList) -> Iterator[Finding]:
    unmet: dict[str, list[Target]] = {}
    for closure in closures:
        for each in closure.unmet:
            unmet.setdefault(each.sentence, []).append(closure.target)
    for sentence, targets in unmet.items():
        yield error("unmet", f"{sentence}, on {on_targets(targets, listed)}")
    for doubt in dict.fromkeys(doubt for closure in closures for doubt in closure.doubts):
        yield warning("uncertain", doubt)
