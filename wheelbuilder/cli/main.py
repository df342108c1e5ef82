"""The command group. A command's module is imported only when it is called: start-up stays quick."""

from __future__ import annotations

import importlib

import click

from wheelbuilder import __version__

# command -> the module that holds it as `command`, and its line in --help
COMMANDS = {
    "plan": ("plan", "Say what would be built for a list, and why; change nothing."),
    "run": ("run", "Plan a list, build what no wheel exists for, publish."),
    "rebuild": ("rebuild", "Build pins again and publish them under a build tag."),
    "list": ("list", "Show, compare, check and update a list."),
    "why": ("why", "Say how a project came into a list."),
    "coverage": ("coverage", "Say what a consumer of a list would still compile."),
    "serve": ("serve", "Serve a store on loopback."),
    "config": ("config", "Print the snippet with which an installer uses a mirror."),
    "audit": ("audit", "Check a store: head, states, pages, blobs, digests."),
    "channel": ("channel", "List the channels of a store, and show their commits."),
    "diff": ("diff", "Say what differs between two commits."),
    "promote": ("promote", "Make a channel hold what another one holds."),
    "rollback": ("rollback", "Make a channel hold again what it held before."),
    "snapshot": ("snapshot", "Give a commit pages of its own, for builds that pin a URL."),
    "prune": ("prune", "Delete what no channel, kept commit or snapshot refers to."),
    "sync": ("sync", "Copy a mirror from one store to another: what differs."),
    "import": ("import_", "Check wheels that were built elsewhere and publish them."),
    "yank": ("yank", "Let installers pass over wheels of ours (PEP 592)."),
    "unyank": ("unyank", "Undo a yank."),
    "remove": ("remove", "Take wheels of ours out of a channel."),
    "retire": ("retire", "Withdraw what upstream has wheels for by now, and reinstate."),
    "recipe": ("recipe", "Check recipes, and read bindep files for them."),
    "schema": ("schema", "Print the JSON schema of recipes or of lists, for editors."),
    "images": ("images", "List, build and prune root images."),
    "cache": ("cache", "List and prune what the compiler cache keeps on this machine."),
    "doctor": ("doctor", "Say what works on this machine, and what to do about the rest."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click calls it so)
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"wheelbuilder.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def wheelbuilder() -> None:
    """Build the Python wheels that nobody publishes and serve them as a static index."""
