"""Runs pip as on another machine, whose marker environment (PEP 508) it reads from standard input.

A process of its own, because that changes a module of pip: pip has options for the tags of another
machine, but evaluates the markers of dependencies for the one that it runs on.
"""

from __future__ import annotations

import json
import runpy
import sys

from pip._vendor.packaging import markers


def main() -> None:
    """Read the environment, then be pip with the arguments of this process."""
    environment = json.load(sys.stdin)
    # Before the rest of pip is imported: some of its modules take the function by name.
    markers.default_environment = environment.copy
    runpy.run_module("pip", run_name="__main__")


if __name__ == "__main__":
    main()
