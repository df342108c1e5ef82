"""A night without news on a bucket: what it asks of the store, counted at a proxy before a real server."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from s3_proxy import Request, proxied
from s3_servers import FreshBucket
from sdists import FileIndex, Workplace, cli
from tinywheel import make_wheel

pytestmark = pytest.mark.s3
PROJECTS = ("one", "two", "three")


def kinds(requests: list[Request]) -> Counter[str]:
    return Counter("LIST" if "list-type" in it.query else it.method for it in requests)


def test_a_night_without_news_lists_nothing_and_writes_nothing(
    s3_bucket: FreshBucket, tmp_path: Path
) -> None:
    with FileIndex() as index, proxied(s3_bucket.endpoint) as proxy:
        for name in PROJECTS:
            index.offer_wheel(make_wheel(tmp_path, name))
        work = Workplace(folder=tmp_path / "work", index=index)
        work.write([f"{name}===1.0" for name in PROJECTS])
        cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        env = s3_bucket.env | {"AWS_ENDPOINT_URL": proxy.endpoint} | cache
        words = ("run", str(work.list_path), "--store", s3_bucket.address)
        assert cli(*words, env=env).code == 0
        first = len(proxy.requests)
        again = cli(*words, env=env)
        assert again.code == 0 and "nothing was built and nothing was written" in again.stdout
        asked = kinds(proxy.requests[first:])
        assert set(asked) <= {"GET", "HEAD"} and asked.total() <= 5, asked
        assert all(etag for _, etag in index.requests[-len(PROJECTS) :])
