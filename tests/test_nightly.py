"""A night without news on a bucket: what it asks of the store, counted at a proxy before a real server."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from mirrors import NOW, wheel_change
from s3_proxy import Request, proxied
from s3_servers import FreshBucket
from sdists import FileIndex, Workplace, cli, in_tree
from tinywheel import make_wheel

from wheelbuilder.mirror.channels import Reference, resolve
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.read import gap_states
from wheelbuilder.mirror.stores import open_store

pytestmark = pytest.mark.s3
PROJECTS = ("one", "two", "three")
TEST = Reference(channel="test")


def kinds(requests: list[Request]) -> Counter[str]:
    return Counter("LIST" if "list-type" in it.query else it.method for it in requests)


def test_a_night_without_news_lists_nothing_and_writes_nothing(
    s3_bucket: FreshBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.env.items():
        monkeypatch.setenv(name, value)
    ours = wheel_change(tmp_path / "ours", "ours")
    publish(open_store(s3_bucket.address), "test", [ours], run="", now=NOW)
    with FileIndex() as index, proxied(s3_bucket.endpoint) as proxy:
        for name in PROJECTS:
            index.offer_wheel(make_wheel(tmp_path, name))
        work = Workplace(folder=tmp_path / "work", index=index)
        index.offer(in_tree("ours"))
        work.write([f"{name}===1.0" for name in (*PROJECTS, "ours")])
        cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        env = s3_bucket.env | {"AWS_ENDPOINT_URL": proxy.endpoint} | cache
        words = ("run", str(work.list_path), "--store", s3_bucket.address)
        assert cli(*words, env=env).code == 0
        (state,) = gap_states(open_store(s3_bucket.address), resolve(open_store(s3_bucket.address), TEST))
        assert [(need.branch, need.owner) for need in state.needs] == [("main", "list")]
        first = len(proxy.requests)
        again = cli(*words, env=env)
        assert again.code == 0 and "nothing was built and nothing was written" in again.stdout
        asked = kinds(proxy.requests[first:])
        assert set(asked) <= {"GET", "HEAD"} and asked.total() <= 5, asked
        assert all(etag for _, etag in index.requests[-len(PROJECTS) - 1 :])
