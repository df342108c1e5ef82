"""`wheelbuilder list lint`: what is wrong or odd in a list and in what its branches pin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from wheelbuilder.cli.options import counted, images_option, json_option, list_argument, upstream_option
from wheelbuilder.cli.planning import read_catalogue, walked
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.inputs.list_lint import Finding, Severity, lint, on_targets
from wheelbuilder.inputs.lists import RequirementsList, read_list
from wheelbuilder.inputs.targets import Target
from wheelbuilder.plan.closure import Closure


@click.command(name="lint")
@list_argument
@images_option
@upstream_option
@json_option
def command(list_path: Path, images: Path | None, upstream: str | None, as_json: bool) -> int:
    """Say what is wrong or odd in LIST and in what its branches pin; exit status 1 for errors.

    In the mode `closure` the requirements are followed too, which needs the index.
    """
    listed = read_list(list_path, read_catalogue(images))
    findings = lint(listed)
    if not any(demands.refused for demands in listed.demands.values()):
        findings = (*findings, *_of_closures(walked(listed, upstream), listed))
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{finding.severity}: {finding.message} [{finding.code}]")
        say(f"{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}")
    return 1 if errors else 0


def _of_closures(closures: Sequence[Closure], listed: RequirementsList) -> Iterator[Finding]:
    unmet: dict[str, list[Target]] = {}
    for closure in closures:
        for each in closure.unmet:
            unmet.setdefault(each.sentence, []).append(closure.target)
    for sentence, targets in unmet.items():
        message = f"{sentence}, on {on_targets(targets, listed)}"
        yield Finding(severity=Severity.ERROR, code="unmet", message=message)
    for doubt in dict.fromkeys(doubt for closure in closures for doubt in closure.doubts):
        yield Finding(severity=Severity.WARNING, code="uncertain", message=doubt)
