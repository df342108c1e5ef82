"""The command that checks a store, and repairs it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.errors import ConfigurationError, IntegrityError
from wheelbuilder.mirror.audit import Finding, Severity, audit, is_clean
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.repair import Repair, plan
from wheelbuilder.mirror.stores import open_existing

INTERVAL = 5.0  # seconds between two lines that say how far it is


@click.command()
@click.argument("store")
@click.option("--channel", help="Only this channel. Default: all, with records, logs, sources and orphans.")
@click.option("--deep", is_flag=True, help="Also read every object and check its digest.")
@click.option("--repair", is_flag=True, help="Put right what can be, and say what cannot be restored.")
@click.option("--dry-run", is_flag=True, help="With --repair: only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(store: str, channel: str | None, deep: bool, repair: bool, dry_run: bool, as_json: bool) -> int:
    """Check STORE and say what is wrong with it; exit code 4 if anything is, or cannot be restored.

    A repair writes damaged and missing objects again from what is left. It deletes damaged files and pages
    of nothing, and takes files that are lost off the pages by a commit of its own.
    """
    _check(channel, repair=repair, dry_run=dry_run)
    opened = open_existing(store)
    if not repair:
        findings = audit(opened, channel, deep=deep, watch=_Progress())
        return _tell(findings, None, as_json=as_json, done=False)
    planned = plan(opened, deep=deep, now=datetime.now(UTC), cache=states_cache(), watch=_Progress())
    _list(planned, dry_run=dry_run, err=as_json)
    if not dry_run:
        planned.carry_out()
    return _tell(planned.before, planned, as_json=as_json, done=not dry_run)


def _check(channel: str | None, *, repair: bool, dry_run: bool) -> None:
    if dry_run and not repair:
        raise ConfigurationError("--dry-run is for repairs: an audit changes nothing.", "Add --repair.")
    if channel and repair:
        raise ConfigurationError("A repair is of all channels, which share files.", "Leave --channel out.")


def _list(planned: Repair, *, dry_run: bool, err: bool) -> None:
    """Print what was found and what is done about it, before anything is done."""
    for finding in planned.before:
        say(_line(finding), err=err)
    if planned.remedies:
        say("would be done:" if dry_run else "to be done:", err=err)
    for remedy in planned.remedies:
        say(f"  {remedy.deed}: {remedy.key}: {remedy.words}", err=err)


def _tell(findings: Sequence[Finding], planned: Repair | None, *, as_json: bool, done: bool) -> int:
    """Print how it stands, and return the exit code."""
    left = planned.after if planned and done else findings
    clean = is_clean(left)
    if as_json:
        say_json(_document(clean, findings, planned, done=done), indent=None)
    if planned is None or done:
        known = planned.before if planned else ()
        for finding in left:
            if finding not in known:
                say(_line(finding), err=as_json)
    errors = sum(finding.severity is Severity.ERROR for finding in left)
    verdict = f"{'clean' if clean else 'not clean'}: {errors} errors, {len(left) - errors} remarks"
    lost = planned.lost if planned else ()
    verdict += f"; {len(lost)} objects cannot be restored" if lost else ""
    say(verdict, err=as_json)
    return 0 if clean and not lost else IntegrityError.exit_code


def _document(
    clean: bool, findings: Iterable[Finding], planned: Repair | None, *, done: bool
) -> dict[str, object]:
    document: dict[str, object] = {"clean": clean, "findings": [asdict(finding) for finding in findings]}
    if planned is not None:
        document["repairs"] = [asdict(remedy) for remedy in planned.remedies]
        document["lost"] = [remedy.key for remedy in planned.lost]
        document["carried_out"] = done
        document["left"] = [asdict(finding) for finding in planned.after]
    return document


def _line(finding: Finding) -> str:
    return f"{finding.severity}: {finding.key}: {finding.complaint}"


class _Progress:
    """Says on stderr, every few seconds, how far an audit is."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last > INTERVAL:
            self._last = now
            say(f"{what}: {min(done, total)} of {total}", err=True)
