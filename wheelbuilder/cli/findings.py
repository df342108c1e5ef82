"""How the lint commands tell what they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from wheelbuilder.cli.options import counted
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.inputs.findings import Finding, Severity


def told(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print findings as lines or as one JSON document, and return the exit code: 1 for errors."""
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{finding.severity}: {finding.message} [{finding.code}]")
        say(f"{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}")
    return 1 if errors else 0
