"""kill -9 at every operation on a bucket, before it and after it: the next run completes, nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from mirrors import NOW, Interfering, in_child, nothing_at_all, upstream_file, wheel_change
from packaging.utils import canonicalize_name
from page_reader import assert_nothing_is_half_published
from s3_servers import SERVERS, FreshBucket, Server

from wheelbuilder.mirror import snapshots, sync
from wheelbuilder.mirror.advance import Author
from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.channels import Reference, channel_names, promote, rollback
from wheelbuilder.mirror.directory import DirectoryStore
from wheelbuilder.mirror.lease import Terms
from wheelbuilder.mirror.prune import prune
from wheelbuilder.mirror.publish import Change, publish
from wheelbuilder.mirror.read import contents, read_head
from wheelbuilder.mirror.store import Object, Store

pytestmark = [pytest.mark.s3, pytest.mark.integration]

ALL = "S3_SERVERS" in os.environ
# Of the moments at which a writer may die, the default suite tries some, and so do slow servers: a lease,
# for one, is left behind by each death.
STRIDES = {"swift": 7, "radosgw": 3} if ALL else dict.fromkeys(SERVERS, 9)
DEEDS = ("publish", "promote", "rollback", "snapshot", "prune", "sync")
TERMS = Terms(duration=3.0, settle=0.5)
BY = Author(run="run", now=NOW)
HOUR = timedelta(hours=1)

Files = dict[tuple[str, str], str]  # by channel and file name: digest


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What is interrupted: how the bucket is made ready, what is done, and what is done again afterwards."""

    prepare: Callable[[Store], object]
    act: Callable[[Store], object]
    again: Callable[[Store], object]


@dataclass(kw_only=True)
class Ready:
    """A bucket as a deed finds it, to be had again and again."""

    bucket: FreshBucket
    store: Store
    objects: dict[str, Object] = field(default_factory=dict)

    def keep(self) -> None:
        """Remember what is there."""
        found = {listed.key: self.store.get(listed.key) for listed in self.store.list()}
        self.objects = {key: it for key, it in found.items() if it}

    def restore(self) -> None:
        """Have there again what was kept, and nothing else."""
        self.store.delete([listed.key for listed in self.store.list()])
        for key, it in self.objects.items():
            self.store.put(
                key, it.data, content_type=it.content_type or "", cache_control=it.cache_control or ""
            )


@pytest.fixture(params=SERVERS if ALL else SERVERS[:1])
def ready(
    request: pytest.FixtureRequest,
    s3_servers: Callable[[str], Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Ready:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("wheelbuilder.mirror.store.WORKERS", 1)  # the same order every time
    bucket = s3_servers(request.param).new_bucket()
    return Ready(bucket=bucket, store=bucket.store("p", terms=TERMS))


def put(channel: str, *changes: Change) -> Callable[[Store], object]:
    return lambda store: publish(store, channel, changes, run="run", now=NOW)


def one_after_the_other(*steps: Callable[[Store], object]) -> Callable[[Store], object]:
    return lambda store: [step(store) for step in steps]


def pruned(now: datetime, store: Store) -> object:
    return prune(store, commits=1, grace=timedelta(0), now=now)


def copied(source: Store, store: Store) -> None:
    sync.copy(source, store, sync.survey(source, store))


def taken(store: Store) -> object:
    return snapshots.take(store, "stable", read_head(store, "stable").commit, now=NOW)


def deed(name: str, folder: Path) -> Deed:
    """Make what one command needs, and the command."""
    first = put("stable", wheel_change(folder, "foo", "1.0"), wheel_change(folder, "gone", "1.0"))
    theirs = Change(project=canonicalize_name("bar"), upstream=(upstream_file("bar-1.0.tar.gz"),))
    second = (wheel_change(folder, "foo", "2.0"), theirs)
    both = one_after_the_other(first, put("stable", *second))
    if name == "publish":
        return same(first, put("stable", *second))
    if name == "promote":
        up = partial(promote, source=Reference(channel="candidate"), target="stable", author=BY)
        return same(one_after_the_other(first, put("candidate", *second)), up)
    if name == "rollback":
        return same(both, partial(rollback, channel="stable", number=1, author=BY))
    if name == "snapshot":
        return same(both, taken)
    if name == "prune":
        back = partial(rollback, channel="stable", number=1, author=BY)
        marked = partial(pruned, NOW)
        prepare = one_after_the_other(both, back, marked)
        return Deed(prepare=prepare, act=partial(pruned, NOW + HOUR), again=partial(pruned, NOW + 2 * HOUR))
    source = DirectoryStore(folder / "source")
    both(source)
    taken(source)
    return same(one_after_the_other(first), partial(copied, source))


def same(prepare: Callable[[Store], object], act: Callable[[Store], object]) -> Deed:
    return Deed(prepare=prepare, act=act, again=act)


def files(store: Store) -> Files:
    """What each channel has published by its newest commit."""
    return {
        (channel, file.filename): file.sha256
        for channel in channel_names(store)
        for it in contents(store, channel).projects.values()
        for file in it
    }


def keys_of(store: Store) -> set[str]:
    return {listed.key for listed in store.list()}


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die(ready: Ready, act: Callable[[Store], object], at: int, after: bool) -> None:
    """Do it with a client of its own, as far as one operation."""
    store = ready.bucket.store("p", terms=TERMS)
    act(Interfering(store, at, killed, after=after))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", DEEDS)
def test_killed(ready: Ready, tmp_path: Path, name: str, after: bool) -> None:
    interrupted = deed(name, tmp_path)
    interrupted.prepare(ready.store)
    ready.keep()
    before = files(ready.store)
    counting = Interfering(ready.store, 0, nothing_at_all)
    interrupted.act(counting)
    expected, keys = files(ready.store), keys_of(ready.store)
    assert counting.count > 5 and keys != ready.objects.keys()
    stride = STRIDES.get(ready.bucket.server.name, 1)
    stride = min(stride, 2) if name == "publish" else stride
    for at in range(1 + after * (stride // 2), counting.count + 1, stride):
        ready.restore()
        assert in_child(partial(die, ready, interrupted.act, at, after)) == -signal.SIGKILL
        assert_nothing_is_half_published(ready.store)
        assert files(ready.store) in (before, expected), counting.calls[at - 1]
        interrupted.again(ready.store)
        assert (files(ready.store), keys_of(ready.store)) == (expected, keys), counting.calls[at - 1]
        assert is_clean(audit(ready.store, deep=True)), counting.calls[at - 1]
    print(f"{name}: {counting.count} operations, one in {stride}")
