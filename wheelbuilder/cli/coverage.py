"""`wheelbuilder coverage`: say what a consumer of a list would still compile, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wheelbuilder.cli.planning import (
    Chosen,
    draw_up,
    planning_options,
    read_inputs,
    upstream_index,
    with_closures,
)
from wheelbuilder.cli.proofs import Proof, print_proof, proof_document
from wheelbuilder.cli.screen import say, say_json
from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.read import gap_files, read_head, states_cache
from wheelbuilder.mirror.stores import lacking, open_store
from wheelbuilder.plan.coverage import coverage, quarantined
from wheelbuilder.report.memory import Memory

if TYPE_CHECKING:
    from wheelbuilder.report.simulate import Simulated


@click.command(name="coverage")
@planning_options
@click.option("--store", required=True, help="The mirror: a directory, or s3://bucket/prefix.")
@click.option("--channel", help="This channel, or CHANNEL@NUMBER. Default: the list's.")
@click.option("--simulate", is_flag=True, help="Let uv and pip try whether they find what the proof says.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def command(store: str, channel: str | None, simulate: bool, as_json: bool, **options: Any) -> int:
    """Say what a consumer of LIST would still compile with this mirror.

    Exit status 1 if anything, or if a line of the constraints cannot be read, or if nothing says yet what a
    pin of a closure requires, or if --simulate finds that an installer disagrees.
    """
    proven = proof(Chosen(**options), store, None if channel is None else Reference.parse(channel))
    print_proof(proven.covered, err=as_json)
    for line in proven.unread:
        say(f"not proven, because a line cannot be read: {line}", err=as_json)
    for untold in proven.untold:
        say(f"not proven, because {untold}", err=as_json)
    simulated = _simulated(proven, err=as_json) if simulate else ()
    if as_json:
        say_json(proof_document(proven.covered, proven.unread, proven.untold, simulated))
    return 0 if proven.complete and not any(it.disagreements for it in simulated) else 1


def proof(chosen: Chosen, address: str, reference: Reference | None) -> Proof:
    """Prove a list's coverage by a commit (None: the newest of the list's channel)."""
    catalogue, listed = read_inputs(chosen)
    store = open_store(address)
    channel = reference.channel if reference else listed.channel
    commit = resolve(store, reference) if reference else read_head(store, channel).commit
    if not commit.number:
        say(f"{store.address} {lacking(store, listed.channel)}: it counts as an empty mirror.", err=True)
    mirror = gap_files(store, commit, cache=states_cache())
    known = Memory(store, listed.channel).experience
    index = upstream_index(chosen, listed)
    listed = with_closures(listed, catalogue, index, store, mirror)
    for line in listed.left_out:
        say(line, err=True)
    plan = draw_up(chosen, catalogue, listed, index, mirror, experience=known)
    only = chosen.projects or listed.projects
    return Proof(
        covered=coverage(plan, mirror, [branch.branch for branch in listed.branches]),
        unread=quarantined(listed.branches, only),
        untold=tuple(it for it in listed.untold if only is None or it.pin.name in only),
        store=store,
        commit=Reference(channel=channel, number=commit.number),
        upstream=index.url,
        catalogue=catalogue,
    )


def _simulated(proven: Proof, *, err: bool) -> tuple[Simulated, ...]:
    # Imported where it is needed: a proof alone starts no server and no process.
    from wheelbuilder.cli.simulation import print_simulation, simulation

    simulated = simulation(proven)
    print_simulation(simulated, err=err)
    return simulated
