"""What `publish.py` measures of ours: a process that opens a store and publishes changes from a file.

    python tests/bench/publish_offer.py STORE CHANGES

CHANGES are pickled, as the planner has them in memory when a run publishes. The local cache is the user's.
"""

from __future__ import annotations

import pickle
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.read import states_cache
from wheelbuilder.mirror.stores import open_store


def main() -> None:
    """Publish, and print the seconds that took and how many projects changed."""
    changes = pickle.loads(Path(sys.argv[2]).read_bytes())
    started = time.perf_counter()
    store = open_store(sys.argv[1])
    now = datetime.now(UTC)
    published = publish(store, "stable", changes, run="bench", now=now, cache=states_cache())
    print(time.perf_counter() - started, len(published.changed))


if __name__ == "__main__":
    main()
