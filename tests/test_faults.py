"""A server that fails in every way: what comes of it is the same, or a clear error and nothing by halves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from faulty_proxy import KINDS, Faults
from mirrors import NOW, upstream_file, wheel_change
from packaging.utils import canonicalize_name
from page_reader import Reader, assert_nothing_is_half_published, fetch_from
from s3_proxy import proxied
from s3_servers import SERVERS, FreshBucket, Server

from wheelbuilder.errors import WheelbuilderError
from wheelbuilder.mirror import snapshots
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.care import select, yank
from wheelbuilder.mirror.channels import Reference, promote
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.lease import Terms
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import read_head
from wheelbuilder.mirror.s3 import S3Store
from wheelbuilder.mirror.s3_client import Patience
from wheelbuilder.mirror.store import Store

pytestmark = [pytest.mark.s3, pytest.mark.integration]

ALL = "S3_SERVERS" in os.environ
SEEDS = range(4 if ALL else 1)
QUICK = Patience(attempts=8, back_off=0.005, longest=0.1, connect=5.0, read=0.25)
TERMS = Terms(duration=3.0, settle=0.5, patience=15.0)
STEADY = Terms(duration=15.0, settle=0.5)  # a lease that several renewals in a row may fail to reach
BY = Author(run="run", now=NOW, note="tried")

Deed = Callable[[Store], object]


@pytest.fixture(params=SERVERS if ALL else SERVERS[:1])
def bucket(
    request: pytest.FixtureRequest,
    s3_servers: Callable[[str], Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> FreshBucket:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # to be probed through the faults, too
    return s3_servers(request.param).new_bucket()


def deeds(folder: Path) -> list[Deed]:
    """What a mirror goes through: publications, promotions, a yank and a snapshot."""

    def add(channel: str, *changes: Change) -> Deed:
        return lambda store: publish(store, channel, changes, run="run", now=NOW)

    def withdraw(store: Store) -> object:
        return yank(store, select(store, "stable", ["foo==1.0"]), "broken", BY)

    def keep(store: Store) -> object:
        return snapshots.take(store, "stable", read_head(store, "stable").commit, now=NOW)

    theirs = Change(project=canonicalize_name("bar"), upstream=(upstream_file("bar-1.0.tar.gz"),))
    up = partial(promote, source=Reference(channel="candidate"), target="stable", author=BY)
    return [
        add("candidate", wheel_change(folder, "foo", "1.0"), theirs),
        up,
        add("candidate", wheel_change(folder, "foo", "2.0"), wheel_change(folder, "bar", "2.0")),
        withdraw,
        up,
        add("stable", wheel_change(folder, "baz", "1.0"), wheel_change(folder, "foo", "3.0")),
        keep,
    ]


@dataclass(kw_only=True)
class Trial:
    """A bucket behind a proxy that makes faults, and beside it."""

    faulty: S3Store
    direct: S3Store
    faults: Faults
    errors: list[WheelbuilderError]

    def go_through(self, todo: list[Deed]) -> None:
        """Do each deed behind the faults; after an error look at what there is, and do it without."""
        readers = [Reader(fetch_from(self.direct), channel) for channel in ("candidate", "stable")]
        for deed in todo:
            try:
                deed(self.faulty)
            except WheelbuilderError as error:
                self.errors.append(error)
                assert_nothing_is_half_published(self.direct)
                deed(self.direct)
            for reader in readers:
                reader.look()


@contextmanager
def trial(bucket: FreshBucket, seed: int, rate: float, terms: Terms = TERMS) -> Iterator[Trial]:
    faults = Faults(seed, rate)
    with proxied(bucket.endpoint, faults) as proxy:
        faulty = bucket.store("p", endpoint=proxy.endpoint, patience=QUICK, terms=terms)
        yield Trial(faulty=faulty, direct=bucket.store("p", terms=terms), faults=faults, errors=[])


def published(store: Store) -> dict[str, bytes]:
    """Everything that a mirror consists of."""
    found = {listed.key: store.get(listed.key) for listed in store.list()}
    return {key: it.data for key, it in found.items() if it and not key.startswith(".")}


def without_faults(todo: list[Deed], folder: Path) -> dict[str, bytes]:
    store = DirectoryStore(folder)
    for deed in todo:
        deed(store)
    return published(store)


def assert_the_same(trial: Trial, todo: list[Deed], folder: Path) -> None:
    there, expected = published(trial.direct), without_faults(todo, folder)
    assert there.keys() == expected.keys()
    assert [key for key in there if there[key] != expected[key]] == []
    assert is_clean(audit(trial.direct, deep=True)), audit(trial.direct, deep=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_six_in_ten_requests_fail(bucket: FreshBucket, tmp_path: Path, seed: int) -> None:
    todo = deeds(tmp_path / "built")
    with trial(bucket, seed, 0.1) as tried:
        tried.go_through(todo)
        assert_the_same(tried, todo, tmp_path / "expected")
    assert all(sum(tried.faults.made[fault] for fault in kind) > 3 for kind in KINDS), tried.faults.made
    assert all(error.message and error.hint for error in tried.errors)
    print([error.message for error in tried.errors])


@pytest.mark.parametrize("seed", SEEDS)
def test_one_in_ten_requests_fails_and_nobody_notices(bucket: FreshBucket, tmp_path: Path, seed: int) -> None:
    todo = deeds(tmp_path / "built")
    with trial(bucket, seed, 0.1 / len(KINDS), STEADY) as tried:
        tried.go_through(todo)
        assert_the_same(tried, todo, tmp_path / "expected")
    assert tried.faults.made.total() - tried.faults.made[None] > 5 and tried.errors == []
