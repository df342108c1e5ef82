"""Care on a real S3 server: what holds for a directory holds for a bucket, and pip reads what lies in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands import Said, command
from mirrors import NOW, wheel_change
from s3_servers import FreshBucket
from sdists import FileIndex, Workplace
from simple_index import entry
from test_wheelcheck import OTHER_RECORD, wheel
from tinywheel import make_wheel

from wheelbuilder.mirror.audit import audit, is_clean
from wheelbuilder.mirror.layout import cache_control, content_type
from wheelbuilder.mirror.publish import publish
from wheelbuilder.mirror.serve import serving

pytestmark = pytest.mark.integration
LOCAL = "bar-1.0+local-py3-none-any.whl"


def objects(bucket: FreshBucket) -> dict[str, bytes]:
    store = bucket.store()
    found = {listed.key: store.get(listed.key) for listed in store.list()}
    return {key: it.data for key, it in found.items() if it}


def copied(bucket: FreshBucket, folder: Path) -> Path:
    """The bucket as files, for a host that knows folders: a bare bucket answers no `simple/foo/`."""
    shutil.rmtree(folder, ignore_errors=True)
    for key, data in objects(bucket).items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(data)
    return folder


def care(bucket: FreshBucket, *words: str | Path) -> Said:
    done = command(*words, "--store", bucket.address)
    assert is_clean(audit(bucket.store(), deep=True, patience=0))
    return done


def test_from_import_to_removal(s3_bucket: FreshBucket, tmp_path: Path) -> None:
    def installed(requirement: str) -> bool:
        argv = [sys.executable, "-m", "pip", "--isolated", "--no-cache-dir", "install", "--no-deps"]
        argv += ["--disable-pip-version-check", "--upgrade", "--target", str(tmp_path / "installed")]
        with serving(copied(s3_bucket, tmp_path / "copy")) as server:
            argv += ["--index-url", f"{server.url}channels/stable/simple/", requirement]
            return not subprocess.run(argv, capture_output=True, timeout=120, check=False).returncode

    wheels = [make_wheel(tmp_path, "foo"), make_wheel(tmp_path, "bar", "1.0+local")]
    into = ("--channel", "stable", "--no-upstream")
    assert care(s3_bucket, "import", *wheels, *into).code == 0
    assert installed("foo===1.0") and installed("bar===1.0+local")
    before = objects(s3_bucket)
    assert care(s3_bucket, "import", wheel(tmp_path, record=OTHER_RECORD), *into).code == 4
    assert care(s3_bucket, "remove", "foo==1.0", "--dry-run").code == 0
    assert care(s3_bucket, "yank", "foo==2.0", "--reason", "x").code == 2
    assert objects(s3_bucket) == before
    assert care(s3_bucket, "yank", "foo==1.0", "--reason", "broken").code == 0
    assert not installed("foo>=1.0") and installed("foo===1.0")
    assert care(s3_bucket, "unyank", "foo==1.0").code == 0
    assert installed("foo>=1.0")
    assert care(s3_bucket, "remove", LOCAL).code == 0
    assert not installed("bar===1.0+local")


def test_retire_and_back(s3_bucket: FreshBucket, tmp_path: Path) -> None:
    with FileIndex() as index:
        place = Workplace(folder=tmp_path, index=index)
        place.write(["foo===1.0"])
        ours = make_wheel(tmp_path, "foo", tag="py2.py3-none-any")
        assert care(s3_bucket, "import", ours, "--list", place.list_path).code == 0
        before = objects(s3_bucket)
        for time, verdict in ((datetime.now(UTC).isoformat(), "wait"), ("2024-05-06T07:08:09Z", "retire")):
            index.page("foo", [entry("foo-1.0-py3-none-any.whl", **{"upload-time": time})])
            assert objects(s3_bucket) == before
            said = care(s3_bucket, "retire", place.list_path)
            assert said.code == 0 and said.out.startswith(f"{verdict}: {ours.name}")
        gap, whole = (f"channels/test/{view}/foo/index.html" for view in ("simple", "whole"))
        assert gap not in objects(s3_bucket) and objects(s3_bucket)[whole] == before[whole]
        index.page("foo", [])
        assert care(s3_bucket, "retire", place.list_path).code == 0
        assert objects(s3_bucket)[gap] == before[gap]


def test_what_lies_damaged_in_a_bucket_is_replaced(s3_bucket: FreshBucket, tmp_path: Path) -> None:
    store, change = s3_bucket.store(), wheel_change(tmp_path / "built")
    publish(store, "other", [change], run="", now=NOW)
    for key in objects(s3_bucket):
        if key.startswith(("files/", "states/")):
            store.put(key, b"", content_type=content_type(key), cache_control=cache_control(key))
    publish(store, "stable", [change], run="", now=NOW)
    assert is_clean(audit(store, deep=True, patience=0))
