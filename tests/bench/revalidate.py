"""The least that a nightly run can do: ask an index of each page whether it is still current.

    python tests/bench/revalidate.py URL CACHE PROJECTS...

with the client, the cache and the number of connections that planning has, and nothing else: no list, no
parsing, no decision, no store. Fails if a page is not in the cache or has changed.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wheelbuilder.inputs.http import bound, session
from wheelbuilder.plan.page_cache import PageCache
from wheelbuilder.plan.upstream import ACCEPT, CONNECTIONS


def main() -> None:
    """Revalidate the pages."""
    index, folder, *projects = sys.argv[1:]
    cache, connection = PageCache(Path(folder)), bound(session(connections=CONNECTIONS), index)

    def revalidate(project: str) -> int:
        url = f"{index}{project}/"
        kept = cache.get(url)
        assert kept, url
        return connection.get(url, headers={"Accept": ACCEPT} | kept.validators.conditions).status_code

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        assert set(pool.map(revalidate, projects)) == {304}


if __name__ == "__main__":
    main()
