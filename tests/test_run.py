"""`wheelbuilder run` and `rebuild` as commands: second runs, rebuilds, reproducible bytes, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import counting_engine, own_cache
from mirrors import snapshot
from sdists import TARGET, Ended, FileIndex, Workplace, cli, extension, in_tree, with_setuptools
from simple_index import Answer
from tinywheel import make_wheel

from wheelbuilder.build.cache import cache_home


@pytest.fixture
def index() -> Iterator[FileIndex]:
    with FileIndex() as index:
        yield index


@pytest.fixture
def work(tmp_path: Path, index: FileIndex) -> Workplace:
    return Workplace(folder=tmp_path / "work", index=index)


@pytest.mark.engine
def test_a_second_run_starts_nothing_writes_nothing_and_says_so(
    work: Workplace, index: FileIndex, tmp_path: Path
) -> None:
    made = [in_tree("one"), extension("two")]
    index.offer(*made)
    work.write(made)
    assert work.run().code == 0
    env, calls = counting_engine(tmp_path / "bin")
    before = snapshot(work.store)
    second = cli("run", str(work.list_path), "--store", str(work.store), env=env)
    assert second.code == 0 and "nothing was built and nothing was written" in second.stdout
    assert snapshot(work.store) == before
    assert not calls.exists()
    index.offer(in_tree("three"))
    work.write([*made, "three===1.0"])
    assert cli("run", str(work.list_path), "--store", str(work.store), env=env).code == 0
    assert "run" in calls.read_text().split()  # so the wrapper counts


@pytest.mark.engine
def test_two_runs_give_the_same_bytes(index: FileIndex, tmp_path: Path, setuptools_wheel: Path) -> None:
    made = [extension("two"), with_setuptools("modern"), in_tree("plain")]
    index.offer(*made)
    index.offer_wheel(setuptools_wheel)
    digests = []
    for name in ("a", "b"):
        work = Workplace(folder=tmp_path / name, index=index, env=own_cache(tmp_path / f"cache-{name}"))
        work.write(made)
        digests.append({p: row["wheel"]["sha256"] for p, row in work.run().outcomes.items()})
    assert digests[0] == digests[1] and len(digests[0]) == 3


def wheel_file(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        return archive.read(name).decode()


@pytest.mark.engine
def test_rebuilds_are_published_under_build_tags(work: Workplace, index: FileIndex, tmp_path: Path) -> None:
    index.offer(extension("two"))
    work.write(["two===1.0"])
    assert work.run().code == 0
    words = ("rebuild", str(work.list_path), "two", "--target", TARGET, "--store", str(work.store))
    assert "nothing was built" in cli(*words).stdout
    for number in (1, 2):
        assert cli(*words, "--force").code == 0
        (wheel,) = work.store.glob(f"files/*/two-1.0-{number}-cp311-*.whl")
        assert f"Build: {number}\n" in wheel_file(wheel)
    assert len(work.wheels()) == 3 and work.audit().code == 0
    assert "nothing was built" in cli("run", str(work.list_path), "--store", str(work.store)).stdout
    assert "Build: 2\n" in wheel_file(downloaded(work, tmp_path / "got", "two==1.0"))


def downloaded(work: Workplace, folder: Path, requirement: str) -> Path:
    argv = [sys.executable, "-m", "pip", "--isolated", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    argv += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(folder)]
    argv += ["--index-url", (work.store / "channels/test/simple").as_uri(), requirement]
    subprocess.run(argv, check=True, timeout=60)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.mark.engine
def test_a_name_that_upstream_serves_with_other_bytes_is_refused(work: Workplace, index: FileIndex) -> None:
    # Upstream's wheel is for another Python, but under the name that the backend chooses: it has to be built.
    index.offer(in_tree("shadow"), in_tree("other"))
    newer: dict[str, Any] = {"requires-python": ">=3.99"}
    index.add("shadow-1.0-py3-none-any.whl", b"theirs", **newer)
    work.write(["shadow===1.0", "other===1.0"])
    ended = work.run()
    assert ended.code == 4 and "Not published: shadow-1.0-py3-none-any.whl" in ended.stderr
    assert work.wheels() == ["other-1.0-py3-none-any.whl"] and work.audit().code == 0
    (refused,) = ended.document["published"]["refused"]
    assert refused["filename"] == "shadow-1.0-py3-none-any.whl" and "other bytes" in refused["reason"]


@pytest.mark.engine
def test_what_upstream_lists_badly_is_no_refusal_of_ours(work: Workplace, index: FileIndex) -> None:
    index.offer(in_tree("one"))
    index.add("one-1.0-cp39-cp39-win32.whl", b"x")
    page = index._pages["one"]
    page[-1]["hashes"] = {"md5": "0" * 32}
    index.page("one", page)
    work.write(["one===1.0"])
    assert work.run().code == 0
    assert "nothing was built" in cli("run", str(work.list_path), "--store", str(work.store)).stdout


def run_on(work: Workplace, *words: str, env: dict[str, str] | None = None) -> Ended:
    return cli("run", str(work.list_path), "--store", str(work.store), *words, env=env)


BAD_LISTS: dict[str, tuple[str, str]] = {
    "no TOML": ("[[[", "list.toml"),
    "unknown key": (f'targets = ["{TARGET}"]\nbranches.main = "pins.txt"\nchanel = "x"\n', "chanel"),
    "unknown target": ('targets = ["cp311-atari"]\nbranches.main = "pins.txt"\n', "cp311-atari"),
    "no branch file": (f'targets = ["{TARGET}"]\nbranches.main = "none.txt"\n', "none.txt"),
    "bad channel": (f'channel = "../x"\ntargets = ["{TARGET}"]\nbranches.main = "pins.txt"\n', "../x"),
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_a_bad_list_is_one_sentence_and_exit_code_2(work: Workplace, name: str) -> None:
    text, word = BAD_LISTS[name]
    work.write(["one===1.0"])
    work.list_path.write_text(text)
    ended = run_on(work)
    assert ended.code == 2 and word in ended.stderr and "Traceback" not in ended.stderr
    assert not work.store.exists()


@pytest.mark.parametrize(
    "words",
    [("--target", "cp311-atari"), ("--pin", "none"), ("--jobs", "0"), ("--nonsense",), ("--images", "no")],
)
def test_a_bad_option_is_exit_code_2(work: Workplace, words: tuple[str, ...]) -> None:
    work.write(["one===1.0"])
    ended = run_on(work, *words)
    assert ended.code == 2 and "Traceback" not in ended.stderr and ended.stderr.strip()


def test_no_list_is_exit_code_2(work: Workplace) -> None:
    assert cli("run", str(work.folder / "none.toml"), "--store", str(work.store)).code == 2
    assert cli("run", str(work.folder), "--store", str(work.store)).code == 2


def test_an_index_that_does_not_answer_is_exit_code_3(work: Workplace) -> None:
    work.write(["one===1.0"])
    ended = run_on(work, "--upstream", "http://127.0.0.1:9/simple/")
    assert ended.code == 3 and "127.0.0.1:9" in ended.stderr and not work.store.exists()


def test_an_index_that_is_none_is_exit_code_3(work: Workplace, index: FileIndex) -> None:
    index.serve("one", Answer(body=b"<html>welcome</html>", content_type="application/pdf"))
    work.write(["one===1.0"])
    ended = run_on(work)
    assert ended.code == 3 and "simple API" in ended.stderr


def test_a_store_that_is_a_file_is_exit_code_3(work: Workplace, index: FileIndex) -> None:
    index.offer(in_tree("one"))
    work.write(["one===1.0"])
    work.store.write_text("not a folder")
    ended = run_on(work)
    assert ended.code in (2, 3) and "store" in ended.stderr and work.store.read_text() == "not a folder"


def test_a_missing_engine_is_exit_code_3(work: Workplace, index: FileIndex, tmp_path: Path) -> None:
    index.offer(in_tree("one"))
    work.write(["one===1.0"])
    env = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = run_on(work, env=env)
    assert ended.code == 3 and "No container engine" in ended.stderr and "hint: " in ended.stderr


def test_a_damaged_store_is_exit_code_4(work: Workplace, index: FileIndex) -> None:
    index.offer(in_tree("one"))
    work.write(["one===1.0"])
    head = work.store / "channels/test/head.json"
    head.parent.mkdir(parents=True)
    head.write_text("{")
    ended = run_on(work)
    assert ended.code == 4 and "head.json" in ended.stderr


def test_json_is_one_document_and_people_read_stderr(
    work: Workplace, index: FileIndex, tmp_path: Path
) -> None:
    index.offer_wheel(make_wheel(tmp_path / "up", "had"))
    work.write(["had===1.0"])
    ended = work.run()
    document: dict[str, Any] = json.loads(ended.stdout)
    assert ended.code == 0 and document["outcomes"] == [] and "nothing would be compiled" in ended.stderr
    assert (cache_home() / "scratch").exists() or not document["outcomes"]
