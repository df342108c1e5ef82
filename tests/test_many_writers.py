"""Eight publishers at once lose nothing, and a reader who polls throughout sees nothing that must not be."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from faulty_proxy import Faults
from mirrors import listed_blobs
from page_reader import Reader
from s3_proxy import Fault, proxied
from s3_servers import SERVERS, Server
from writers import CONTESTED, PROJECTS, TAGS, Told, fetched, told, writing

from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.layout import View, page_key
from wheelbuilder.mirror.read import contents, read_head
from wheelbuilder.mirror.store import Store

pytestmark = pytest.mark.integration

CHANNEL = "stable"
WRITERS = len(TAGS)
ALL = "S3_SERVERS" in os.environ  # every server, and as many rounds as it takes to be sure
FULL = 50  # rounds
LEASED = {"swift": 5}  # rounds where a lease lets one publisher in at a time
DEADLINE = 1800.0  # seconds after which something hangs


@pytest.mark.parametrize("rounds", [pytest.param(FULL, marks=pytest.mark.s3) if ALL else 8])
def test_in_a_directory(tmp_path: Path, rounds: int) -> None:
    root = tmp_path / "store"

    def read(path: str) -> bytes | None:
        file = root / path / "index.html" if path.endswith("/") else root / path
        return file.read_bytes() if file.exists() else None

    prove(DirectoryStore(root), read, rounds, tmp_path / "writers", {})


@pytest.mark.s3
@pytest.mark.parametrize("name", SERVERS if ALL else SERVERS[:1])
def test_in_a_bucket(name: str, s3_servers: Callable[[str], Server], tmp_path: Path) -> None:
    bucket = s3_servers(name).new_bucket()
    public = bucket.make_public()
    rounds = LEASED.get(name, FULL) if ALL else 2
    prove(bucket.store(), lambda path: fetched(f"{public}/{path}"), rounds, tmp_path / "writers", bucket.env)


@pytest.mark.s3
def test_in_a_bucket_whose_answers_get_lost(s3_servers: Callable[[str], Server], tmp_path: Path) -> None:
    """Whoever does not hear that its commit is made finds it again, also below the commits of others."""
    bucket = s3_servers(SERVERS[0]).new_bucket()
    public = bucket.make_public()
    faults = Faults(1, 0.05, ((Fault.LOST, Fault.LOST_ERROR), (Fault.TRUNCATED,), (Fault.RESET,)))
    with proxied(bucket.endpoint, faults) as proxy:
        env = bucket.env | {"AWS_ENDPOINT_URL": proxy.endpoint}
        rounds = 10 if ALL else 2
        prove(bucket.store(), lambda path: fetched(f"{public}/{path}"), rounds, tmp_path / "writers", env)
    lost = [it for it in proxy.requests if it.method == "PUT" and it.path.endswith("/head.json")]
    assert len(lost) > rounds * WRITERS and faults.made[Fault.LOST] > 5


def prove(
    store: Store, fetch: Callable[[str], bytes | None], rounds: int, folder: Path, env: Mapping[str, str]
) -> None:
    """Let all of them publish, polling meanwhile; then compare what there is with what they were told."""
    reader = Reader(fetch, CHANNEL)
    started = time.monotonic()
    with writing(store.address, CHANNEL, writers=WRITERS, rounds=rounds, folder=folder, env=env) as writers:
        while any(writer.works() for writer in writers):
            reader.look()
            assert time.monotonic() - started < DEADLINE
            time.sleep(0.02)
        rows = told(writers)
    seconds = time.monotonic() - started
    print(f"{store.address}: {WRITERS} x {rounds} in {seconds:.0f} s, {reader.looks} looks")
    assert reader.looks > 3
    reader.look()
    compare(store, rows, rounds)
    assert is_clean(audit(store, deep=True)), audit(store, deep=True)


def compare(store: Store, rows: list[Told], rounds: int) -> None:
    """Each publication is one commit; what was told is in the last one and on its pages, and nothing else."""
    assert Counter(it.writer for it in rows) == dict.fromkeys(range(WRITERS), 3 * rounds)
    published = {it.filename: it.sha256 for it in rows if not it.refused}
    assert len(published) == sum(not it.refused for it in rows)  # one winner each
    assert len(published) == WRITERS * rounds * 2 + rounds
    held = contents(store, CHANNEL).projects
    assert {file.filename: file.sha256 for files in held.values() for file in files} == published
    assert set(held) == {*PROJECTS, CONTESTED}
    for view in View:
        found = [store.get(page_key(CHANNEL, view, name)) for name in held]
        on_pages = {key for it in found if it for key in listed_blobs(it.data) if key.endswith(".whl")}
        assert on_pages == {f"files/{sha256}/{filename}" for filename, sha256 in published.items()}
    assert all(it.filename.startswith(CONTESTED) for it in rows if it.refused)
    assert sum(it.refused for it in rows) == rounds * (WRITERS - 1)
    assert read_head(store, CHANNEL).commit.number == WRITERS * rounds
