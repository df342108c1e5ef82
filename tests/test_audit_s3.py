"""The audit and the repair of a mirror in a bucket: also of what a directory does not keep, headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from full_mirror import fill, flipped
from mirrors import LATER
from s3_servers import FreshBucket

from wheelbuilder.mirror.audit import Finding, Kind, audit
from wheelbuilder.mirror.layout import cache_control, content_type
from wheelbuilder.mirror.repair import plan
from wheelbuilder.mirror.s3 import S3Store
from wheelbuilder.mirror.s3_client import Place

pytestmark = pytest.mark.integration


@pytest.fixture
def store(s3_bucket: FreshBucket, tmp_path: Path) -> S3Store:
    filled = s3_bucket.store("mirror")
    fill(filled, tmp_path / "built", ["foo", "bar", "baz"])
    return filled


def objects(store: S3Store) -> dict[str, bytes]:
    found = {listed.key: store.get(listed.key) for listed in store.list()}
    return {key: it.data for key, it in found.items() if it}


def deep(store: S3Store) -> tuple[Finding, ...]:
    return audit(store, deep=True, patience=0)


def repair(store: S3Store) -> None:
    planned = plan(store, deep=True, now=LATER, patience=0)
    planned.carry_out()
    assert deep(store) == planned.after


def overwrite(bucket: FreshBucket, key: str, data: bytes, **headers: Any) -> None:
    """Write past the store, as somebody with another tool would."""
    usual = {"ContentType": content_type(key), "CacheControl": cache_control(key)}
    name = Place.parse(f"s3://{bucket.bucket}/mirror").name(key)
    where = {"Bucket": bucket.bucket, "Key": name}
    bucket.server.client().put_object(**where, Body=data, **(usual | headers))


def sample(before: dict[str, bytes]) -> list[str]:
    """One key of each kind that can be restored, and not the list of snapshots, whose times are lost."""
    kept = ("logs/", "sdists/", "runs/")
    keys = [key for key in sorted(before) if not key.startswith(kept) and not key.endswith(".whl")]
    kinds = {_kind(key): key for key in keys if not key.endswith("snapshots.json")}
    return sorted(kinds.values())


def _kind(key: str) -> tuple[str, ...]:
    parts = key.split("/")
    return (parts[0], parts[2]) if parts[0] == "channels" else (parts[0],)


def test_damage_is_found_and_put_right(store: S3Store, s3_bucket: FreshBucket) -> None:
    before = objects(store)
    assert deep(store) == ()
    for index, key in enumerate(sample(before)):
        if index % 2:
            store.delete([key])
        else:
            overwrite(s3_bucket, key, flipped(before[key], len(before[key]) // 2))
        planned = plan(store, deep=True, now=LATER, patience=0)
        assert key in {finding.key for finding in planned.before} and planned.after == (), key
        planned.carry_out()
        assert objects(store) == before, key
    assert deep(store) == ()


@pytest.mark.parametrize(
    ("headers", "complaint"),
    [
        ({"ContentType": "binary/octet-stream"}, "content type binary/octet-stream instead of"),
        ({"CacheControl": "max-age=5"}, "Cache-Control max-age=5 instead of"),
    ],
)
def test_wrong_headers_are_found_and_put_right(
    store: S3Store, s3_bucket: FreshBucket, headers: dict[str, str], complaint: str
) -> None:
    before = objects(store)
    changed = sample(before)
    for key in changed:
        overwrite(s3_bucket, key, before[key], **headers)
    found = deep(store)
    assert {(it.key, it.kind) for it in found} == {(key, Kind.HEADERS) for key in changed}
    assert all(complaint in it.complaint for it in found)
    repair(store)
    assert deep(store) == () and objects(store) == before


def test_a_wheel_with_headers_lost_is_not_lost(store: S3Store, s3_bucket: FreshBucket) -> None:
    before = objects(store)
    key = next(key for key in before if key.endswith(".whl"))
    s3_bucket.server.client().put_object(Bucket=s3_bucket.bucket, Key=f"mirror/{key}", Body=before[key])
    (finding,) = deep(store)
    assert (finding.key, finding.kind) == (key, Kind.HEADERS)
    repair(store)
    assert deep(store) == () and objects(store) == before


def test_a_wheel_that_is_lost_is_taken_off_the_pages(store: S3Store, s3_bucket: FreshBucket) -> None:
    before = objects(store)
    key = next(key for key in before if key.endswith(".whl"))
    overwrite(s3_bucket, key, flipped(before[key], 99))
    planned = plan(store, deep=True, now=LATER, patience=0)
    assert [remedy.key for remedy in planned.lost] == [key] and objects(store) != before
    planned.carry_out()
    page = store.get("channels/candidate/whole-json/foo/index.html")
    assert page and b"foo-1.0-py3" not in page.data and not store.exists(key)
    assert deep(store) == planned.after
