"""The command that checks a store."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from wheelbuilder.errors import IntegrityError
from wheelbuilder.mirror.audit import Finding, Severity, audit, is_clean
from wheelbuilder.mirror.stores import open_store


@click.command()
@click.argument("store")
@click.option("--channel", help="Only this channel. Default: all.")
@click.option("--deep", is_flag=True, help="Also read every wheel and check its digest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(store: str, channel: str | None, deep: bool, as_json: bool) -> int:
    """Check STORE and say what is wrong with it; exit code 4 if anything is."""
    findings = audit(open_store(store), channel, deep=deep)
    clean = is_clean(findings)
    if as_json:
        click.echo(json.dumps({"clean": clean, "findings": [asdict(finding) for finding in findings]}))
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    for finding in findings:
        click.echo(_line(finding), err=as_json)
    others = len(findings) - errors
    click.echo(f"{'clean' if clean else 'not clean'}: {errors} errors, {others} remarks", err=as_json)
    return 0 if clean else IntegrityError.exit_code


def _line(finding: Finding) -> str:
    return f"{finding.severity}: {finding.key}: {finding.complaint}"
