"""`wheelbuilder coverage`: say what a consumer of a list would still compile, and why."""

from __future__ import annotations

from typing import Any

import click
from packaging.utils import canonicalize_name

from wheelbuilder.cli.planning import (
    Chosen,
    draw_up,
    planning_options,
    read_inputs,
    upstream_index,
    with_closures,
)
from wheelbuilder.cli.proofs import print_proof, proof_document
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.inputs.pins import Quarantined
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.read import gap_files, read_head, states_cache
from wheelbuilder.mirror.stores import lacking, open_store
from wheelbuilder.plan.coverage import Coverage, coverage, quarantined
from wheelbuilder.report.memory import Memory


@click.command(name="coverage")
@planning_options
@click.option("--store", required=True, help="The mirror: a directory, or s3://bucket/prefix.")
@click.option("--channel", help="This channel, or CHANNEL@NUMBER. Default: the list's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def command(store: str, channel: str | None, as_json: bool, **options: Any) -> int:
    """Say what a consumer of LIST would still compile with this mirror.

    Exit status 1 if anything, or if a line of the constraints cannot be read.
    """
    reference = Reference.parse(channel) if channel else None
    covered, unread = proof(Chosen(**options), store, reference)
    print_proof(covered, err=as_json)
    for line in unread:
        say(f"not proven, because a line cannot be read: {line}", err=as_json)
    if as_json:
        say_json(proof_document(covered, unread))
    return 0 if all(it.complete for it in covered) and not unread else 1


def proof(
    chosen: Chosen, address: str, reference: Reference | None
) -> tuple[tuple[Coverage, ...], tuple[Quarantined, ...]]:
    """Return a list's coverage by a commit (None: of the list's channel), and the lines nobody can read."""
    catalogue, listed = read_inputs(chosen)
    store = open_store(address)
    commit = resolve(store, reference) if reference else read_head(store, listed.channel).commit
    if not commit.number:
        say(f"{store.address} {lacking(store, listed.channel)}: it counts as an empty mirror.", err=True)
    mirror = gap_files(store, commit, cache=states_cache())
    known = Memory(store, listed.channel).experience
    index = upstream_index(chosen, listed)
    listed = with_closures(listed, catalogue, index)
    plan = draw_up(chosen, catalogue, listed, index, mirror, experience=known)
    only = frozenset(map(canonicalize_name, chosen.pins)) or listed.projects
    branches = [branch.branch for branch in listed.branches]
    return coverage(plan, mirror, branches), quarantined(listed.branches, only)
